"""One kept comparison, side by side: the figures of each replica, the list of differences, and aligned, marked lines.

Pure: in go a Comparison and a way to find schemas, out comes a frozen view that the template only prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from grpc_mirror.v1.comparison_pb2 import Comparison, Difference, Side, Verdict

from mirror.core.model import Role
from mirror.serve import align, calls, sampling
from mirror.serve.align import Line
from mirror.serve.calls import CallView, SchemaLookup
from mirror.serve.outbound import with_outbound

CONTEXT_LINES: Final = 3
FOLD_FROM_LINES: Final = 40  # shorter sections are shown whole
LINES_MAX: Final = 4_000  # of one section


class Mark(StrEnum):
    """What a line or a difference means. Text, not colour alone, says it on the page."""

    SAME = "same"
    DIFF = "diff"  # counts as a difference
    NOISE = "noise"  # the secondary differs from the primary in the same way
    RULE = "rule"  # a rule ignores or tolerates it
    DRIFT = "drift"  # of the request: it was another question; counts as nothing
    UNJUDGED = "unjudged"  # after calls of the shadow were blocked; counts as nothing
    QUIET = (
        "quiet"  # other text that the comparer holds for equal, or does not compare: order of an unordered list, ...
    )


_SHOWN: Final = (Mark.DIFF, Mark.NOISE, Mark.DRIFT, Mark.UNJUDGED)  # what a reader looks for

_WORST_FIRST: Final = (Mark.DIFF, Mark.NOISE, Mark.DRIFT, Mark.UNJUDGED, Mark.RULE)


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One difference of a shadow against the primary."""

    role: str
    path: str
    pattern: str
    kind: str
    left: str
    right: str
    rule: str
    note: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Replica:
    """One column: who answered, and what came of holding it against the primary."""

    role: str
    version: str
    instance: str
    span_id: str
    call: CallView | None  # None: it never answered, or the capture cannot be read
    verdict: str = ""  # empty for the primary
    reason: str = ""
    difference_count: int = 0
    differences: tuple[DifferenceRow, ...] = ()
    unseen: tuple[str, ...] = ()  # why some of it could not be judged
    not_sampled: str = ""  # where nothing was compared, since messages were not captured: why, in words


@dataclass(frozen=True, slots=True)
class Cell:
    """One line in one column; None stands where that side has no such line."""

    line: Line | None
    mark: Mark


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a section, with one cell for each replica. `far`: may be hidden."""

    cells: tuple[Cell, ...]
    far: bool
    gap: bool  # the first of hidden rows: where "…" stands


@dataclass(frozen=True, slots=True)
class Section:
    """Response, status or metadata of all replicas."""

    name: str
    rows: tuple[Row, ...]
    differs: bool
    foldable: bool
    cut: bool


@dataclass(frozen=True, slots=True)
class SidesView:
    """All that the page of a comparison shows."""

    id: str
    run: str
    service: str
    method: str
    mirror_id: str
    trace_id: str
    compared_at_s: float
    replicas: tuple[Replica, ...]  # primary, candidate, secondary; shadows as far as expected
    sections: tuple[Section, ...]

    @property
    def verdict(self) -> str:
        """What came of the pair (primary and candidate)."""
        return next((r.verdict for r in self.replicas if r.role == Role.CANDIDATE), "")

    @property
    def not_sampled(self) -> str:
        """Why nothing of the pair was compared, in words, where the reason is that messages were not captured; else empty."""
        return next((r.not_sampled for r in self.replicas if r.role == Role.CANDIDATE), "")

    @property
    def differences(self) -> tuple[DifferenceRow, ...]:
        """The candidate's, those that count first, then noise, then those under a rule."""
        order = {Mark.DIFF: 0, Mark.DRIFT: 0, Mark.UNJUDGED: 1, Mark.NOISE: 2, Mark.RULE: 3}
        found = next((r.differences for r in self.replicas if r.role == Role.CANDIDATE), ())
        return tuple(sorted(found, key=lambda d: order.get(d.mark, 4)))

    @property
    def marks(self) -> frozenset[Mark]:
        """Those of all differences."""
        return frozenset(d.mark for r in self.replicas for d in r.differences)


def verdict_word(value: int) -> str:
    """VERDICT_MISMATCHED as "mismatched"; empty for one that is not set or not known."""
    return Verdict.Name(value).removeprefix("VERDICT_").lower() if value in Verdict.values() and value else ""


def sides(comparison: Comparison, schemas: SchemaLookup, *, aligned: bool = True) -> SidesView:
    """The view of `comparison`. Undecodable captures stand as missing, never as an error.

    `aligned` False leaves out the sections, which cost the most and which only the page shows.
    """
    primary = Replica(
        role=Role.PRIMARY,
        version=comparison.primary_version,
        instance=comparison.primary_instance,
        span_id=comparison.primary_span_id.hex(),
        call=with_outbound(
            calls.view(comparison.primary_capture, schemas),
            comparison.primary_outbound,
            comparison.primary_outbound_count,
            schemas,
        ),
    )
    order: dict[str, int] = {Role.CANDIDATE: 0, Role.SECONDARY: 1}
    shadows = sorted(comparison.sides, key=lambda side: order.get(side.role, 2))[:2]
    noise = {
        (d.pattern, d.kind) for side in shadows if side.role == Role.SECONDARY for d in side.differences if not d.rule
    }
    replicas = _sampled((primary, *(_shadow(side, noise, schemas) for side in shadows)))
    return SidesView(
        id=comparison.id,
        run=comparison.run,
        service=comparison.service,
        method=comparison.method,
        mirror_id=comparison.mirror_id,
        trace_id=comparison.trace_id.hex(),
        compared_at_s=comparison.compared_at_s,
        replicas=replicas,
        sections=tuple(_sections(replicas)) if aligned else (),
    )


