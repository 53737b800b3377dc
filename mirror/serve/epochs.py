"""What page, API, metrics and command line say of a run: assembled here once, so that they never disagree.

Reads the store through `Reader`; time is an argument. Several services may take part in one run: each has an epoch of
its own, the newest counts, and the run's verdict is the worst of theirs.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mirror.config import admission
from mirror.core import verdict
from mirror.core.model import Kind
from mirror.core.noise import State
from mirror.core.verdict import Policy, RunFacts
from mirror.serve.words import ANY_PATH
from mirror.store.queries import Reader
from mirror.store.verdicts import run_facts
from mirror.store.views import EpochView, HypothesisView, MethodView, RunView

WORST_FIRST: Final = ("fail", "inconclusive", "pass")
_STATES: Final = (State.REGRESSED, State.SUSPECT, State.UNJUDGED, State.NOISY, State.CLEAN, State.UNSEEN)


class NotFoundError(Exception):
    """Something that was asked for by name or id is not in the store. `code` is for programs, the text for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One epoch with its verdict."""

    run: str
    epoch: EpochView
    facts: RunFacts
    verdict: verdict.Report


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run: the deciding epoch first (the worst verdict, then the newest), one epoch for each service."""

    name: str
    current: tuple[EpochReport, ...]

    @property
    def deciding(self) -> EpochReport:
        """The epoch whose verdict is the run's."""
        return self.current[0]


@dataclass(frozen=True, slots=True)
class Paths:
    """The hypotheses of an epoch, those that ask for attention first."""

    differing: tuple[HypothesisView, ...]  # regressed, suspect, unjudged, and noisy where noise does not explain them
    together: tuple[HypothesisView, ...]  # the `any` of methods whose own paths say as much already
    explained: tuple[HypothesisView, ...]  # noisy, and no more often than the secondary
    other: tuple[HypothesisView, ...]  # clean or unseen


NO_PATHS: Final = Paths((), (), (), ())


def newest_by_service(epochs: Iterable[EpochView]) -> list[EpochView]:
    """The epoch of each service that got a pair last, the newest first."""
    newest: dict[str, EpochView] = {}
    for epoch in sorted(epochs, key=lambda e: (e.last_s, e.id), reverse=True):
        newest.setdefault(epoch.key.service, epoch)
    return list(newest.values())


def judge(reader: Reader, epoch: EpochView, policy: Policy, now_s: float) -> EpochReport:
    """The verdict of one epoch at `now_s`."""
    facts = run_facts(reader, epoch.id, policy, now_s)
    return EpochReport(epoch.key.run, epoch, facts, verdict.decide(facts, policy))


def judge_run(reader: Reader, run: RunView, policy: Policy, now_s: float) -> RunReport | None:
    """The verdict of a run: the worst of its services' newest epochs. None: no pair was seen yet."""
    reports = [judge(reader, epoch, policy, now_s) for epoch in newest_by_service(run.epochs)]
    reports.sort(key=lambda r: WORST_FIRST.index(r.verdict.verdict))
    return RunReport(run.name, tuple(reports)) if reports else None


def find_run(reader: Reader, name: str, allowed: Sequence[str] = ()) -> RunView:
    """The run; one that is allowed but was not seen yet has no epochs. Raises NotFoundError with the known names."""
    runs = {run.name: run for run in reader.runs()}
    if name in runs:
        return runs[name]
    if name in allowed:
        return RunView(name, ())
    known = sorted({*runs, *allowed})
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = f" Known runs: {', '.join(known[:20])}." if known else " No run has been seen yet."
    refused = next((one.n for one in reader.unknown_runs() if one.name == name), 0)
    came = f" {refused:,} calls that came for it were refused: {admission([name])}." if refused else ""
    raise NotFoundError("unknown_run", f"There is no run {name!r}.{hint}{listed}{came}")


def find_epoch(run: RunView, epoch_id: int) -> EpochView:
    """An epoch of this run by id; raises NotFoundError with the ids there are."""
    for epoch in run.epochs:
        if epoch.id == epoch_id:
            return epoch
    ids = ", ".join(str(epoch.id) for epoch in run.epochs[:20]) or "none yet"
    raise NotFoundError("unknown_epoch", f"Run {run.name!r} has no epoch {epoch_id}. Its epochs: {ids}.")


def paths(reader: Reader, epoch_id: int, method: str | None = None) -> Paths:
    """The hypotheses of an epoch (of one method), sorted for reading: the worst, then the strongest evidence first."""
    found = sorted(reader.hypotheses(epoch_id, method), key=_urgency)
    unexplained = [h for h in found if is_differing(h)]
    together = tuple(h for h in unexplained if h.hypothesis.kind is Kind.ANY and _says_no_more(h, unexplained))
    differing = tuple(h for h in unexplained if h not in together)
    explained = tuple(h for h in found if h.state is State.NOISY and h.judgement.explained)
    rest = tuple(h for h in found if h.state in (State.CLEAN, State.UNSEEN))
    return Paths(differing, together, explained, rest)


def _says_no_more(together: HypothesisView, found: Iterable[HypothesisView]) -> bool:
    """Whether a path of the same method is in as bad a state by itself."""
    return any(
        one.hypothesis.kind is not Kind.ANY
        and one.hypothesis.method == together.hypothesis.method
        and _STATES.index(one.state) <= _STATES.index(together.state)
        for one in found
    )


def is_differing(one: HypothesisView) -> bool:
    """Whether noise does not explain it."""
    if one.state in (State.REGRESSED, State.SUSPECT, State.UNJUDGED):
        return True
    return one.state is State.NOISY and not one.judgement.explained


def pattern_text(one: HypothesisView) -> str:
    """The path pattern as a reader should see it."""
    return ANY_PATH if one.hypothesis.kind is Kind.ANY else one.hypothesis.pattern


def sorted_methods(methods: Iterable[MethodView]) -> list[MethodView]:
    """Methods with the worst state first, then by volume."""
    return sorted(methods, key=lambda m: (_STATES.index(m.state), -m.counts.pairs, m.method))


def _urgency(one: HypothesisView) -> tuple[int, float, int, str, str]:
    name = one.hypothesis
    # `any` says again what the method's own paths say: it stands below them.
    place = 2 * _STATES.index(one.state) + (name.kind is Kind.ANY)
    return place, -one.judgement.log_e_star, -one.b, name.method, f"{name.pattern} {name.kind}"
