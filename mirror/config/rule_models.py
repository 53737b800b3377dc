"""Rules as `mirror.yaml` writes them: one model a type. Each checks what can be checked of a rule alone, path apart."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from mirror.config.values import Duration, MethodGlob, PatternText, RunName, Section, wrong
from mirror.core.compare.jsontext import JsonPointers, PointerError
from mirror.core.path import Field as FieldStep
from mirror.core.path import PathPattern, Typed
from mirror.core.rules import PatternError, Replacement

RULES_MAX: Final = 1000
_Line = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


def _key(value: str) -> str:
    if not all(isinstance(step, FieldStep | Typed) for step in PathPattern.parse(value).steps):
        raise wrong("a key is a path of names below the element, like sku or product.id, without [...] and wildcards")
    return value


def _pointer(value: str) -> str:
    try:
        JsonPointers((value,))
    except PointerError as error:
        raise wrong(str(error)) from None
    return value


def _pattern(value: str) -> str:
    try:
        Replacement(value, "")
    except PatternError as error:
        raise wrong(str(error)) from None
    return value


KeyText = Annotated[PatternText, AfterValidator(_key)]
PointerText = Annotated[str, Field(max_length=500), AfterValidator(_pointer)]


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

    def own(self) -> dict[str, Any]:
        """What this type says beyond it, by the names of the core's record."""
        return {}


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

    def own(self) -> dict[str, Any]:
        """See RuleSettings."""
        return {"absolute": self.absolute, "relative": self.relative}


class TimeWindowSettings(RuleSettings):
    """Timestamps or Durations may lie this far apart."""

    type: Literal["time_window"]
    within: Duration = Field(description="Allowed distance: `250ms`, `5s`, `30m`, or a number of seconds.")

    @model_validator(mode="after")
    def _has_effect(self) -> TimeWindowSettings:
        if not self.within:
            raise wrong("the rule has no effect: within must be above 0")
        return self

    def own(self) -> dict[str, Any]:
        """See RuleSettings."""
        return {"within_s": self.within}


class UnorderedSettings(RuleSettings):
    """The elements of a list, or the messages of a stream, may come in any order."""

    type: Literal["unordered"]


class KeyedSettings(RuleSettings):
    """The elements of a list, or the messages of a stream, belong together by key, not by position."""

    type: Literal["keyed"]
    by: Annotated[tuple[KeyText, ...], Field(min_length=1, max_length=8)] = Field(
        description="Paths below the element whose values make the key: `[sku]`, `[product.id, size]`."
    )

    def own(self) -> dict[str, Any]:
        """See RuleSettings."""
        return {"by": self.by}


class ValueClassSettings(RuleSettings):
    """Values may differ as long as both are of one class."""

    type: Literal["value_class"]
    class_: Literal["uuid", "timestamp", "non_empty", "same_length", "same_sign"] = Field(
        alias="class", description="What both values must be."
    )

    def own(self) -> dict[str, Any]:
        """See RuleSettings."""
        return {"name": self.class_}


class ReplaceSettings(Section):
    """Each match of a pattern becomes another text before the two sides are compared."""

    pattern: Annotated[str, AfterValidator(_pattern)] = Field(
        description="A regular expression in the syntax of RE2: no look-around, no backreferences."
    )
    with_: Annotated[str, Field(max_length=1000)] = Field(
        alias="with",
        description="What stands for each match: `\\1` is the first group, `\\0` the match. Empty: it goes.",
    )

    @model_validator(mode="after")
    def _has_its_groups(self) -> ReplaceSettings:
        try:
            Replacement(self.pattern, self.with_)
        except PatternError as error:
            raise wrong(str(error)) from None
        return self


class TextSettings(RuleSettings):
    """Text (a string, or bytes in UTF-8) may differ as long as both sides are equal once normalised."""

    type: Literal["text"]
    case: Literal["ignore"] | None = Field(default=None, description="`ignore`: upper and lower case are the same.")
    whitespace: Literal["collapse", "strip", "ignore"] | None = Field(
        default=None,
        description="`strip`: none at the ends; `collapse`: also each run of it is one space; `ignore`: none at all.",
    )
    replace: Annotated[tuple[ReplaceSettings, ...], Field(max_length=16)] = Field(
        default=(), description="Replacements, applied in order before anything else."
    )
    json_: bool = Field(
        default=False,
        alias="json",
        description="Compare as JSON: order of members, white space and the spelling of numbers (1, 1.0) do not matter.",
    )
    json_ignore: Annotated[tuple[PointerText, ...], Field(max_length=64)] = Field(
        default=(),
        description="With json: JSON pointers to what does not count, `*` for any member or element: `/items/*/at`.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> TextSettings:
        if not (self.case or self.whitespace or self.replace or self.json_):
            raise wrong("the rule has no effect: give case, whitespace, replace or json")
        if self.json_ and (self.case or self.whitespace):
            raise wrong("case and whitespace do not go with json, which compares values; only replace does")
        if self.json_ignore and not self.json_:
            raise wrong("json_ignore needs json: true")
        return self

    def own(self) -> dict[str, Any]:
        """See RuleSettings."""
        return {
            "case": self.case or "",
            "whitespace": self.whitespace or "",
            "replace": tuple((one.pattern, one.with_) for one in self.replace),
            "json": self.json_,
            "json_ignore": self.json_ignore,
        }


class PresenceSettings(RuleSettings):
    """Unset equals default: one side may lack what the other has set to its default, or to an empty message."""

    type: Literal["presence"]


AnyRule: TypeAlias = Annotated[
    IgnoreSettings
    | ToleranceSettings
    | TimeWindowSettings
    | UnorderedSettings
    | KeyedSettings
    | ValueClassSettings
    | TextSettings
    | PresenceSettings,
    Field(discriminator="type"),
]
RULE_MODELS: Final[dict[str, type[RuleSettings]]] = {
    "ignore": IgnoreSettings,
    "tolerance": ToleranceSettings,
    "time_window": TimeWindowSettings,
    "unordered": UnorderedSettings,
    "keyed": KeyedSettings,
    "value_class": ValueClassSettings,
    "text": TextSettings,
    "presence": PresenceSettings,
}
