"""What came of a comparison. Kept as it was found; records are made only for who reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from mirror.core.model import Difference, Kind
from mirror.core.path import Path

# The parts of a Difference, in its order: path, kind, left, right, rule, note, right_path.
Row: TypeAlias = tuple[Path, Kind, Any, Any, str, str, Path]
REMARKS: Final = frozenset({Kind.MOVED, Kind.MATCHED, Kind.IGNORED})


class Result:
    """What `compare` found; it is never changed once a comparison has ended.

    `count` and `ignored_count` are the true figures. Of differences that count, and of those under a rule, the first
    `differences_max` each are kept; beyond, one of each further (path pattern, kind), up to as many again.
    `complete` is False where the work limit ended the comparison: then the counts are at least.
    """

    __slots__ = ("complete", "count", "ignored_count", "rows")

    def __init__(self, rows: Sequence[Row] = (), count: int = 0, ignored_count: int = 0, complete: bool = True) -> None:  # noqa: FBT001, FBT002 - on the hot path
        self.rows = rows  # what is kept, in the order of finding
        self.count = count  # differences that count
        self.ignored_count = ignored_count  # real differences that a rule excuses
        self.complete = complete  # whether all was looked at

    @classmethod
    def of(cls, *differences: Difference) -> Result:
        """A result of just these."""
        rows = [(d.path, d.kind, d.left, d.right, d.rule, d.note, d.right_path) for d in differences]
        ignored = sum(bool(d.rule) for d in differences)
        return cls(rows, len(rows) - ignored, ignored)

    @property
    def same(self) -> bool:
        """Whether nothing counts."""
        return self.count == 0

    @property
    def report(self) -> tuple[Difference, ...]:
        """All that is kept, in the order of finding: differences, those under a rule, and remarks."""
        return tuple(Difference(*row) for row in self.rows)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Those that count."""
        return (
            tuple(Difference(*row) for row in self.rows if not row[4] and row[1] not in REMARKS) if self.count else ()
        )

    @property
    def ignored(self) -> tuple[Difference, ...]:
        """Real differences that a rule ignores or tolerates, each with its id."""
        return tuple(Difference(*row) for row in self.rows if row[4]) if self.ignored_count else ()

    @property
    def remarks(self) -> tuple[Difference, ...]:
        """What the options asked to be told beside differences: kinds MOVED, MATCHED and IGNORED."""
        return tuple(Difference(*row) for row in self.rows if row[1] in REMARKS)
