"""The rules of the configuration beside what the store knows of them: hits, and whether their paths exist. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from mirror.core.rules import Rule, Status
from mirror.store.views import RuleStatus, RuleView


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule as page and API show it."""

    id: str
    type: str
    path: str
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

    @property
    def status(self) -> RuleStatus | None:
        """The best that any method's schema said, as `mirror rules check` has it; None: no method in its scope was seen.

        A rule for all methods is right where one of them has its path.
        """
        order = [str(status) for status in Status]
        return min(self.statuses, key=lambda one: order.index(one.status), default=None)

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
    return RuleLine(
        id=rule.id,
        type=rule.type,
        path=str(rule.scope.path),
        methods=rule.scope.methods,
        runs=rule.scope.runs,
        reason=rule.reason,
        owner=rule.owner,
        expires=rule.expires.isoformat() if rule.expires else None,
        link=rule.link,
        expired=not rule.in_force(today),
        hits=view.hits if view else 0,
        last_hit_s=view.last_hit_s if view else None,
        statuses=view.statuses if view else (),
    )
