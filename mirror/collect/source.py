"""What the pipeline reads: a log of OTLP requests in partitions, which the embedded journal and Kafka both are.

A source keeps what was acknowledged until it is told that nobody will read it again; how far it was read stands in the
store alone (`store/checkpoints`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One OTLP request as it was stored. Positions of a partition rise, with gaps; they are never given twice."""

    partition: int
    position: int
    arrived_s: float  # unix seconds, when it came: read again, it is the same
    body: bytes  # a serialised ExportTraceServiceRequest


class Source(Protocol):
    """A log of records."""

    @property
    def name(self) -> str:
        """What its rows in the store are called: always the same for the same log, another for another."""
        ...

    def stored(self, partition: int, first: int) -> Iterator[Record]:
        """The records from position `first` on that are there now, in order; or from the oldest that is left."""
        ...

    def done(self, partition: int, *, lowest_open: int) -> None:
        """A checkpoint was committed: below `lowest_open` only what exporters may still repeat is needed.

        Called by the pipeline's thread; returns at once.
        """
        ...
