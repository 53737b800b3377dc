"""Whether two texts are the same once normalised, as a `text` rule asks. Pure.

Bytes are taken as UTF-8; what is none, or is larger than the limits of `replacing` and `jsontext`, is the same as nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from mirror.core.compare.jsontext import TEXT_MAX, JsonPointers, same_json
from mirror.core.rules import NormalisedText, Replacement
from mirror.core.rules.replacing import replaced

STEPS: Final = 2  # of work, for one question
PLAIN_BYTES_A_STEP: Final = 64  # white space and case
JSON_BYTES_A_STEP: Final = 16  # half as many where pointers lead through it
Spend: TypeAlias = Callable[[int], None]  # is told the steps of work before they are done, and may raise
COMPILED_MAX: Final = 1_000  # rules whose patterns are kept compiled; a configuration has no more


def no_limit(_steps: int) -> None:
    """A Spend for who asks once."""


def same_text(rule: NormalisedText, left: Any, right: Any, spend: Spend = no_limit) -> bool:
    """Whether both are text and equal as the rule sees them. Raises what `spend` does, else nothing."""
    spend(STEPS)
    ours = _replaced(rule, left, spend)
    theirs = None if ours is None else _replaced(rule, right, spend)
    if ours is None or theirs is None:
        return False
    size = len(ours) + len(theirs)
    spend(size * (1 + bool(rule.json_ignore)) // JSON_BYTES_A_STEP if rule.json else size // PLAIN_BYTES_A_STEP)
    if rule.json:
        return same_json(ours, theirs, _pointers(rule.json_ignore))
    return _plain(rule, ours) == _plain(rule, theirs)


def _replaced(rule: NormalisedText, value: Any, spend: Spend) -> str | None:
    if not isinstance(value, str | bytes) or len(value) > TEXT_MAX:
        return None
    try:
        text = value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return None
    return replaced(text, _replacements(rule.replace), spend) if rule.replace else text


def _plain(rule: NormalisedText, text: str) -> str:
    match rule.whitespace:
        case "collapse":
            text = " ".join(text.split())
        case "strip":
            text = text.strip()
        case "ignore":
            text = "".join(text.split())
    return text.casefold() if rule.case == "ignore" else text


@lru_cache(maxsize=COMPILED_MAX)
def _replacements(pairs: tuple[tuple[str, str], ...]) -> tuple[Replacement, ...]:
    return tuple(Replacement(pattern, by) for pattern, by in pairs)


@lru_cache(maxsize=COMPILED_MAX)
def _pointers(pointers: tuple[str, ...]) -> JsonPointers:
    return JsonPointers(pointers)
