"""What the primary was told: asked of the collector by a shadow that makes the same outbound call. Shell: opens a connection.

Only shadows ask, so nothing of it is in a primary's way. Each question has one deadline, is counted by what came of it,
and whatever goes wrong is no answer: then the policy's other way holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import weakref
from typing import Any, NamedTuple

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from grpc_mirror import canonical
from grpc_mirror.capture import captured_requests
from grpc_mirror.observer import Observer
from grpc_mirror.outbound_span import request_hash
from grpc_mirror.outgoing import Outgoing, Question
from grpc_mirror.policies import Patience
from grpc_mirror.redact import Redactor
from grpc_mirror.schemas import descriptors_of
from grpc_mirror.sinks.over_grpc import open_channel
from grpc_mirror.sinks.shards import keys_of, shard_of, shares
from grpc_mirror.v1 import capture_pb2, lookup_pb2

_LOG = logging.getLogger("grpc_mirror")
METHOD = "/mirror.v1.Recordings/Lookup"
_CONDITIONS = {
    lookup_pb2.LOOKUP_RESULT_NOT_FOUND: "recorded_not_found",
    lookup_pb2.LOOKUP_RESULT_PRIVATE: "recorded_private",
    lookup_pb2.LOOKUP_RESULT_LEFT_OUT: "recorded_left_out",
    lookup_pb2.LOOKUP_RESULT_AMBIGUOUS: "recorded_ambiguous",
    lookup_pb2.LOOKUP_RESULT_BUSY: "recorded_unavailable",
}
_lock = threading.Lock()
_askers: weakref.WeakKeyDictionary[Observer, Asker] = weakref.WeakKeyDictionary()


class _NowhereError(Exception):
    """The settings do not say where to ask."""

    def __str__(self) -> str:
        return "set MIRROR_LOOKUP_ENDPOINT to the collector's gRPC address"


class Told(NamedTuple):
    """How the primary's call ended: its response messages, and its status (`code` of google.rpc.Code)."""

    messages: list[Any]
    code: int
    text: str
    details: bytes

    @property
    def trailing(self) -> tuple[tuple[str, bytes], ...]:
        """The rich status as metadata."""
        return (("grpc-status-details-bin", self.details),) if self.details else ()


