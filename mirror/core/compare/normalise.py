"""Whether two texts are the same once normalised, as a `text` rule asks. Pure; never raises.

Bytes are taken as UTF-8; what is none, or is larger than the limits of `replacing` and `jsontext`, is the same as nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from mirror.core.compare.jsontext import TEXT_MAX, JsonPointers, same_json
from mirror.core.rules import NormalisedText, Replacement
from mirror.core.rules.replacing import replaced

COMPILED_MAX: Final = 1_000  # rules whose patterns are kept compiled; a configuration has no more


def same_text(rule: NormalisedText, left: Any, right: Any) -> bool:
    """Whether both are text and equal as the rule sees them."""
    ours, theirs = _replaced(rule, left), _replaced(rule, right)
    if ours is None or theirs is None:
        return False
    if rule.json:
        return same_json(ours, theirs, _pointers(rule.json_ignore))
    return _plain(rule, ours) == _plain(rule, theirs)


def _replaced(rule: NormalisedText, value: Any) -> str | None:
    if not isinstance(value, str | bytes) or len(value) > TEXT_MAX:
        return None
    try:
        text = value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return None
    return replaced(text, _replacements(rule.replace)) if rule.replace else text


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
