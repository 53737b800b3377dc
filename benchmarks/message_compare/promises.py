"""From times to figures, ratios, promises and tables. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .cases import Case

EQUAL_MAX: Final = 0.3  # ours / C++
ONE_MAX: Final = 1.5
FIVE_MAX: Final = 2.5
SMALL_MAX: Final = 3.0  # S with a difference
RULES_MAX: Final = 1.3  # with rules / without
COLUMNS: Final = {
    "cpp": "C++",
    "ours": "ours",
    "ours_differences": "+differences",
    "ours_rules": "+50 rules",
    "upb_eq": "upb ==",
    "dict_eq": "dict ==",
    "deepdiff": "deepdiff",
}


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one case: nanoseconds a pair in each round, by method. `cpp` is the peer's method that does as much."""

    case: Case
    pairs: int
    rounds: dict[str, list[float]]

    def ns_a_leaf(self, method: str) -> float | None:
        """Of the best round; None where the method was not run."""
        found = self.rounds.get(method)
        return min(found) / self.case.shape.leaves if found else None

    def ratio(self, method: str, to: str) -> float:
        """Best round to best round. Both methods were run."""
        return min(self.rounds[method]) / min(self.rounds[to])


@dataclass(frozen=True, slots=True)
class Promise:
    """One ratio and its limit."""

    what: str
    case: Case
    ratio: float
    limit: float

    @property
    def held(self) -> bool:
        """Whether the ratio keeps the limit."""
        return self.ratio <= self.limit


def cpp_method(case: Case) -> str:
    """The peer's method to compare with: it answers yes where that is the answer, and counts where there is something to count."""
    return "cpp_dyn_compare" if case.equal else "cpp_dyn_compare_counting"


def limit(case: Case) -> float:
    """At most so many times the peer."""
    if case.equal:
        return EQUAL_MAX
    if case.shape.letter == "S":
        return SMALL_MAX
    return ONE_MAX if case.situation == "one" else FIVE_MAX


def promises(rows: list[Row]) -> list[Promise]:
    """What is promised of every case: against the peer, and with rules against without."""
    against = [Promise("ours / C++", row.case, row.ratio("ours", "cpp"), limit(row.case)) for row in rows]
    ruled = [Promise("with 50 rules / without", row.case, row.ratio("ours_rules", "ours"), RULES_MAX) for row in rows]
    return against + ruled


def figures_table(rows: list[Row]) -> list[str]:
    """Nanoseconds a leaf, and three ratios, as lines."""
    ratios = ("ours/C++", "+diff./C++", "rules/ours")
    lines = ["shape situation " + "".join(f"{title:>13}" for title in (*COLUMNS.values(), *ratios))]
    for row in rows:
        cells = [_number(row.ns_a_leaf(method)) for method in COLUMNS]
        pairs = (("ours", "cpp"), ("ours_differences", "cpp"), ("ours_rules", "ours"))
        cells += [f"{row.ratio(method, to):.2f}" for method, to in pairs]
        lines.append(f"{row.case.shape.letter:<5} {row.case.situation:<10}" + "".join(f"{cell:>13}" for cell in cells))
    return lines


def promises_table(made: list[Promise]) -> list[str]:
    """Each promise with its ratio, limit and whether it was kept, as lines."""
    lines = [f"{'promise':<24} {'shape':<5} {'situation':<10} {'ratio':>8} {'limit':>7}"]
    for one in made:
        kept = "pass" if one.held else "miss"
        where = f"{one.case.shape.letter:<5} {one.case.situation:<10}"
        lines.append(f"{one.what:<24} {where} {one.ratio:>8.2f} {one.limit:>7.2f}  {kept}")
    return lines


def as_json(rows: list[Row], made: list[Promise]) -> dict[str, object]:
    """Everything, for machines. Of each method every round is kept."""
    return {
        "cases": [
            {
                "shape": row.case.shape.name,
                "situation": row.case.situation,
                "leaves": row.case.shape.leaves,
                "pairs": row.pairs,
                "cpp_method": cpp_method(row.case),
                "ns_a_leaf": {method: row.ns_a_leaf(method) for method in row.rounds},
                "ns_a_pair_by_round": row.rounds,
            }
            for row in rows
        ],
        "promises": [
            {
                "what": one.what,
                "shape": one.case.shape.name,
                "situation": one.case.situation,
                "ratio": one.ratio,
                "limit": one.limit,
                "held": one.held,
            }
            for one in made
        ],
    }


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
