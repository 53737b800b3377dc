"""The outbound calls of one open group, gathered until their served calls have all of theirs. Pure; one owner.

They come as spans of their own: before or after the span of the call that made them, late, twice or never. Each names
that span, so those of an earlier attempt are told from those of the one that counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from mirror.core.model import CallRecord, OutboundRecord, Role

OUTBOUND_MAX: Final = 1000  # of one served call; interceptors capture no more
# Why an outbound call is with no served call.
DROPS: Final = (
    "duplicate_outbound",  # this very call came before
    "outbound_limit",  # over OUTBOUND_MAX
    "outbound_after_end",  # begun when its served call had ended: chance says whether it comes in time
    "not_mirrored_outbound",  # of a primary for which no shadow is to come
    "orphan_outbound",  # its served call never came, or another attempt of it counted
    "late_outbound",  # its group was released before it came
)
_Served = tuple[Role, bytes]


class Gathering:
    """What came of each served call, by role and span."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: dict[_Served, dict[tuple[str, int], OutboundRecord]] = {}

    def add(self, record: OutboundRecord) -> str:
        """File one; the reason if it is dropped (one of DROPS), else empty."""
        held = self._of.setdefault((record.role, record.served_span_id), {})
        if (record.method, record.index) in held:
            return "duplicate_outbound"
        if len(held) >= OUTBOUND_MAX:
            return "outbound_limit"
        held[record.method, record.index] = record
        return ""

    def has_all(self, calls: Iterable[CallRecord]) -> bool:
        """Whether each of these served calls has as many as it says to have made."""
        return all(len(self._of.get((call.role, call.span_id), ())) >= call.outbound_calls for call in calls)

    def give(self, calls: dict[Role, CallRecord]) -> tuple[dict[Role, CallRecord], list[OutboundRecord]]:
        """The calls with their outbound calls, by method and index; and those left that are none of theirs."""
        if not self._of:
            return calls, []
        given = dict(calls)
        for role, call in calls.items():
            held = self._of.pop((role, call.span_id), None)
            if held:
                given[role] = replace(call, outbound=tuple(held[key] for key in sorted(held)))
        return given, [one for held in self._of.values() for one in held.values()]
