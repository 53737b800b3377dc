"""What primaries were told when they made outbound calls, kept for a little while for the shadows that make the same ones.

Lives in the listeners' event loop, which alone touches it: answers are there as soon as a batch was taken, however far behind
the pipeline is. Bounded by bytes, by age and by the number of those who wait; time is an argument.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from grpc_mirror.v1 import capture_pb2, lookup_pb2

from mirror.core.model import OutboundRecord, Role

WAITING_MAX: Final = 1000
WAIT_MAX_S: Final = 5.0
OVERHEAD_BYTES: Final = 400  # what holding an answer costs beside its capture
_RESPONSE: Final = capture_pb2.DIRECTION_RESPONSE


class Key(NamedTuple):
    """One outbound call of one primary."""

    run: str
    mirror_id: str
    served_method: str
    method: str
    request_hash: bytes
    ordinal: int


@dataclass(slots=True)
class _Kept:
    capture: bytes
    span_id: bytes
    arrived_s: float
    ambiguous: bool = False

    @property
    def size(self) -> int:
        return len(self.capture) + OVERHEAD_BYTES


class Recordings:
    """At most `max_bytes` (0: nothing) of captures, each for at most `max_age_s`; of `runs` alone."""

    def __init__(self, runs: Iterable[str], *, max_bytes: int, max_age_s: float) -> None:
        self._runs = frozenset(runs)
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()  # oldest first
        self._waiting: dict[Key, set[asyncio.Future[None]]] = {}
        self._waiters = 0
        self.bytes = 0
        self.crowded = 0  # answers let go of because there was no room

    def see(self, made: Iterable[OutboundRecord]) -> None:
        """Keep what primaries among these were told, and answer whoever waits for it."""
        for record in made:
            told = record.role is Role.PRIMARY and record.sent
            if told and self._max_bytes and record.key.run in self._runs:
                self._keep(_key_of(record), record)

    async def lookup(self, key: Key, wait_s: float, now_s: float) -> lookup_pb2.LookupResponse:
        """What the primary was told, waiting up to `wait_s` for it to come."""
        self._expire(now_s)
        if key not in self._kept and wait_s > 0 and key.run in self._runs and self._max_bytes:
            if self._waiters >= WAITING_MAX:
                return _without(lookup_pb2.LOOKUP_RESULT_BUSY)
            await self._wait(key, min(wait_s, WAIT_MAX_S))
        kept = self._kept.get(key)
        if kept is None:
            return _without(lookup_pb2.LOOKUP_RESULT_NOT_FOUND)
        return _without(lookup_pb2.LOOKUP_RESULT_AMBIGUOUS) if kept.ambiguous else answer_of(kept.capture)

    async def _wait(self, key: Key, wait_s: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(key, set())
        waiting.add(future)
        self._waiters += 1
        try:
            await asyncio.wait((future,), timeout=wait_s)
        finally:
            self._waiters -= 1
            waiting.discard(future)
            if not waiting and self._waiting.get(key) is waiting:
                del self._waiting[key]

    def _keep(self, key: Key, record: OutboundRecord) -> None:
        self._expire(record.arrived_s)
        known = self._kept.get(key)
        if known is not None:
            known.ambiguous |= known.span_id != record.span_id  # else it came twice
            return
        kept = self._kept[key] = _Kept(record.capture, record.span_id, record.arrived_s)
        self.bytes += kept.size
        while self.bytes > self._max_bytes:
            self.crowded += 1
            self._drop_oldest()
        for future in self._waiting.pop(key, ()):
            if not future.done():
                future.set_result(None)

    def _expire(self, now_s: float) -> None:
        while self._kept and next(iter(self._kept.values())).arrived_s + self._max_age_s <= now_s:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, kept = self._kept.popitem(last=False)
        self.bytes -= kept.size


def answer_of(raw: bytes) -> lookup_pb2.LookupResponse:
    """The answer in the capture of a primary's outbound call, if it is all there."""
    capture = capture_pb2.Capture.FromString(raw)
    messages = [message for message in capture.messages if message.direction == _RESPONSE]
    # A request of which something was taken out without a hash may be another one with the same hash.
    blind = any(not (leaf.hmac or leaf.empty) for message in capture.messages for leaf in message.private_leaves)
    private = capture_pb2.OMISSION_PRIVATE, capture_pb2.OMISSION_REDACTION_FAILED
    taken_out = capture.private_leaves or any(m.private_leaves or m.omission in private for m in messages)
    if blind or taken_out:
        return _without(lookup_pb2.LOOKUP_RESULT_PRIVATE)
    if len(messages) < capture.response_count or any(message.omission for message in messages):
        return _without(lookup_pb2.LOOKUP_RESULT_LEFT_OUT)
    answer = capture_pb2.Capture(
        response_type=capture.response_type,
        status_code=capture.status_code,
        status_message=capture.status_message,
        status_details=capture.status_details,
        messages=[capture_pb2.CapturedMessage(direction=_RESPONSE, body=message.body) for message in messages],
    )
    return lookup_pb2.LookupResponse(result=lookup_pb2.LOOKUP_RESULT_FOUND, answer=answer.SerializeToString())


def _key_of(record: OutboundRecord) -> Key:
    key = record.key
    return Key(key.run, key.mirror_id, key.method, record.method, record.request_hash, record.ordinal)


def _without(result: lookup_pb2.LookupResult) -> lookup_pb2.LookupResponse:
    return lookup_pb2.LookupResponse(result=result)
