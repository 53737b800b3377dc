"""Turns pydantic's errors into problems with a place in the file and words that say what to do."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mirror.config.problems import Problem, did_you_mean
from mirror.config.source import Loc, Source

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list, like [a, b]",
    "list_type": "a list, like [a, b]",
    "dict_type": "settings, one `name: value` a line",
    "model_type": "settings, one `name: value` a line",
    "model_attributes_type": "settings, one `name: value` a line",
    "date_type": "a date, like 2027-01-31",
    "date_parsing": "a date, like 2027-01-31",
    "date_from_datetime_parsing": "a date, like 2027-01-31",
    "date_from_datetime_inexact": "a date, like 2027-01-31",
}
_BOUNDS = {
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be above {gt:g}",
    "less_than_equal": "must be at most {le:g}",
    "less_than": "must be below {lt:g}",
    "too_short": "needs at least {min_length}",
    "too_long": "takes at most {max_length}",
    "string_too_long": "longer than {max_length} characters",
    "string_too_short": "cannot be empty",
    "string_pattern_mismatch": "one line without control characters",
}


def translate(
    error: ValidationError, source: Source, prefix: Loc, *, tagged: Mapping[str, type[BaseModel]], model: Any = None
) -> list[Problem]:
    """The problems of one validation. `prefix`: where the validated value stands; `model`: what it was validated against.

    `tagged`: the models of a union by the value of their tag.
    """
    found: list[Problem] = []
    details = error.errors(include_url=False)
    for detail in details:
        depth = len(detail["loc"])
        if any(len(other["loc"]) > depth and other["loc"][:depth] == detail["loc"] for other in details):
            continue  # what follows from a problem further in
        within = detail["loc"][:-1]
        names = _names(model, within, tagged) if detail["type"] == "extra_forbidden" else []
        found.append(_problem(detail, source, (*prefix, *detail["loc"]), names=names, tags=list(tagged)))
    return found


def _problem(detail: ErrorDetails, source: Source, loc: Loc, *, names: list[str], tags: list[str]) -> Problem:  # noqa: PLR0911 - one a kind of error
    kind, context = detail["type"], detail.get("ctx", {})
    name = str(loc[-1]) if loc and loc[-1] not in tags else ""
    mark = source.mark(loc)
    match kind:
        case "extra_forbidden":
            return Problem(source.mark(loc, key=True), f'unknown key "{name}"{did_you_mean(name, names)}')
        case "missing":
            return Problem(mark, f'"{name}" is missing')
        case "union_tag_not_found":
            return Problem(mark, f"a rule needs a type: {', '.join(tags)}")
        case "union_tag_invalid":
            given = str(context.get("tag", ""))
            hint = did_you_mean(given, tags) or f"; one of {', '.join(tags)}"
            return Problem(source.mark((*loc, "type")), f'unknown rule type "{given}"{hint}')
        case "literal_error":
            return Problem(mark, f"{name}: {_literal(detail)}")
        case "mirror":
            column = context.get("column")
            return Problem(mark.within(int(column)) if column else mark, _titled(name, str(context["text"])))
        case _ if kind in _WANTED:
            return Problem(mark, _titled(name, f"expected {_WANTED[kind]}"))
        case _:
            return Problem(mark, _titled(name, _bound(kind, context) or detail["msg"][:1].lower() + detail["msg"][1:]))


def _titled(name: str, text: str) -> str:
    return text if not name or name.isdigit() else f"{name}: {text}"


def _literal(detail: ErrorDetails) -> str:
    expected = str(detail.get("ctx", {}).get("expected", ""))
    names = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    given = str(detail["input"])[:40]
    hint = did_you_mean(given, names) or "; one of " + ", ".join(names)
    return f'unknown value "{given}"{hint}'


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    if kind == "greater_than_equal" and context.get("ge") == 0:
        return "cannot be negative"
    return _BOUNDS[kind].format(**context) if kind in _BOUNDS else ""


def _names(model: Any, loc: Iterable[str | int], tagged: Mapping[str, type[BaseModel]]) -> list[str]:
    """The keys that the section at `loc` knows."""
    for step in loc:
        if isinstance(step, str) and step in tagged:
            model = tagged[step]
        elif isinstance(step, str) and _is_model(model):
            fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
            model = fields.get(step)
        elif isinstance(step, int):
            model = next(iter(typing.get_args(model)), model)  # of a list's elements
    if not _is_model(model):
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _is_model(model: Any) -> typing.TypeGuard[type[BaseModel]]:
    return isinstance(model, type) and issubclass(model, BaseModel)
