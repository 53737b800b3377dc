"""The account of a run: every call that came, and what became of it. It adds up, whatever happened to the collector.

The totals of a run are committed with the counts that they belong to, so at each commit: received = grouped + dropped + waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mirror.core.model import MethodCounts, Release

# Names of totals, by run.
CALLS_RECEIVED: Final = "calls_received"
CALLS_GROUPED: Final = "calls_grouped"  # released in a group
CALLS_DROPPED: Final = "calls_dropped"  # .reason
OUTBOUND_RECEIVED: Final = "outbound_received"
OUTBOUND_GROUPED: Final = "outbound_grouped"
OUTBOUND_DROPPED: Final = "outbound_dropped"  # .reason
REQUESTS: Final = "requests"  # .release: groups
# Of all runs: a process does not say which run its figures belong to.
SOURCE_CAPTURED: Final = "source_captured"
SOURCE_DROPPED: Final = "source_dropped"  # .reason

FAILED: Final = "internal_error"  # of calls dropped: a fault of the collector


@dataclass(frozen=True, slots=True)
class Ledgered:
    """Calls of one kind: `received` = `grouped` + all of `dropped` + `waiting`."""

    received: int
    grouped: int
    dropped: dict[str, int]

    @property
    def waiting(self) -> int:
        """Not decided at the last commit; also what died with a collector that had no journal."""
        return self.received - self.grouped - sum(self.dropped.values())


@dataclass(frozen=True, slots=True)
class Account:
    """A run from what services captured to what was compared.

    `pairs` = `compared` + all of `incomplete` + all of `incomparable`, over all epochs. `requests`: groups of calls by why
    they were released, those without a candidate expected included. `source_*` are of all runs together.
    """

    run: str
    calls: Ledgered
    outbound: Ledgered
    requests: dict[str, int]
    pairs: int
    compared: int
    incomplete: dict[str, int]
    incomparable: dict[str, int]
    refused: int  # calls of the run that a process refused, as its configuration did not have it; not among `calls`
    source_captured: int
    source_dropped: dict[str, int]

    @property
    def duplicates(self) -> int:
        """Calls that came again: exporters repeat what was not acknowledged in time."""
        return self.calls.dropped.get("duplicate", 0)

    @property
    def evicted(self) -> int:
        """Groups let go early, since memory was full."""
        return self.requests.get(Release.EVICTED, 0)


def account_of(
    run: str, of_run: Mapping[str, int], of_all: Mapping[str, int], counts: Iterable[MethodCounts], *, refused: int = 0
) -> Account:
    """The account of a run by its totals, those of no run, the counts of its epochs, and how many calls were refused."""
    each = list(counts)
    compared = sum(one.matched + one.mismatched + one.ignored for one in each)
    return Account(
        run=run,
        calls=_ledgered(of_run, CALLS_RECEIVED, CALLS_GROUPED, CALLS_DROPPED),
        outbound=_ledgered(of_run, OUTBOUND_RECEIVED, OUTBOUND_GROUPED, OUTBOUND_DROPPED),
        requests=_under(of_run, REQUESTS),
        pairs=sum(one.pairs for one in each),
        compared=compared,
        incomplete=_reasons(each, "incomplete"),
        incomparable=_reasons(each, "incomparable"),
        refused=refused,
        source_captured=of_all.get(SOURCE_CAPTURED, 0),
        source_dropped=_under(of_all, SOURCE_DROPPED),
    )


def _ledgered(totals: Mapping[str, int], received: str, grouped: str, dropped: str) -> Ledgered:
    return Ledgered(totals.get(received, 0), totals.get(grouped, 0), _under(totals, dropped))


def _under(totals: Mapping[str, int], name: str) -> dict[str, int]:
    return {key[len(name) + 1 :]: n for key, n in sorted(totals.items()) if key.startswith(f"{name}.")}


def _reasons(counts: Iterable[MethodCounts], verdict: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in counts:
        named = _under(one.reasons, verdict)
        rest = getattr(one, verdict) - sum(named.values())
        for reason, n in (named | ({"unknown": rest} if rest else {})).items():
            found[reason] = found.get(reason, 0) + n
    return found
