"""All rules of a configuration, and which of them concern one method."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from mirror.core.rules.match import MethodRules
from mirror.core.rules.records import Rule

METHODS_MAX: Final = 4096  # methods remembered; their names come with captures


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules in the order of the file."""

    rules: tuple[Rule, ...] = ()
    _methods: dict[tuple[str, str], MethodRules] = field(default_factory=dict, init=False, compare=False, repr=False)
    _shared: dict[tuple[Rule, ...], MethodRules] = field(default_factory=dict, init=False, compare=False, repr=False)

    def for_method(self, run: str, method: str) -> MethodRules:
        """The rules in the scope of this method. Methods with the same rules share one object."""
        found = self._methods.get((run, method))
        if found is None:
            in_scope = tuple(rule for rule in self.rules if rule.scope.includes(run, method))
            if len(self._methods) >= METHODS_MAX:
                self._methods.clear()
            if len(self._shared) >= METHODS_MAX:
                self._shared.clear()
            found = self._shared.setdefault(in_scope, MethodRules(in_scope))
            self._methods[run, method] = found
        return found

    def in_scope(self, run: str, method: str | None) -> tuple[Rule, ...]:
        """The rules in the scope of this method; of None those of any method of the run."""
        if method is not None:
            return self.for_method(run, method).rules
        return tuple(rule for rule in self.rules if not rule.scope.runs or run in rule.scope.runs)

    def digest(self, run: str, method: str | None) -> str:
        """16 hex digits over what the rules in this scope mean: equal as long as they judge calls in the same way."""
        meanings = sorted(rule.meaning for rule in self.in_scope(run, method))
        return hashlib.sha256("\n".join(meanings).encode()).hexdigest()[:16]

    def in_force(self, today: date) -> RuleSet:
        """Those that have not expired on `today`; itself where none has."""
        kept = tuple(rule for rule in self.rules if rule.in_force(today))
        return self if len(kept) == len(self.rules) else RuleSet(kept)

    def expired(self, today: date) -> tuple[Rule, ...]:
        """Those that no longer apply on `today`."""
        return tuple(rule for rule in self.rules if not rule.in_force(today))
