"""Rules: what may differ between primary and candidate, and where. Pure; read `records` for the kinds.

A rule is a frozen record with a scope (runs, methods, path pattern). `RuleSet.for_method` gives those of one method, ready
to be asked along a walk down a message; `check_paths` holds rules against a schema once one is known.
"""

from mirror.core.rules.bearing import RuleMark
from mirror.core.rules.changing import Covered, RuleChange
from mirror.core.rules.check import MethodTypes, PathStatus, Status, check_paths, check_rule, merge
from mirror.core.rules.match import MethodRules, Place
from mirror.core.rules.parameters import parameters_of
from mirror.core.rules.records import (
    VALUE_CLASSES,
    VALUE_RULES,
    WHITESPACE,
    Ignore,
    KeyedList,
    NormalisedText,
    Presence,
    Rule,
    Scope,
    TimeWindow,
    Tolerance,
    UnorderedList,
    ValueClass,
    default_id,
)
from mirror.core.rules.replacing import PatternError, Replacement
from mirror.core.rules.ruleset import RuleSet
from mirror.core.rules.walk import Schema

__all__ = [
    "VALUE_CLASSES",
    "VALUE_RULES",
    "WHITESPACE",
    "Covered",
    "Ignore",
    "KeyedList",
    "MethodRules",
    "MethodTypes",
    "NormalisedText",
    "PathStatus",
    "PatternError",
    "Place",
    "Presence",
    "Replacement",
    "Rule",
    "RuleChange",
    "RuleMark",
    "RuleSet",
    "Schema",
    "Scope",
    "Status",
    "TimeWindow",
    "Tolerance",
    "UnorderedList",
    "ValueClass",
    "check_paths",
    "check_rule",
    "default_id",
    "merge",
    "parameters_of",
]
