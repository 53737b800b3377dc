"""Where a comparison puts what it finds, and the limits on how much it looks at. Walking is apart from keeping."""

from __future__ import annotations

from typing import Any

from mirror.core.compare.options import Result
from mirror.core.model import Difference, Kind
from mirror.core.path import Path


class TooComplexError(Exception):
    """The work limit is reached; `path` is where."""

    def __init__(self, path: Path) -> None:
        super().__init__("the work limit is reached")
        self.path = path


class EnoughError(Exception):
    """A probe has seen as many differences as it asked for."""


class Budget:
    """The work left in one comparison, shared by its probes."""

    __slots__ = ("left",)

    def __init__(self, work_max: int) -> None:
        self.left = work_max

    def spend(self, units: int, path: Path) -> None:
        """Take `units` (fields or elements looked at); raises TooComplexError when none are left."""
        self.left -= units
        if self.left < 0:
            raise TooComplexError(path)


class _Kept:
    """Differences up to a limit, and their true count."""

    __slots__ = ("_limit", "_seen", "count", "kept")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: set[tuple[str, Kind]] | None = None
        self.kept: list[Difference] = []
        self.count = 0

    def add(self, difference: Difference) -> None:
        self.count += 1
        if self.count > self._limit and not self._is_new(difference):
            return
        self.kept.append(difference)

    def _is_new(self, difference: Difference) -> bool:
        """Beyond the limit only what has a pattern and kind of its own: hypotheses are made from these."""
        if self._seen is None:
            self._seen = {(kept.pattern, kept.kind) for kept in self.kept}
        name = (difference.pattern, difference.kind)
        if len(self.kept) >= 2 * self._limit or name in self._seen:
            return False
        self._seen.add(name)
        return True


class Sink:
    """Keeps the differences of one comparison in the order of finding."""

    __slots__ = ("_counted", "_excused", "complete")

    def __init__(self, differences_max: int) -> None:
        self._counted = _Kept(differences_max)
        self._excused = _Kept(differences_max)
        self.complete = True

    def add(  # noqa: PLR0913 - the parts of a Difference
        self, path: Path, kind: Kind, left: Any = None, right: Any = None, *, rule: str = "", note: str = ""
    ) -> None:
        """One difference; with `rule`, the id of the rule under which it does not count."""
        kept = self._excused if rule else self._counted
        kept.add(Difference(path, kind, left, right, rule, note))

    def result(self) -> Result:
        """All that was found."""
        return Result(
            tuple(self._counted.kept),
            tuple(self._excused.kept),
            self._counted.count,
            self._excused.count,
            self.complete,
        )


class Probe(Sink):
    """Counts only what counts, keeps nothing, and stops the walk at `stop_at`."""

    __slots__ = ("_stop_at", "count")

    def __init__(self, stop_at: int) -> None:
        super().__init__(0)
        self._stop_at = stop_at
        self.count = 0

    def add(  # noqa: PLR0913 - the sink's signature
        self,
        path: Path,  # noqa: ARG002 - the sink's signature
        kind: Kind,  # noqa: ARG002
        left: Any = None,  # noqa: ARG002
        right: Any = None,  # noqa: ARG002
        *,
        rule: str = "",
        note: str = "",  # noqa: ARG002
    ) -> None:
        """Count one difference that no rule excuses; raises EnoughError at the limit."""
        if not rule:
            self.count += 1
            if self.count >= self._stop_at:
                raise EnoughError
