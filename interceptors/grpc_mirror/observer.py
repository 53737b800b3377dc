"""What all calls of one interceptor share."""

from __future__ import annotations

from typing import Protocol

from grpc_mirror import propagation
from grpc_mirror.counters import Counters
from grpc_mirror.holding import HoldBudget
from grpc_mirror.records import Finished
from grpc_mirror.seen import HOLD_STEP_BYTES
from grpc_mirror.settings import Settings


class Sink(Protocol):
    """Where finished calls go."""

    def put(self, record: Finished) -> None:
        """Take a record without blocking; drop and count it where there is no room."""


class Observer:
    """What all calls of one interceptor share."""

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

    def fault(self) -> None:
        """Our own code failed. Counted; the service goes on."""
        self.counters.notice("internal_error")
