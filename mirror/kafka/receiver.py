"""What becomes of one OTLP request at `mirror ingest`: cut by trace, written to Kafka, acknowledged when Kafka has acknowledged it.

Spans that are not ours are left out. What else is wrong with a span only its worker finds, which puts it among the dead letters.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from mirror.collect.counters import Counters
from mirror.collect.faults import log_fault
from mirror.collect.receive import CONVERT_MAX_BYTES, INLINE_MAX_BYTES, Accepted, Busy, Failed, Malformed, Reply
from mirror.collect.slices import BadBatch
from mirror.kafka.delivery import Delivery, NotDeliveredError
from mirror.kafka.messages import REJECTIONS, Cut, cut

_log: Final = logging.getLogger(__name__)


class KafkaReceiver:
    """A Taker of the listeners. `message_max_bytes`: of one message of the topic."""

    def __init__(self, delivery: Delivery, counters: Counters, *, message_max_bytes: int) -> None:
        self._delivery = delivery
        self._counters = counters
        self._message_max_bytes = message_max_bytes

    async def receive(self, body: bytes, protocol: str, *, convert: Callable[[bytes], bytes] | None = None) -> Reply:
        """See Taker."""
        size, room = len(body), self._delivery.room
        if not room.reserve(size):
            stopping = room.closed
            self.refused(protocol, "stopping" if stopping else "queue_full")
            message = "ingest is stopping" if stopping else "too much waits for Kafka to acknowledge it"
            return Busy(message, full=not stopping)
        try:
            return await self._receive(body, protocol, convert)
        except BadBatch as problem:
            self.refused(protocol, "malformed")
            return Malformed(str(problem))
        except NotDeliveredError as problem:
            self.refused(protocol, "kafka")
            return Busy(f"Kafka does not take it: {problem}")
        except Exception as fault:  # noqa: BLE001 - one request must not take the listener down
            self._counters.inc("mirror_internal_errors_total", stage="receive")
            self.refused(protocol, "internal_error")
            log_fault(_log, "receiving a request", fault)
            return Failed()
        finally:
            room.release(size)

    def refused(self, protocol: str, reason: str) -> None:
        """See Taker."""
        self._counters.inc("mirror_batches_refused_total", protocol=protocol, reason=reason)

    async def _receive(self, body: bytes, protocol: str, convert: Callable[[bytes], bytes] | None) -> Reply:
        def work() -> Cut:
            return cut(convert(body) if convert else body, message_max_bytes=self._message_max_bytes)

        inline = len(body) <= (CONVERT_MAX_BYTES if convert else INLINE_MAX_BYTES)
        done = work() if inline else await asyncio.to_thread(work)
        rejected = dict(done.rejected)
        if done.messages and (too_large := await self._delivery.deliver(done.messages)):
            rejected["too_large"] = rejected.get("too_large", 0) + too_large
        self._count(done, rejected, protocol)
        reasons = (f"{count} {reason} ({REJECTIONS[reason]})" for reason, count in sorted(rejected.items()))
        total = sum(rejected.values())
        return Accepted(total, f"{total} spans rejected: {'; '.join(reasons)}" if total else "")

    def _count(self, done: Cut, rejected: dict[str, int], protocol: str) -> None:
        inc = self._counters.inc
        inc("mirror_batches_total", protocol=protocol)
        for kind, count in (("captured", done.spans), ("ordinary", done.ordinary)):
            if count:
                inc("mirror_spans_total", count, kind=kind)
        for reason, count in rejected.items():
            inc("mirror_spans_rejected_total", count, reason=reason)
