"""Three ways by which OTLP comes to a collector, each heeding how it is pushed back in its own way; not a test.

`mirror`: the interceptors' own sender. `grpc`: a plain client that retries after RetryInfo. `http`: one that heeds Retry-After.
The plain ones hold requests in a bounded queue which some threads empty, as the OpenTelemetry Collector's exporters do; what
finds no room is dropped and counted, before it was ever sent.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_mirror import Settings
from grpc_mirror.counters import Counters
from grpc_mirror.sinks.direct import DirectTransport
from grpc_mirror.sinks.sender import Sender
from grpc_mirror.sinks.transport import SendResult

from tests.collect.servers import EXPORT
from tests.live.flood.calls import Maker, numbers_of

REQUEST_CALLS = 256
THREADS = 10  # of one exporter, each with a request under way: as the OpenTelemetry Collector by default
TIMEOUT_S = 10.0
END_MAX_S = 300.0  # for what is left when the flood is over


@dataclass
class Told:
    """What an exporter was told. `times[n]`: how often call n was acknowledged."""

    times: bytearray = field(default_factory=bytearray)
    acknowledged: int = 0  # calls, each time that one was
    dropped: int = 0  # calls that found no room at the exporter
    pushed_back: Counter[str] = field(default_factory=Counter)  # requests, by status
    asked_s: Counter[float] = field(default_factory=Counter)  # how long to wait, as told when pushed back
    unanswered: Counter[str] = field(default_factory=Counter)  # requests that may have been taken all the same
    problems: list[str] = field(default_factory=list)

    def took(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            if number >= len(self.times):
                self.times.extend(bytes(number - len(self.times) + 1024))
            self.times[number] += 1
        self.acknowledged += len(numbers)


class Exporter(Protocol):
    def put(self, numbers: range) -> bool:
        """Take these calls. False: not all could be, and are counted."""

    def end(self) -> None:
        """Send all that was taken."""


class MirrorExporter:
    """The interceptors' own sender, and what its transport was told."""

    def __init__(self, endpoint: str, maker: Maker, told: Told) -> None:
        self._maker, self._told = maker, told
        settings = Settings(
            endpoint=endpoint,
            service_name="shop",
            resource=maker.resource,
            retry_max_s=END_MAX_S,
            flush_on_sigterm=False,
        )
        self._counters = Counters()
        self._sender = Sender(
            settings, self._counters, lambda own, resource: _Heard(DirectTransport(own, resource), told)
        )

    def put(self, numbers: range) -> bool:
        dropped = self._dropped()
        for number in numbers:
            self._sender.put(self._maker.record(number))
        return self._dropped() == dropped

    def end(self) -> None:
        if not self._sender.flush(END_MAX_S):
            self._told.problems.append("the sender could not send all")
        self._sender.shutdown(10)
        counts = self._sender.counts()
        self._told.dropped = counts.dropped.pop("queue_full", 0)
        if counts.dropped or counts.waiting:
            self._told.problems.append(f"the sender dropped {counts.dropped}, {counts.waiting} wait")
        if counts.sent != self._told.acknowledged:
            self._told.problems.append(f"the sender counts {counts.sent} as sent, not {self._told.acknowledged}")

    def _dropped(self) -> int:
        return self._counters.read().dropped.get("queue_full", 0)


class _Heard:
    """A transport that passes everything on and notes what was answered."""

    def __init__(self, transport: DirectTransport, told: Told) -> None:
        self._transport, self._told = transport, told
        self.encode, self.close, self.abort = transport.encode, transport.close, transport.abort

    def send(self, items: Sequence[Any], timeout_s: float) -> SendResult:
        result = self._transport.send(items, timeout_s)
        if result.ok:
            self._told.took(numbers_of(items))
            if result.rejected:
                self._told.problems.append(f"rejected: {result.reason}")
        elif result.reason == "UNAVAILABLE" and result.retry_after_s is not None:
            self._told.pushed_back[result.reason] += 1
            self._told.asked_s[result.retry_after_s] += 1
        else:
            self._told.unanswered[result.reason] += 1
        return result


