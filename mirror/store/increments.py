"""The parts of what is gathered between two commits; see `changes`."""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.model import Judged
from mirror.core.rules import RuleSet


@dataclass(slots=True)
class Seen:
    """An epoch in this batch: seconds of its first and last arrival, its first minute, whether a secondary was expected."""

    started_s: float
    last_s: float
    minute: int
    has_secondary: bool

    def widen(self, first_s: float, last_s: float, minute: int) -> None:
        """Hold these arrivals too."""
        self.started_s = min(self.started_s, first_s)
        self.last_s = max(self.last_s, last_s)
        self.minute = min(self.minute, minute)


@dataclass(slots=True)
class Served:
    """Calls that one instance served in this batch, and seconds of the first and last arrival of their groups."""

    calls: int = 0
    first_s: float = 0.0
    last_s: float = 0.0

    def add(self, calls: int, first_s: float, last_s: float) -> None:
        """Count calls of groups that arrived within these seconds."""
        self.calls += calls
        self.first_s = min(self.first_s, first_s)
        self.last_s = max(self.last_s, last_s)


@dataclass(slots=True)
class Evidence:
    """Increments of one hypothesis in one minute.

    b, c, d count triples (raw-only, noise-only, both), `left_out` those whose signature was made without it; `pairs` all
    pairs in which the candidate differed.
    """

    b: int = 0
    c: int = 0
    d: int = 0
    pairs: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class RuleUse:
    """Of one rule in one run, as it is written now: comparisons made in its scope, and differences under it."""

    meaning: str  # Rule.digest
    compared: int
    applied: int


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules that calls are judged by now, and the runs that they are judged for."""

    rules: RuleSet
    runs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Kept:
    """One comparison to keep as an example; `blob` is a serialised mirror.v1.Comparison."""

    judged: Judged
    blob: bytes