class Asker:
    """Asks for the calls of one observer. Any thread may."""

    def __init__(self, observer: Observer) -> None:
        self._settings = observer.settings
        self._counters = observer.counters
        self._lock = threading.Lock()
        self._redactor = Redactor(observer.settings, observer.counters.notice)
        self._endpoints = shares(observer.settings)  # an answer is where the trace's calls are
        self._keys = keys_of(self._endpoints)
        self._lookups: dict[int, Any] = {}
        self._pid = 0
        self._told_failure = False

    def ask(self, question: Question, patience: Patience) -> Told | None:
        """What the primary was told, waiting so long for it. None: nobody knows; it is counted why. Never raises."""
        try:
            asked = self._asked(question, patience.wait_s)
            answer = self._stub(question.trace_id)(asked, timeout=patience.deadline_s, metadata=self._metadata())
            return self._told(question, answer)
        except Exception as error:  # noqa: BLE001 - ours must not reach the service
            self._failed(error)
            return None

    async def ask_aio(self, question: Question, patience: Patience) -> Told | None:
        """The same without blocking the event loop."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def settle() -> None:
            if not done.done():
                done.set_result(None)

        def wake(_call: Any) -> None:
            loop.call_soon_threadsafe(settle)

        call = None
        try:
            asked = self._asked(question, patience.wait_s)
            call = self._stub(question.trace_id).future(asked, timeout=patience.deadline_s, metadata=self._metadata())
            call.add_done_callback(wake)
            await done
            return self._told(question, call.result())
        except asyncio.CancelledError:
            if call is not None:
                call.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - ours must not reach the service
            self._failed(error)
            return None

    def _asked(self, question: Question, wait_s: float) -> bytes:
        types = descriptors_of(question.method, question.request_type, None)
        with self._lock:
            redaction = self._redactor.call(*types)
            messages = captured_requests(question.requests, redaction, self._redactor.key_id, self._settings)
        return lookup_pb2.LookupRequest(
            run=question.run,
            mirror_id=question.mirror_id,
            served_method=question.served_method,
            method=question.method,
            request_hash=request_hash(messages),
            ordinal=question.ordinal,
            wait_ms=int(wait_s * 1000),
        ).SerializeToString()

    def _told(self, question: Question, answer: lookup_pb2.LookupResponse) -> Told | None:
        if answer.result != lookup_pb2.LOOKUP_RESULT_FOUND:
            self._counters.notice(_CONDITIONS.get(answer.result, "recorded_unavailable"))
            return None
        capture = capture_pb2.Capture.FromString(answer.answer)
        descriptor = _response_type(question.method, capture.response_type)
        if descriptor is None and capture.messages:
            self._counters.notice("recorded_unreadable")
            return None
        try:
            kind: Any = None if descriptor is None else canonical.class_of(descriptor)
            messages = [kind.FromString(message.body) for message in capture.messages]
        except DecodeError:
            self._counters.notice("recorded_unreadable")
            return None
        self._counters.notice("recorded")
        return Told(messages, capture.status_code, capture.status_message, capture.status_details)

    def _stub(self, trace_id: bytes) -> Any:
        """The method on a channel of this process, to the trace's collector: a forked child must not use its parent's."""
        shard = shard_of(trace_id, self._keys) if len(self._keys) > 1 else 0
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._lookups.clear()
            if shard not in self._lookups:
                part = self._endpoints[shard]
                if not part.lookup_target:
                    raise _NowhereError
                channel = open_channel(part, part.lookup_target)
                self._lookups[shard] = channel.unary_unary(
                    METHOD, response_deserializer=lookup_pb2.LookupResponse.FromString
                )
            return self._lookups[shard]

    def _metadata(self) -> Any:
        token = self._settings.read_bearer or self._settings.bearer
        return (("authorization", f"Bearer {token}"),) if token else None

    def _failed(self, error: Exception) -> None:
        unavailable = isinstance(error, (grpc.RpcError, _NowhereError))
        self._counters.notice("recorded_unavailable" if unavailable else "internal_error")
        if not self._told_failure:
            self._told_failure = True
            where = ", ".join(part.lookup_target for part in self._endpoints)
            named = (
                str(error) if isinstance(error, _NowhereError) else type(error).__name__
            )  # others may hold a payload
            why = error.code().name if isinstance(error, grpc.RpcError) else named
            with contextlib.suppress(Exception):  # a service's own handler of logs may raise
                _LOG.warning(
                    "grpc_mirror: cannot ask %s what the primary was told: %s (logged once)", where or "anybody", why
                )


def told(outgoing: Outgoing, patience: Patience) -> Told | None:
    """What the primary was told for the same call; None: nobody knows, or this one is not captured."""
    question = outgoing.question()
    return None if question is None else _asker(question.observer).ask(question, patience)


async def told_aio(outgoing: Outgoing, patience: Patience) -> Told | None:
    """The same without blocking the event loop."""
    question = outgoing.question()
    return None if question is None else await _asker(question.observer).ask_aio(question, patience)


def _asker(observer: Observer) -> Asker:
    with _lock:
        asker = _askers.get(observer)
        if asker is None:
            asker = _askers[observer] = Asker(observer)
        return asker


def _response_type(method: str, captured: str) -> Descriptor | None:
    """As this build declares it, else as the primary named it."""
    declared = descriptors_of(method, None, None)[1]
    if declared is not None or not captured:
        return declared
    try:
        return descriptor_pool.Default().FindMessageTypeByName(captured)
    except KeyError:
        return None
