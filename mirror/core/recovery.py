"""Which spans of a stored request recovery takes, and which only leave a tombstone. Pure.

Reading begins at the lowest open position less what exporters may repeat: a request whose acknowledgement was lost comes
again after the restart, and must find the tombstones of the calls that it repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mirror.core.ledger import Progress
from mirror.core.model import CallRecord, OutboundRecord

Span: TypeAlias = CallRecord | OutboundRecord


@dataclass(frozen=True, slots=True)
class Recovered:
    """The calls and outbound calls of one request, divided. `counted`: all else of it was counted too."""

    taken: tuple[Span, ...]
    closed: tuple[Span, ...]
    counted: bool


def recovered(progress: Progress, position: int, spans: Sequence[Span]) -> Recovered:
    """Divide the spans of the request at `position` by what a checkpoint says of it."""
    if position >= progress.next_position:
        return Recovered(tuple(spans), (), counted=False)
    taken = tuple(span for span in spans if progress.takes(position, span.span_index))
    closed = tuple(span for span in spans if not progress.takes(position, span.span_index))
    return Recovered(taken, closed, counted=True)
