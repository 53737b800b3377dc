"""Rules: what may differ between primary and candidate, and where. Pure; read `records` for the kinds.

A rule is a frozen record with a scope (runs, methods, path pattern). `RuleSet.for_method` gives those of one method, ready
to be asked along a walk down a message; `check_paths` holds rules against a schema once one is known.
"""

from mirror.core.rules.match import MethodRules, Place
from mirror.core.rules.records import (
    VALUE_CLASSES,
    Ignore,
    KeyedList,
    Rule,
    Scope,
    TimeWindow,
    Tolerance,
    UnorderedList,
    ValueClass,
    default_id,
)
from mirror.core.rules.ruleset import RuleSet

__all__ = [
    "VALUE_CLASSES",
    "Ignore",
    "KeyedList",
    "MethodRules",
    "Place",
    "Rule",
    "RuleSet",
    "Scope",
    "TimeWindow",
    "Tolerance",
    "UnorderedList",
    "ValueClass",
    "default_id",
]
