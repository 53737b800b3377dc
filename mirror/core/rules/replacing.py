"""Regular expressions of rules: each match is replaced by a text. Matched by RE2, never by backtracking. Pure.

One search is linear in the text. A text with many matches takes a search for each, so both its size and the number of
its matches are bounded; a text beyond either cannot be normalised.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

import re2

TEXT_MAX_BYTES: Final = 65_536  # of the text, before, between and after replacements
MATCHES_MAX: Final = 1_000  # in one text, of all replacements together
PATTERN_MAX: Final = 1_000  # characters
PROGRAM_MAX: Final = 2_000  # instructions of a compiled pattern; x{1000} alone has 1,000
BYTES_A_STEP: Final = 64  # of a text in which matches are sought, for one step of work
_WITH: Final = re.compile(r"\\([0-9\\])|(\\)|([^\\]+)")


class PatternError(ValueError):
    """A replacement that cannot be used; the text says why."""


class Replacement:
    r"""A pattern in RE2's syntax and what each of its matches becomes: text in which `\1` is the first group, `\0` the match.

    Raises PatternError where either is wrong, or the pattern too large.
    """

    __slots__ = ("_parts", "_regexp")

    def __init__(self, pattern: str, by: str) -> None:
        self._regexp = _compiled(pattern)
        groups = self._regexp.groups
        self._parts = tuple(_parts(by))
        highest = max((part for part in self._parts if isinstance(part, int)), default=0)
        if highest > groups:
            has = f"{groups} group{'s' * (groups != 1)}" if groups else "no group"
            raise PatternError(f"\\{highest} in its replacement: the pattern has {has}")

    def apply(self, text: bytes, *, matches_max: int) -> tuple[bytes, int] | None:
        """The text after it and how many matches it had; None where there were more, or the text grew too large."""
        pieces: list[bytes] = []
        end = size = count = 0
        for match in islice(self._regexp.finditer(text), matches_max + 1):
            count += 1
            made = b"".join(part if isinstance(part, bytes) else match[part] or b"" for part in self._parts)
            pieces += (text[end : match.start()], made)
            size += match.start() - end + len(made)
            end = match.end()
            if size > TEXT_MAX_BYTES or count > matches_max:
                return None
        if not count:
            return text, 0
        return b"".join((*pieces, text[end:])), count


def replaced(text: str, replacements: tuple[Replacement, ...], spend: Callable[[int], None]) -> str | None:
    """`text` after all replacements, in order; None beyond the limits, or where it is no text in UTF-8 any more.

    `spend` is told of the work in steps, one a match and some for the text, once that of a replacement is done.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return None
    left = MATCHES_MAX
    for replacement in replacements:
        if len(data) > TEXT_MAX_BYTES:
            return None
        found = replacement.apply(data, matches_max=left)
        spend((left if found is None else found[1]) + len(data) // BYTES_A_STEP)
        if found is None:
            return None
        data, count = found
        left -= count
    try:
        return data.decode() if len(data) <= TEXT_MAX_BYTES else None
    except UnicodeDecodeError:  # an empty match stood within a character
        return None


def _compiled(pattern: str) -> Any:
    if not pattern:
        raise PatternError("the pattern is empty")
    if len(pattern) > PATTERN_MAX:
        raise PatternError(f"the pattern is longer than {PATTERN_MAX} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        regexp = re2.compile(pattern.encode(), options)
    except UnicodeEncodeError:
        raise PatternError("the pattern is not text in UTF-8") from None
    except re2.error as error:
        said = error.args[0] if error.args else ""
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise PatternError(f"not a regular expression of RE2: {text}") from None
    if regexp.programsize > PROGRAM_MAX:
        raise PatternError("the pattern is too large once its repetitions are written out")
    return regexp


def _parts(by: str) -> list[bytes | int]:
    """Literal texts and numbers of groups."""
    found: list[bytes | int] = []
    for escaped, alone, literal in _WITH.findall(by):
        if alone:
            raise PatternError(
                "a lone \\ in its replacement; say \\\\ for one, \\1 for the first group, \\0 for the match"
            )
        if escaped and escaped != "\\":
            found.append(int(escaped))
            continue
        try:
            found.append((escaped or literal).encode())
        except UnicodeEncodeError:
            raise PatternError("its replacement is not text in UTF-8") from None
    return found
