"""OTLP over a gRPC channel of our own. Shell: opens sockets, in the sender's thread only.

The channel is made by grpc's own function, not by what an instrumentation library may have put in its place: the
export of a call must not become a call to be traced.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from grpc_mirror.settings import Settings
from grpc_mirror.sinks import otlp
from grpc_mirror.sinks.transport import SendResult
from grpc_mirror.v1 import otlp_slices_pb2
from grpc_mirror.wire import any_values, fields

# Of the OTLP specification; RESOURCE_EXHAUSTED only where the receiver says when to come back.
_RETRYABLE = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS", "RESOURCE_EXHAUSTED"}
)
# How grpc's C core, Go and Java say that a request is over the receiver's limit.
_TOO_LARGE = re.compile(r"larger than max|exceeds maximum size", re.IGNORECASE)
# How grpc's core says that the other side answered by HTTP/1.
_NO_HTTP2 = re.compile(r"Failed parsing HTTP/2|http1", re.IGNORECASE)
_RETRY_INFO = "google.rpc.RetryInfo"
_RETRY_INFO_KEY = "google.rpc.retryinfo-bin"
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),  # the sender retries, and counts
    ("grpc.max_reconnect_backoff_ms", 5000),
)


class GrpcChannel:
    """Sends export requests to one receiver."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metadata = (("authorization", f"Bearer {settings.bearer}"),) if settings.bearer else None
        self._lock = threading.Lock()
        self._closed = False
        self._files = changed_at(settings)
        self._use(open_channel(settings, settings.target))

    def send(self, request: Sequence[bytes], timeout_s: float) -> SendResult:
        """Export one serialised request, given in pieces, and say what came of it. Raises ValueError after `close`."""
        try:
            answer = self._export(b"".join(request), timeout=timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            result = failure(error)
            self._renew(result)
            return result
        partial = answer.partial_success
        return SendResult(ok=True, rejected=max(0, int(partial.rejected_spans)), reason=partial.error_message)

    def close(self) -> None:
        """Close the connection for good. Any thread may; an export under way ends as cancelled."""
        with self._lock:
            self._closed = True
            self._channel.close()

    def _use(self, channel: Any) -> None:
        self._channel = channel
        self._export = channel.unary_unary(
            otlp.METHOD, response_deserializer=otlp_slices_pb2.ExportTraceServiceResponse.FromString
        )

    def _renew(self, result: SendResult) -> None:
        """Connect anew where the old connection may be the reason of a failure.

        A peer that vanished without a word is not noticed by TCP for a quarter of an hour; certificates are renewed in place.
        """
        files = changed_at(self._settings)
        if result.reason != "DEADLINE_EXCEEDED" and files == self._files:
            return
        try:
            channel = open_channel(self._settings, self._settings.target)
        except OSError:
            return  # a file is being replaced this very moment
        with self._lock:
            if self._closed:
                channel.close()
                return
            self._channel.close()
            self._use(channel)
            self._files = files


def failure(error: Any) -> SendResult:
    """Whether an export that failed is worth another try, and when (OTLP specification, section Failures)."""
    name = error.code().name
    delay_s = _retry_delay_s(error.trailing_metadata() or ())
    exhausted = name == "RESOURCE_EXHAUSTED" and delay_s is None
    words = error.details() or ""
    if _NO_HTTP2.search(words):
        words = f"the port speaks no gRPC; where it is OTLP over HTTP set MIRROR_PROTOCOL=http/protobuf ({words})"
    return SendResult(
        ok=False,
        retryable=name in _RETRYABLE and not exhausted,
        retry_after_s=delay_s,
        reason=name,
        too_large=exhausted and _TOO_LARGE.search(words) is not None,
        words=words,
    )


def _retry_delay_s(trailers: Any) -> float | None:
    """The delay of a google.rpc.RetryInfo, which comes in the rich status or in a trailer of its own."""
    infos = []
    for key, value in trailers:
        if key == _RETRY_INFO_KEY:
            infos.append(value)
        elif key == "grpc-status-details-bin":
            infos += [detail for name, detail in any_values(value) if name == _RETRY_INFO]
    for info in infos:
        try:
            delay = dict(fields(info)).get(1, b"")
            duration = dict(fields(delay)) if isinstance(delay, bytes) else {}
        except ValueError:
            continue
        seconds, nanos = duration.get(1, 0), duration.get(2, 0)
        if isinstance(seconds, int) and isinstance(nanos, int):
            return 0.0 if max(seconds, nanos) >= 2**63 else seconds + nanos / 1e9  # negative: at once
    return None


def open_channel(settings: Settings, target: str) -> Any:
    """A channel, encrypted as the settings say, which nothing of the service's watches."""
    if not settings.secure:
        return _original(grpc.insecure_channel)(target, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read(settings.ca_file),
        private_key=_read(settings.key_file),
        certificate_chain=_read(settings.cert_file),
    )
    return _original(grpc.secure_channel)(target, credentials, options=_OPTIONS)


def _read(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None


def changed_at(settings: Settings) -> tuple[int, ...]:
    """When the files of the connection were last written."""
    return tuple(_written_at(path) for path in (settings.ca_file, settings.cert_file, settings.key_file) if path)


def _written_at(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _original(function: Any) -> Any:
    """Grpc's own function under what instrumentation has wrapped around it."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function
