"""What one OTLP request held, as far as it is ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mirror.collect.span_fields import REJECTIONS
from mirror.core.model import NOWHERE, CallRecord, Origin, OutboundRecord, Resource


@dataclass(frozen=True, slots=True)
class Report:
    """What a process says of itself: a serialised mirror.v1.SourceReport, and who sent it."""

    resource: Resource
    data: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What one OTLP request held."""

    calls: tuple[CallRecord, ...] = ()
    schemas: tuple[bytes, ...] = ()  # serialised mirror.v1.Schema
    reports: tuple[Report, ...] = ()
    outbound: tuple[OutboundRecord, ...] = ()  # calls that a service made while it served a mirrored one
    ordinary: int = 0  # spans that are not ours
    origin: Origin = field(default=NOWHERE, compare=False)  # that of all its records
    rejected: Mapping[str, int] = field(default_factory=dict)  # by reason, a key of REJECTIONS

    @property
    def rejected_spans(self) -> int:
        """How many spans of ours could not be used."""
        return sum(self.rejected.values())

    @property
    def run(self) -> str:
        """The run that it is charged to: that of its first call; empty if it has none."""
        if self.calls:
            return self.calls[0].key.run
        return self.outbound[0].key.run if self.outbound else ""

    @property
    def counts(self) -> bool:
        """Whether anything of it is ours."""
        return bool(self.calls or self.outbound or self.schemas or self.reports)

    @property
    def message(self) -> str:
        """What the sender is told of its rejected spans; empty if there are none."""
        parts = (f"{count} {reason} ({REJECTIONS[reason]})" for reason, count in sorted(self.rejected.items()))
        return f"{self.rejected_spans} spans rejected: {'; '.join(parts)}" if self.rejected else ""
