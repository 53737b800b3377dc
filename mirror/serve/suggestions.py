"""Rule suggestions with a preview: proposals of the core, each tried on the comparisons that the store has kept.

Reads the store; changes nothing. A proposal stands only if the configuration's own checker takes it beside the rules in force,
and if under it nothing differs any more at its path in any kept comparison.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from mirror.config import Config, ConfigError
from mirror.config.addition import read_addition, rule_yaml
from mirror.config.options import compare_options
from mirror.core.calls import CallComparer
from mirror.core.model import CallRecord, Difference, Kind, Outcome, Role, Verdict
from mirror.core.noise import State
from mirror.core.rules import Rule, RuleSet
from mirror.core.suggestions import Proposal, Seen, proposals
from mirror.serve import models_of_clusters as models
from mirror.serve import words
from mirror.serve.recompare import Recomparer, calls_of
from mirror.store.queries import Reader
from mirror.store.views import EpochView, HypothesisView

COMPARISONS_OF_PATH: Final = 50  # the newest kept ones that a rule is read off from
COMPARISONS_OF_METHOD: Final = 150  # and those that it is tried on beside
PATHS_MAX: Final = 60  # looked at; those with the most differing pairs first
NEVER_APPLIED: Final = (
    "None of them is applied: paste what you agree with under rules: in mirror.yaml, with an owner, and restart."
)
_IN_QUESTION: Final = frozenset({State.REGRESSED, State.SUSPECT})
_NO_PATH: Final = frozenset({Kind.ANY, Kind.NO_ANSWER})  # of which no value can be seen
_Member = tuple[str, Kind]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule does to the kept comparisons of its method: differences of the candidate that it hides, and where.

    `comparisons` were compared again, `touched` of them have such differences.
    """

    comparisons: int
    touched: int
    hidden: int
    hidden_in_question: int
    then_matching: int

    @property
    def words(self) -> str:
        """In one sentence."""
        of = f"{words.count(self.touched)} of {words.plural(self.comparisons, 'kept comparison')}"
        told = f"would hide {words.plural(self.hidden, 'difference')} in {of}"
        if not self.hidden_in_question:
            told += ", none suspect"
        elif self.hidden_in_question == self.hidden:
            told += ", all at paths that are regressed or suspect"
        else:
            told += f", {words.count(self.hidden_in_question)} of them at paths that are regressed or suspect"
        return f"{told}; {words.plural(self.then_matching, 'comparison')} would no longer differ at all"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One rule. `paths`: what it is about; `rule`: as `mirror.yaml` has it; `yaml`: the same, to paste."""

    paths: tuple[HypothesisView, ...]
    proposal: Proposal
    rule: Mapping[str, Any]
    yaml: str
    preview: Preview

    @property
    def pairs(self) -> int:
        """All pairs that differ there, kept or not."""
        return max(one.pairs for one in self.paths)

    @property
    def state(self) -> State:
        """The first of its kinds in question, else noisy."""
        return next((one.state for one in self.paths if one.state in _IN_QUESTION), self.paths[0].state)


@dataclass(frozen=True, slots=True)
class Suggested:
    """`without`: noisy paths, as text, of which no comparison is kept, so that no rule can be tried."""

    suggestions: tuple[Suggestion, ...] = ()
    without: tuple[str, ...] = ()


NOTHING: Final = Suggested()


@dataclass(frozen=True, slots=True)
class _Target:
    """One path pattern of a method, with all kinds in which it differs."""

    method: str
    pattern: str
    paths: tuple[HypothesisView, ...]
    noisy: bool


@dataclass(frozen=True, slots=True)
class _Kept:
    """One kept comparison, compared again under the rules in force."""

    calls: dict[Role, CallRecord]
    candidate: Outcome
    secondary: Outcome | None


def suggest(reader: Reader, config: Config, epoch: EpochView, *, today: date, method: str | None = None) -> Suggested:
    """The rules that would explain the noisy and the harmless-looking paths of an epoch (of one method)."""
    views = [view for view in reader.hypotheses(epoch.id, method) if view.hypothesis.kind not in _NO_PATH]
    targets = _targets(views, has_secondary=epoch.has_secondary)
    rules = config.rules.in_force(today)
    again = Recomparer(reader, compare_options(config))
    suggestions: list[Suggestion] = []
    without: list[str] = []
    for name in dict.fromkeys(target.method for target in targets):
        mine = [target for target in targets if target.method == name]
        asked = {
            (v.hypothesis.pattern, v.hypothesis.kind) for v in views if v.hypothesis.method == name and _asked(v, epoch)
        }
        trial = _Trial(again, config, rules, _kept(reader, epoch, again.under(rules), again, mine), frozenset(asked))
        for target in mine:
            found = trial.first(target)
            if found is not None:
                suggestions.append(found)
            elif target.noisy and not trial.seen(target):
                without.append(f"{target.method}: {target.pattern}")
    suggestions.sort(
        key=lambda one: (one.proposal.last_resort, bool(one.preview.hidden_in_question), -one.preview.hidden)
    )
    return Suggested(tuple(suggestions), tuple(without))


def _asked(view: HypothesisView, epoch: EpochView) -> bool:
    """Whether the verdict may hang on it. Without a secondary nothing tells noise from change."""
    if not epoch.has_secondary:
        return view.pairs > 0
    return view.state in _IN_QUESTION or (view.state is State.NOISY and not view.judgement.explained)


def _targets(views: Sequence[HypothesisView], *, has_secondary: bool) -> list[_Target]:
    by_path: defaultdict[tuple[str, str], list[HypothesisView]] = defaultdict(list)
    for view in views:
        if view.state in {*_IN_QUESTION, State.NOISY} or (not has_secondary and view.pairs):
            by_path[view.hypothesis.method, view.hypothesis.pattern].append(view)
    found = [
        _Target(method, pattern, tuple(paths), all(one.judgement.explained for one in paths) and has_secondary)
        for (method, pattern), paths in by_path.items()
    ]
    found.sort(key=lambda one: -sum(path.pairs for path in one.paths))
    return sorted(found[:PATHS_MAX], key=lambda one: (one.method, one.pattern))


def _kept(
    reader: Reader, epoch: EpochView, comparer: CallComparer, again: Recomparer, targets: Iterable[_Target]
) -> list[_Kept]:
    ids: dict[str, None] = {}
    for target in targets:
        lines = reader.comparisons(epoch.id, method=target.method, pattern=target.pattern, limit=COMPARISONS_OF_PATH)
        ids |= dict.fromkeys(line.id for line in lines)
        ids |= dict.fromkeys(
            line.id for line in reader.comparisons(epoch.id, method=target.method, limit=COMPARISONS_OF_METHOD)
        )
    found = []
    for one in ids:
        comparison = reader.comparison(one)
        calls = calls_of(comparison) if comparison is not None else {}
        candidate = again.outcome(comparer, calls, Role.CANDIDATE)
        if candidate is not None:
            found.append(_Kept(calls, candidate, again.outcome(comparer, calls, Role.SECONDARY)))
    return found


class _Trial:
    """Tries rules on the kept comparisons of one method."""

    def __init__(
        self, again: Recomparer, config: Config, rules: RuleSet, kept: list[_Kept], in_question: frozenset[_Member]
    ) -> None:
        self._again = again
        self._config = config
        self._rules = rules
        self._kept = kept
        self._in_question = in_question

    def seen(self, target: _Target) -> list[Seen]:
        """The differences at a path, of both shadows: noise is to be explained too."""
        outcomes = [one for kept in self._kept for one in (kept.candidate, kept.secondary) if one is not None]
        return [Seen(d.kind, d.left, d.right) for o in outcomes for d in o.differences if d.pattern == target.pattern]

    def first(self, target: _Target) -> Suggestion | None:
        """The first proposal that does it."""
        for proposal in proposals(target.pattern, self.seen(target), noisy=target.noisy):
            rule = _rule(target, proposal)
            text = rule_yaml(rule)
            try:
                added = read_addition(text, self._rules.rules, self._config.runs)
            except ConfigError:
                continue  # it clashes with one in force
            preview = self._preview(target, added)
            if preview is not None and preview.hidden and not (target.noisy and preview.hidden_in_question):
                return Suggestion(target.paths, proposal, rule, text, preview)
        return None

    def _preview(self, target: _Target, rule: Rule) -> Preview | None:
        """None: at its path something still differs."""
        comparer = self._again.under(RuleSet((*self._rules.rules, rule)))
        hidden: Counter[_Member] = Counter()
        then_matching = touched = 0
        for kept in self._kept:
            was = kept.candidate
            if not any(d.pattern.startswith(target.pattern) for d in was.differences):
                continue  # it does not concern it
            now = self._again.outcome(comparer, kept.calls, Role.CANDIDATE)
            if now is None or any(d.pattern == target.pattern for d in now.differences):
                return None
            gone = _members(was.differences) - _members(now.differences)
            hidden += gone
            touched += bool(gone)
            then_matching += was.verdict is Verdict.MISMATCHED and now.verdict in {Verdict.MATCHED, Verdict.IGNORED}
        asked = sum(n for member, n in hidden.items() if member in self._in_question)
        return Preview(len(self._kept), touched, hidden.total(), asked, then_matching)


def _members(differences: Iterable[Difference]) -> Counter[_Member]:
    return Counter((d.pattern, d.kind) for d in differences)


def _rule(target: _Target, proposal: Proposal) -> dict[str, Any]:
    because = "two instances of the same build differ here too" if target.noisy else "it looks harmless"
    return {
        "type": proposal.type,
        "path": target.pattern,
        "methods": [target.method],
        **proposal.parameters,
        "reason": f"{proposal.why}; {because}",
    }


def suggestions_out(run: str, epoch: EpochView | None, found: Suggested) -> models.Suggestions:
    """In the shape of the API."""
    return models.Suggestions(
        run=run,
        epoch=epoch.id if epoch else None,
        suggestions=[_out(one) for one in found.suggestions],
        without=list(found.without),
    )


def _out(one: Suggestion) -> models.Suggestion:
    name = one.paths[0].hypothesis
    return models.Suggestion(
        method=name.method,
        pattern=name.pattern,
        kinds=[path.hypothesis.kind for path in one.paths],
        state=one.state,
        pairs=one.pairs,
        type=one.proposal.type,
        rule=dict(one.rule),
        yaml=one.yaml,
        why=one.proposal.why,
        last_resort=one.proposal.last_resort,
        preview=models.Preview.model_validate(one.preview),
    )
