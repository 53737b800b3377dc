"""The way of a file's rules to the core's records. Problems of one rule, then of rules together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from mirror.config.clashes import Placed, together
from mirror.config.problems import Problem
from mirror.config.rule_models import RULE_MODELS, RULES_MAX, AnyRule, RuleSettings
from mirror.config.source import Loc, Source
from mirror.config.translate import translate
from mirror.core.path import PathPattern
from mirror.core.rules import (
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

_RECORDS: Final[tuple[type[Rule], ...]] = (
    Ignore,
    Tolerance,
    TimeWindow,
    UnorderedList,
    KeyedList,
    ValueClass,
    NormalisedText,
    Presence,
)
_RECORD_OF: Final[dict[str, type[Rule]]] = {record.type: record for record in _RECORDS}
_ADAPTER: Final[TypeAdapter[RuleSettings]] = TypeAdapter(AnyRule)


def read_rules(source: Source, raw: Any, runs: Sequence[str]) -> tuple[tuple[Rule, ...], list[Problem]]:
    """The core's rules of a file's `rules`, and every problem of each alone and of all together."""
    loc: Loc = ("rules",)
    if not isinstance(raw, list):
        return (), [Problem(source.mark(loc), "rules is a list: start each rule with `- type: ...`")]
    if len(raw) > RULES_MAX:
        return (), [Problem(source.mark(loc), f"more than {RULES_MAX} rules")]
    placed: list[Placed] = []
    problems: list[Problem] = []
    for position, item in enumerate(raw):
        try:
            settings = _ADAPTER.validate_json(json.dumps(item), strict=True)
        except ValidationError as error:  # noqa: PERF203 - every rule is to be checked
            problems += translate(error, source, (*loc, position), tagged=RULE_MODELS)
        else:
            placed.append(((*loc, position), to_core(settings)))
    problems += (Problem(source.mark(at), text) for at, text in together(placed, runs, source))
    return tuple(rule for _, rule in placed), problems


def to_core(settings: RuleSettings) -> Rule:
    """One rule as the core knows it."""
    methods = () if "*" in settings.methods else settings.methods
    scope = Scope(path=PathPattern.parse(settings.path), runs=settings.runs, methods=methods)
    kind = str(getattr(settings, "type"))  # noqa: B009 - every subclass has it, each as its own literal
    common: dict[str, Any] = {
        "scope": scope,
        "id": settings.id or default_id(kind, scope),
        "reason": settings.reason,
        "owner": settings.owner,
        "expires": settings.expires,
        "link": settings.link,
    }
    return _RECORD_OF[kind](**common, **settings.own())
