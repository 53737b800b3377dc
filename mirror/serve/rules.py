"""The rules of the configuration beside what the store knows of them: hits, whether their paths exist, whether they ever match. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from mirror.core.rules import Rule, Status, parameters_of
from mirror.store.views import RuleStatus, RuleView

NEVER_MATCHED_FROM: Final = 1_000  # comparisons in its scope without a difference under it
_WRONG: Final = frozenset({str(Status.UNKNOWN), str(Status.MISUSED)})


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule as page and API show it."""

    id: str
    type: str
    path: str
    parameters: str
    methods: tuple[str, ...]
    runs: tuple[str, ...]
    reason: str
    owner: str
    expires: str | None
    link: str
    expired: bool
    hits: int
    last_hit_s: float | None
    statuses: tuple[RuleStatus, ...]
    compared: int  # comparisons in its scope since it says what it says
    never_matched: bool

    @property
    def status(self) -> RuleStatus | None:
        """The best that any method's schema said, as `mirror rules check` has it; None: no method in its scope was seen.

        A rule for all methods is right where one of them has its path.
        """
        order = [str(status) for status in Status]
        told = (one for one in self.statuses if one.status in order)  # not what was said of it when it had expired
        return min(told, key=lambda one: order.index(one.status), default=None)

    @property
    def trouble(self) -> str:
        """What its owner should know; empty where nothing is wrong with it."""
        status = self.status
        if self.expired:
            return f"expired, it applied until {self.expires}"
        if status is not None and status.status in _WRONG:
            return f"{status.method}: {status.text}"
        return f"never matched in {self.compared:,} comparisons" if self.never_matched else ""

    @property
    def link_is_web(self) -> bool:
        """Whether `link` may be a link of the page: nothing but http and https."""
        return self.link.startswith(("http://", "https://"))


def rule_lines(rules: Iterable[Rule], known: Iterable[RuleView], today: date) -> list[RuleLine]:
    """All rules in the order of the configuration; `today` decides which have expired."""
    views = {view.id: view for view in known}
    return [_line(rule, views.get(rule.id), today) for rule in rules]


def for_run(lines: Iterable[RuleLine], run: str) -> list[RuleLine]:
    """The rules whose scope includes the run."""
    return [line for line in lines if not line.runs or run in line.runs]


def _line(rule: Rule, view: RuleView | None, today: date) -> RuleLine:
    compared, applied = view.uses.get(rule.digest, (0, 0)) if view else (0, 0)
    in_force = rule.in_force(today)
    return RuleLine(
        id=rule.id,
        type=rule.type,
        path=str(rule.scope.path),
        parameters=parameters_of(rule.meaning),
        methods=rule.scope.methods,
        runs=rule.scope.runs,
        reason=rule.reason,
        owner=rule.owner,
        expires=rule.expires.isoformat() if rule.expires else None,
        link=rule.link,
        expired=not in_force,
        hits=view.hits if view else 0,
        last_hit_s=view.last_hit_s if view else None,
        statuses=view.statuses if view else (),
        compared=compared,
        never_matched=in_force and not applied and compared >= NEVER_MATCHED_FROM,
    )
