"""What becomes of one OTLP request, whatever it came by: the decision, without any protocol.

Room is reserved in the intake before any work is done, so that a flood costs little and is pushed back. Large bodies are cut
in a thread, so that one sender's batch does not hold up the others. A sender is told that a request was taken once it is in the
journal. It touches the intake, the journal, the counters and the clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from mirror.collect.batch import Batch
from mirror.collect.counters import Counters
from mirror.collect.faults import log_fault
from mirror.collect.intake import Intake
from mirror.collect.journal import Entry, Journal
from mirror.collect.recordings import Recordings
from mirror.collect.slices import BadBatch, Slicer

RETRY_AFTER_S: Final = 1
INLINE_MAX_BYTES: Final = 256 << 10  # larger bodies are cut in a thread
CONVERT_MAX_BYTES: Final = 16 << 10  # the same for bodies that are converted first: JSON is some ten times dearer
_BUSY: Final = {
    "stopping": "the collector is stopping",
    "queue_full": "the collector's queue is full",
    "share_used_up": "this run has its share of the collector's queue",
}
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Taken. `rejected_spans` of it could not be used, for what `message` says; the sender must not repeat them."""

    rejected_spans: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Not OTLP: the sender must not repeat it."""

    message: str


@dataclass(frozen=True, slots=True)
class Busy:
    """No room (`full`), stopping, or the journal fails: the sender should repeat it after `retry_after_s`."""

    message: str
    full: bool = False
    retry_after_s: int = RETRY_AFTER_S


@dataclass(frozen=True, slots=True)
class Failed:
    """A fault of the collector, found with this request: the sender must not repeat it."""

    message: str = "the collector failed on this request; its log says where"


@dataclass(frozen=True, slots=True)
class _Cut:
    batch: Batch
    body: bytes  # OTLP, whatever it came as
    arrived_s: float


Reply: TypeAlias = Accepted | Malformed | Busy | Failed


class Taker(Protocol):
    """Where the listeners hand their requests to."""

    async def receive(self, body: bytes, protocol: str, *, convert: Callable[[bytes], bytes] | None = None) -> Reply:
        """Take a serialised ExportTraceServiceRequest. `convert` makes it of another encoding; it may raise BadBatch."""

    def refused(self, protocol: str, reason: str) -> None:
        """Count a request that a listener refused."""


class Receiver:
    """Takes serialised ExportTraceServiceRequests for the pipeline.

    `clock`: unix seconds.
    """

    def __init__(  # noqa: PLR0913 - what it hands a request to
        self,
        slicer: Slicer,
        intake: Intake,
        counters: Counters,
        *,
        clock: Callable[[], float],
        recordings: Recordings | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._slicer = slicer
        self._intake = intake
        self._counters = counters
        self._clock = clock
        self._recordings = recordings
        self._journal = journal

    async def receive(self, body: bytes, protocol: str, *, convert: Callable[[bytes], bytes] | None = None) -> Reply:
        """Cut `body`, have it written, and queue it. `convert` makes OTLP bytes of another encoding first; it may raise BadBatch."""
        size = len(body)
        if not self._intake.reserve(size):
            return self._busy(protocol, "stopping" if self._intake.closed else "queue_full")
        try:
            cut = await self._cut(body, convert)
        except BadBatch as problem:
            self._intake.release(size)
            self.refused(protocol, "malformed")
            return Malformed(str(problem))
        except Exception as fault:  # noqa: BLE001 - one request must not take the listener down
            self._intake.release(size)
            self._counters.inc("mirror_internal_errors_total", stage="receive")
            self.refused(protocol, "internal_error")
            log_fault(_log, "receiving a request", fault)
            return Failed()
        except asyncio.CancelledError:
            self._intake.release(size)
            raise
        batch = cut.batch
        if not self._intake.admit(batch, size):
            self._intake.release(size)
            return self._busy(protocol, "share_used_up")
        refusal = await self._keep(cut, size)
        if refusal:
            return self._busy(protocol, "journal", refusal)
        if self._recordings is not None and batch.outbound:
            self._recordings.see(batch.outbound)
            self._counters.set("mirror_recordings_bytes", self._recordings.bytes)
            self._counters.set("mirror_recordings_crowded_total", self._recordings.crowded)
        self._counters.inc("mirror_batches_total", protocol=protocol)
        count_spans(self._counters, batch)
        return Accepted(batch.rejected_spans, batch.message)

    async def _keep(self, cut: _Cut, size: int) -> str:
        """Have the batch queued, on disk before if there is a journal. Why not, if so; then its room is given back.

        Once the journal has it, it goes its way also where the sender does not wait for the answer.
        """
        if self._journal is None:
            self._intake.put(cut.batch, size)
            return ""
        if not cut.batch.counts:
            self._intake.release(size, cut.batch)  # spans that are not ours: the pipeline has no use for them
            return ""
        settled: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if not self._journal.append(Entry(cut.batch, cut.body, cut.arrived_s, size, settled)):
            self._intake.release(size, cut.batch)
            return self._journal.problem or _BUSY["stopping"]
        return await settled

    def _busy(self, protocol: str, reason: str, message: str = "") -> Busy:
        self.refused(protocol, reason)
        return Busy(message or _BUSY[reason], full=reason in ("queue_full", "share_used_up"))

    def refused(self, protocol: str, reason: str) -> None:
        """Count a request that was refused, here or by a listener."""
        self._counters.inc("mirror_batches_refused_total", protocol=protocol, reason=reason)

    async def _cut(self, body: bytes, convert: Callable[[bytes], bytes] | None) -> _Cut:
        arrived_s = self._clock()

        def cut() -> _Cut:
            otlp = convert(body) if convert else body
            return _Cut(self._slicer.slice(otlp, arrived_s=arrived_s), otlp, arrived_s)

        inline = len(body) <= (CONVERT_MAX_BYTES if convert else INLINE_MAX_BYTES)
        return cut() if inline else await asyncio.to_thread(cut)


def count_spans(counters: Counters, batch: Batch) -> None:
    """Count what a request held."""
    kinds = {
        "call": len(batch.calls),
        "schema": len(batch.schemas),
        "report": len(batch.reports),
        "outbound": len(batch.outbound),
        "ordinary": batch.ordinary,
    }
    for kind, count in kinds.items():
        if count:
            counters.inc("mirror_spans_total", count, kind=kind)
    for reason, count in batch.rejected.items():
        counters.inc("mirror_spans_rejected_total", count, reason=reason)


def settle(intake: Intake, group: Sequence[Entry], problem: str) -> None:
    """What became of entries of the journal, told by its thread: queue them, or give their room back; and tell the listeners."""
    for entry in group:
        if problem:
            intake.release(entry.reserved, entry.batch)
        else:
            intake.put(entry.batch, entry.reserved)
    with suppress(RuntimeError):  # the listeners' loop has ended, and nobody waits
        group[0].settled.get_loop().call_soon_threadsafe(_tell, group, problem)


def _tell(group: Sequence[Entry], problem: str) -> None:
    for entry in group:
        if not entry.settled.done():  # else its sender has gone
            entry.settled.set_result(problem)
