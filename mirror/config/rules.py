"""Rules as `mirror.yaml` writes them, and their way to the core's records. Problems of one rule, then of rules together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from mirror.config.clashes import Placed, together
from mirror.config.problems import Problem
from mirror.config.source import Loc, Source
from mirror.config.translate import translate
from mirror.config.values import Duration, MethodGlob, PatternText, RunName, Section, wrong
from mirror.core.path import Field as FieldStep
from mirror.core.path import PathPattern, Typed
from mirror.core.rules import (
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

RULES_MAX: Final = 1000
_Line = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


def _key(value: str) -> str:
    if not all(isinstance(step, FieldStep | Typed) for step in PathPattern.parse(value).steps):
        raise wrong("a key is a path of names below the element, like sku or product.id, without [...] and wildcards")
    return value


KeyText = Annotated[PatternText, AfterValidator(_key)]


class RuleSettings(Section):
    """What every rule has."""

    path: PatternText = Field(description="Where it applies: a path pattern, like `response.items[*].price`.")
    methods: tuple[MethodGlob, ...] = Field(
        default=(), description="Only in these methods, as globs: `shop.v1.Shop/*`. Empty: in all."
    )
    runs: tuple[RunName, ...] = Field(default=(), description="Only in these runs. Empty: in all.")
    id: Annotated[_Line, Field(min_length=1)] | None = Field(
        default=None, description="The name that it is counted under. Default: its type, path and scope."
    )
    reason: _Line = Field(default="", description="Why the difference is expected.")
    owner: _Line = Field(default="", description="Who answers for the rule.")
    expires: date | None = Field(default=None, description="The last day on which it applies, as `2027-01-31`.")
    link: _Line = Field(default="", description="A ticket or page about it.")


class IgnoreSettings(RuleSettings):
    """What differs here or below is counted under the rule and is no difference."""

    type: Literal["ignore"]


class ToleranceSettings(RuleSettings):
    """Numbers may differ by the larger of `absolute` and `relative` times the larger magnitude."""

    type: Literal["tolerance"]
    absolute: float = Field(default=0.0, ge=0, description="Allowed distance.")
    relative: float = Field(default=0.0, ge=0, le=1, description="Allowed share of the larger magnitude: `0.01` is 1%.")

    @model_validator(mode="after")
    def _has_effect(self) -> ToleranceSettings:
        if not self.absolute and not self.relative:
            raise wrong("the rule has no effect: give absolute, relative or both")
        return self


class TimeWindowSettings(RuleSettings):
    """Timestamps or Durations may lie this far apart."""

    type: Literal["time_window"]
    within: Duration = Field(description="Allowed distance: `250ms`, `5s`, `30m`, or a number of seconds.")

    @model_validator(mode="after")
    def _has_effect(self) -> TimeWindowSettings:
        if not self.within:
            raise wrong("the rule has no effect: within must be above 0")
        return self


class UnorderedSettings(RuleSettings):
    """The elements of a list, or the messages of a stream, may come in any order."""

    type: Literal["unordered"]


class KeyedSettings(RuleSettings):
    """The elements of a list, or the messages of a stream, belong together by key, not by position."""

    type: Literal["keyed"]
    by: Annotated[tuple[KeyText, ...], Field(min_length=1, max_length=8)] = Field(
        description="Paths below the element whose values make the key: `[sku]`, `[product.id, size]`."
    )


class ValueClassSettings(RuleSettings):
    """Values may differ as long as both are of one class."""

    type: Literal["value_class"]
    class_: Literal["uuid", "timestamp", "non_empty", "same_length", "same_sign"] = Field(
        alias="class", description="What both values must be."
    )


AnyRule: TypeAlias = Annotated[
    IgnoreSettings | ToleranceSettings | TimeWindowSettings | UnorderedSettings | KeyedSettings | ValueClassSettings,
    Field(discriminator="type"),
]
RULE_MODELS: Final[dict[str, type[RuleSettings]]] = {
    "ignore": IgnoreSettings,
    "tolerance": ToleranceSettings,
    "time_window": TimeWindowSettings,
    "unordered": UnorderedSettings,
    "keyed": KeyedSettings,
    "value_class": ValueClassSettings,
}
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
    match settings:
        case ToleranceSettings(absolute=absolute, relative=relative):
            return Tolerance(absolute=absolute, relative=relative, **common)
        case TimeWindowSettings(within=within):
            return TimeWindow(within_s=within, **common)
        case KeyedSettings(by=by):
            return KeyedList(by=by, **common)
        case ValueClassSettings(class_=name):
            return ValueClass(name=name, **common)
        case UnorderedSettings():
            return UnorderedList(**common)
        case _:
            return Ignore(**common)
