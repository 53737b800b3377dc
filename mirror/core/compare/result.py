"""What came of a comparison. Kept as it was found; records are made only for who reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from mirror.core.model import Difference, Kind
from mirror.core.path import Path

# The parts of a Difference, in its order: path, kind, left, right, rule, note, right_path.
Row: TypeAlias = tuple[Path, Kind, Any, Any, str, str, Path]
REMARKS: Final = frozenset({Kind.MOVED, Kind.MATCHED, Kind.IGNORED})


class Result:
    """What `compare` found; frozen.

    `count` and `ignored_count` are the true figures. Of differences that count, and of those under a rule, the first
    `differences_max` each are kept; beyond, one of each further (path pattern, kind), up to as many again.
    `complete` is False where the work limit ended the comparison: then the counts are at least.
    """

    __slots__ = ("_complete", "_count", "_ignored_count", "_report", "_rows")

    def __init__(self, rows: Sequence[Row] = (), count: int = 0, ignored_count: int = 0, complete: bool = True) -> None:  # noqa: FBT001, FBT002 - on the hot path
        self._rows = rows
        self._count = count
        self._ignored_count = ignored_count
        self._complete = complete
        self._report: tuple[Difference, ...] | None = None

    @classmethod
    def of(cls, *differences: Difference) -> Result:
        """A result of just these."""
        rows = [(d.path, d.kind, d.left, d.right, d.rule, d.note, d.right_path) for d in differences]
        ignored = sum(bool(d.rule) for d in differences)
        return cls(rows, len(rows) - ignored, ignored)

    @property
    def count(self) -> int:
        """How many differences count."""
        return self._count

    @property
    def ignored_count(self) -> int:
        """How many real differences a rule excuses."""
        return self._ignored_count

    @property
    def complete(self) -> bool:
        """Whether all was looked at."""
        return self._complete

    @property
    def same(self) -> bool:
        """Whether nothing counts."""
        return self._count == 0

    @property
    def report(self) -> tuple[Difference, ...]:
        """All that is kept, in the order of finding: differences, those under a rule, and remarks."""
        if self._report is None:
            self._report = tuple(Difference(*row) for row in self._rows)
        return self._report

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Those that count."""
        return () if not self._count else tuple(_only(self.report, remarks=False, ruled=False))

    @property
    def ignored(self) -> tuple[Difference, ...]:
        """Real differences that a rule ignores or tolerates, each with its id."""
        return () if not self._ignored_count else tuple(_only(self.report, remarks=False, ruled=True))

    @property
    def remarks(self) -> tuple[Difference, ...]:
        """What the options asked to be told beside differences: kinds MOVED, MATCHED and IGNORED."""
        return tuple(_only(self.report, remarks=True, ruled=False))


def _only(report: Iterable[Difference], *, remarks: bool, ruled: bool) -> Iterable[Difference]:
    return (each for each in report if (each.kind in REMARKS) is remarks and bool(each.rule) is ruled)
