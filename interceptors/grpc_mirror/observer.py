"""What all calls of one interceptor share."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from time import monotonic
from typing import Any, Protocol

from grpc_mirror import propagation
from grpc_mirror.counters import Counters
from grpc_mirror.holding import HoldBudget
from grpc_mirror.records import Finished
from grpc_mirror.sampling import Sampling
from grpc_mirror.seen import HOLD_STEP_BYTES, Counted, Seen
from grpc_mirror.settings import Settings


class Sink(Protocol):
    """Where finished calls go."""

    def put(self, record: Finished) -> None:
        """Take a record without blocking; drop and count it where there is no room."""


class Observer:
    """What all calls of one interceptor share."""

    sampled = True  # the messages of its calls are captured
    seen: type[Seen] = Seen

    def __init__(self, settings: Settings, counters: Counters, budget: HoldBudget, sink: Sink) -> None:
        self.settings = settings
        self.counters = counters
        self.budget = budget
        self.sink = sink
        self.observes_initial = bool(settings.metadata)
        self.messages_max = settings.stream_messages_max
        self.message_max_bytes, self.capture_max_bytes = settings.message_max_bytes, settings.capture_max_bytes
        # What a direction holds without looking at the other one, or at the budget.
        self.free_bytes = min(HOLD_STEP_BYTES, settings.message_max_bytes, settings.capture_max_bytes // 2)
        self.wanted = propagation.HEADERS.union(settings.metadata)
        self.sampling = Sampling(settings.method_bytes_per_s)
        self.heavy, self.large_bytes = self.sampling.heavy, self.sampling.large_bytes
        self.unsampled = self._without_messages()

    def of(self, method: str, metadata: Iterable[tuple[str, Any]]) -> Observer:
        """This one, or the one for calls whose messages are not captured. Worth asking where some methods are `heavy`."""
        share = self.heavy.get(method)
        return self if share is None or share.takes(metadata, monotonic()) else self.unsampled

    def _without_messages(self) -> Observer:
        other = copy.copy(self)
        other.sampled, other.seen = False, Counted
        other.free_bytes = -1  # not even an empty one
        return other

    def fault(self) -> None:
        """Our own code failed. Counted; the service goes on."""
        self.counters.notice("internal_error")