def _shadow(side: Side, noise: set[tuple[str, str]], schemas: SchemaLookup) -> Replica:
    return Replica(
        role=side.role,
        version=side.version,
        instance=side.instance,
        span_id=side.span_id.hex(),
        call=with_outbound(calls.view(side.capture, schemas), side.outbound, side.outbound_count, schemas),
        verdict=verdict_word(side.verdict),
        reason=side.reason,
        difference_count=max(side.difference_count, len(side.differences)),
        differences=(
            *(_difference(d, side, noise) for d in side.differences),
            *(_difference(d, side, noise, unjudged=True) for d in side.unjudged),
        ),
        unseen=tuple(side.unseen),
    )


def _sampled(replicas: tuple[Replica, ...]) -> tuple[Replica, ...]:
    """With why nothing was compared, where messages were not captured."""
    whole = {r.role: r.call.whole for r in replicas if r.call is not None}
    return tuple(replace(r, not_sampled=sampling.of_pair(r.role, r.reason, whole)) for r in replicas)


def _difference(
    difference: Difference, side: Side, noise: set[tuple[str, str]], *, unjudged: bool = False
) -> DifferenceRow:
    mark = Mark.DIFF
    if unjudged:
        mark = Mark.UNJUDGED
    elif side.reason == "request_drift":
        mark = Mark.DRIFT
    elif difference.rule:
        mark = Mark.RULE
    elif (difference.pattern, difference.kind) in noise:
        mark = Mark.NOISE
    return DifferenceRow(
        role=side.role,
        path=difference.path,
        pattern=difference.pattern,
        kind=difference.kind,
        left=difference.left,
        right=difference.right,
        rule=difference.rule,
        note=difference.note,
        mark=mark,
    )


def _sections(replicas: Sequence[Replica]) -> Iterable[Section]:
    for name in calls.SECTIONS:
        if any(r.call and name in r.call.sections for r in replicas):
            yield _section(name, replicas)


def _section(name: str, replicas: Sequence[Replica]) -> Section:
    trees = [r.call.sections.get(name) if r.call else None for r in replicas]
    pairs = [align.align(trees[0], shadow) for shadow in trees[1:]]
    aligned: list[tuple[Line | None, ...]]
    if len(pairs) == 2:
        aligned = [*align.merge(*pairs)]
    else:
        aligned = [*pairs[0]] if pairs else [(left, None) for left, _ in align.align(trees[0], None)]
    cut = len(aligned) > LINES_MAX
    touched = [_Touched(r.differences) for r in replicas[1:]]
    marked = [_cells(cells, touched) for cells in aligned[:LINES_MAX]]
    far = align.folded([any(cell.mark in _SHOWN for cell in cells) for cells in marked], CONTEXT_LINES)
    rows = [Row(cells, far[i], far[i] and (i == 0 or not far[i - 1])) for i, cells in enumerate(marked)]
    differs = any(cell.mark in _SHOWN for row in rows for cell in row.cells)
    return Section(name, tuple(rows), differs=differs, foldable=differs and len(rows) > FOLD_FROM_LINES, cut=cut)


class _Touched:
    """Which mark the differences of one shadow put on a line."""

    def __init__(self, differences: Iterable[DifferenceRow]) -> None:
        self._by_path: dict[str, Mark] = {}
        for one in differences:
            # No line has this path of its own: that nobody answered is read off the status.
            path = "status.code" if one.path == "status.no_answer" else one.path
            if one.mark is Mark.DIFF or path not in self._by_path:
                self._by_path[path] = one.mark

    def mark(self, left: Line | None, right: Line | None) -> Mark:
        """The mark of one row for this shadow."""
        both = [line for line in (left, right) if line is not None]
        if left and right and left.text == right.text:
            exact = {self._by_path.get(line.path, Mark.SAME) for line in both if not line.opens}
            return Mark.DIFF if Mark.DIFF in exact else Mark.SAME
        found = {mark for line in both for path, mark in self._by_path.items() if _touches(path, line)}
        return next((mark for mark in _WORST_FIRST if mark in found), Mark.QUIET)


def _touches(path: str, line: Line) -> bool:
    """The difference is at the line, above it, or (where the line shows the whole value) below it."""
    if path == line.path or _is_below(line.path, path):
        return True
    return not line.opens and _is_below(path, line.path)


def _is_below(path: str, above: str) -> bool:
    return path.startswith(above) and path[len(above) : len(above) + 1] in (".", "[")


def _cells(lines: tuple[Line | None, ...], touched: Sequence[_Touched]) -> tuple[Cell, ...]:
    left, *shadows = lines
    marks = [one.mark(left, line) if left or line else Mark.SAME for one, line in zip(touched, shadows, strict=False)]
    worst = next((mark for mark in (*_WORST_FIRST, Mark.QUIET) if left and mark in marks), Mark.SAME)
    return (Cell(left, worst), *(Cell(line, mark) for line, mark in zip(shadows, marks, strict=False)))
