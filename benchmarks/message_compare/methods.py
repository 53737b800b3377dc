"""Ours, and what else Python offers, over parsed pairs; each timed as the peer times itself."""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Callable
from time import perf_counter
from typing import Final

from google.protobuf.json_format import MessageToDict

from mirror.core.compare import Comparer
from mirror.core.path import PathPattern
from mirror.core.rules import Ignore, MethodRules, Rule, Scope, Tolerance, UnorderedList

from .cases import Case, Pair

REPEATS: Final = 5  # of which the best counts; and a repeat lasts REPEAT_MIN_S at least: both are the peer's
REPEAT_MIN_S: Final = 0.08
RULES: Final = 50
# Where none of the messages has a field, though some have the fields on the way.
ELSEWHERE: Final = (
    "response.other_{}.items[*].price",
    "response.grp.mids[*].nope_{}",
    "response.items[*].nope_{}",
    "response.named[*].nope_{}",
    "response.nope_{}",
)

Pass = Callable[[list[Pair]], int]


class WrongError(Exception):
    """A method did not find what differs: its speed means nothing."""


def rules_elsewhere(number: int = RULES) -> MethodRules:
    """So many rules, of three kinds in turn, none of which meets a field."""
    made: list[Rule] = []
    for index in range(number):
        scope = Scope(PathPattern.parse(ELSEWHERE[index % len(ELSEWHERE)].format(index)))
        kinds: tuple[Rule, ...] = (
            Ignore(scope=scope, id=f"ignore {index}"),
            Tolerance(scope=scope, id=f"tolerance {index}", absolute=0.01),
            UnorderedList(scope=scope, id=f"unordered {index}"),
        )
        made.append(kinds[index % len(kinds)])
    return MethodRules(tuple(made))


def counting(comparer: Comparer) -> Pass:
    """How many differences there are."""

    def run(pairs: list[Pair]) -> int:
        found = 0
        compare = comparer.compare
        for left, right, size in pairs:
            found += compare(left, right, size).count
        return found

    return run


def materialising(comparer: Comparer) -> Pass:
    """The differences themselves too, as many as a result keeps."""

    def run(pairs: list[Pair]) -> int:
        found = kept = 0
        compare = comparer.compare
        for left, right, size in pairs:
            result = compare(left, right, size)
            found += result.count
            kept += len(result.differences)
        return found if kept else 0

    return run


def equality(pairs: list[Pair]) -> int:
    """`==` of upb: a yes or no."""
    return sum(left != right for left, right, _ in pairs)


def dictionaries(pairs: list[Pair]) -> int:
    """Both to dictionaries, and `==` of these: a yes or no."""
    return sum(MessageToDict(left) != MessageToDict(right) for left, right, _ in pairs)


def deepdiff() -> Pass | None:
    """Both to dictionaries, and deepdiff of these; None where it is not installed."""
    if importlib.util.find_spec("deepdiff") is None:
        return None
    from deepdiff import DeepDiff  # noqa: PLC0415 - an extra

    return lambda pairs: sum(bool(DeepDiff(MessageToDict(left), MessageToDict(right))) for left, right, _ in pairs)


def fast() -> dict[str, Pass]:
    """The methods that see all pairs in every round."""
    plain, ruled = Comparer(), Comparer(rules_elsewhere())
    return {
        "ours": counting(plain),
        "ours_differences": materialising(plain),
        "ours_rules": counting(ruled),
        "upb_eq": equality,
    }


def slow() -> dict[str, Pass]:
    """The methods that see a sample once."""
    found: dict[str, Pass | None] = {"dict_eq": dictionaries, "deepdiff": deepdiff()}
    return {name: run for name, run in found.items() if run}


def verify(case: Case, pairs: list[Pair], methods: dict[str, Pass]) -> None:
    """Raises WrongError unless every method finds what gen.py changed: ours in number and in all pairs, the rest at all in a sample."""
    sample = pairs[: case.shape.sample]
    for name, run in methods.items():
        own = name.startswith("ours")
        seen = pairs if own else sample
        expected = len(seen) * (case.changed if own else not case.equal)
        if (found := run(seen)) != expected:
            raise WrongError(f"{name} found {found} in {len(seen)} pairs of {case.name}, not {expected}")


def ns_a_pair(
    methods: dict[str, Pass], pairs: list[Pair], clock: Callable[[], float] = perf_counter
) -> dict[str, float]:
    """Best of REPEATS by method; each passes over all pairs until REPEAT_MIN_S are gone.

    The methods take turns repeat by repeat, so that a slow second of the machine falls on all of them. The cyclic garbage
    collector is off while the clock runs.
    """
    collecting = gc.isenabled()
    best = dict.fromkeys(methods, float("inf"))
    gc.disable()
    try:
        for _ in range(REPEATS):
            for name, run in methods.items():
                gc.collect()
                best[name] = min(best[name], _repeat(run, pairs, clock))
    finally:
        if collecting:
            gc.enable()
    return best


def _repeat(run: Pass, pairs: list[Pair], clock: Callable[[], float]) -> float:
    passes = 0
    began = clock()
    while True:
        run(pairs)
        passes += 1
        spent = clock() - began
        if spent >= REPEAT_MIN_S:
            return spent / passes / len(pairs) * 1e9