class PlainExporter:
    """Whole requests in a bounded queue. `way`: makes the connection of one thread."""

    def __init__(self, way: Any, maker: Maker, told: Told, *, queue_max_calls: int = 8192) -> None:
        self._maker, self._told = maker, told
        self._queue: deque[range] = deque()
        self._queue_max = max(1, queue_max_calls // REQUEST_CALLS)
        self._changed = threading.Condition()
        self._ending = False
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, args=(way,), daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def put(self, numbers: range) -> bool:
        with self._changed:
            room = len(self._queue) < self._queue_max
            if room:
                self._queue.append(numbers)
                self._changed.notify()
            else:
                self._told.dropped += len(numbers)
        return room

    def end(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        until_s = time.monotonic() + END_MAX_S
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads) or self._queue:
            self._told.problems.append("not all could be sent")

    def _work(self, way: Any) -> None:
        connection = way()
        while (numbers := self._next()) is not None:
            body = self._maker.request(numbers)
            while (wait_s := self._once(connection, body, numbers)) is not None:
                time.sleep(wait_s)
        connection.close()

    def _next(self) -> range | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._ending)
            return self._queue.popleft() if self._queue else None

    def _once(self, connection: Any, body: bytes, numbers: range) -> float | None:
        """Send it; how long to wait before the next try, None: it is dealt with."""
        answer = connection.send(body)
        with self._lock:
            told = self._told
            if answer.status in ("OK", "200"):
                told.took(numbers)
                return None
            if answer.retry_after_s is not None:
                told.pushed_back[answer.status] += 1
                told.asked_s[answer.retry_after_s] += 1
                if answer.problem:
                    told.problems.append(answer.problem)
                return answer.retry_after_s
            told.unanswered[answer.status] += 1
            return 0.25


@dataclass(frozen=True)
class Answer:
    status: str
    retry_after_s: float | None = None
    problem: str = ""


class GrpcWay:
    """RetryInfo must come in the rich status, where the specification has it, and alone."""

    def __init__(self, endpoint: str) -> None:
        self._channel = grpc.insecure_channel(endpoint, options=[("grpc.use_local_subchannel_pool", 1)])
        self._export = self._channel.unary_unary(EXPORT)

    def send(self, body: bytes) -> Answer:
        try:
            self._export(body, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            return _pushed_back(error)
        return Answer("OK")

    def close(self) -> None:
        self._channel.close()


def _pushed_back(error: Any) -> Answer:
    status = error.code().name
    trailers = dict(error.trailing_metadata() or ())
    rich, alone = trailers.get("grpc-status-details-bin"), trailers.get("google.rpc.retryinfo-bin")
    if status != "UNAVAILABLE" or rich is None:
        return Answer(status)
    info = RetryInfo()
    if not Status.FromString(rich).details[0].Unpack(info):
        return Answer(status)
    problem = "" if alone == info.SerializeToString() else "RetryInfo stands only in the rich status"
    return Answer(status, info.retry_delay.seconds + info.retry_delay.nanos / 1e9, problem)


class HttpWay:
    """OTLP over HTTP/1.1 on a connection that is kept."""

    def __init__(self, endpoint: str) -> None:
        self._connection = http.client.HTTPConnection(endpoint, timeout=TIMEOUT_S)

    def send(self, body: bytes) -> Answer:
        try:
            self._connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request connects anew
            return Answer(type(error).__name__)
        after = response.headers.get("retry-after")
        return Answer(str(response.status), float(after) if after and response.status in (429, 503) else None)

    def close(self) -> None:
        self._connection.close()


def exporter(kind: str, addresses: dict[str, str], maker: Maker, told: Told) -> Exporter:
    """`kind`: mirror, grpc or http. `addresses` as the collector's addresses file has them."""
    if kind == "mirror":
        return MirrorExporter(addresses["otlp_grpc"], maker, told)
    if kind == "grpc":
        return PlainExporter(lambda: GrpcWay(addresses["otlp_grpc"]), maker, told)
    return PlainExporter(lambda: HttpWay(addresses["otlp_http"]), maker, told)
