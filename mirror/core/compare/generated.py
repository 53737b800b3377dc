"""Writes the function that compares the fields of two messages: the one place where code is made as text.

A function made for one type takes half the time of a loop over its fields, and this is what a comparison of unequal
messages does most. Names come from strangers' schemas: only plain ASCII identifiers that are no keywords are written into
the text, all others are read by attrgetter. What a part writes for itself only tells that nothing differs; the rest is
the part's own.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from functools import lru_cache
from operator import attrgetter
from types import CodeType
from typing import Any, Final

from google.protobuf.unknown_fields import UnknownFieldSet

from mirror.core.compare.options import CompareOptions
from mirror.core.compare.walk import Part, Plan, Unknown, stopped_by_unknown, too_deep, work_is_over

WRITTEN_MAX: Final = 500  # parts of one type that are written out; further ones are called
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Code:
    """The function in the making. `left`, `right`, `walk` and `path` are its arguments; `one` and `other` are free."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._space: dict[str, Any] = {}

    def bind(self, thing: Any) -> str:
        """A name for `thing` in the text."""
        name = f"bound{len(self._space)}"
        self._space[name] = thing
        return name

    def read(self, name: str) -> tuple[str, str]:
        """Two expressions: a field's value on the left and on the right."""
        if _NAME.match(name) and not keyword.iskeyword(name) and not name.startswith("__"):
            return f"left.{name}", f"right.{name}"
        get = self.bind(attrgetter(name))
        return f"{get}(left)", f"{get}(right)"

    def add(self, *lines: str) -> None:
        """Lines of the function's body."""
        self._lines += [f"    {line}" for line in lines]

    def made(self) -> Part:
        """The function."""
        space = dict(self._space)
        exec(_compiled("\n".join(["def look(walk, left, right, path):", *self._lines])), space)  # noqa: S102 - see above
        look: Part = space["look"]
        return look


@lru_cache(maxsize=1024)
def _compiled(text: str) -> CodeType:
    """Of one type at many places of the rules the text is often the same."""
    return compile(text, "<fields of a message>", "exec")


def plan_of(parts: Iterable[Part], unknown: Unknown | None, options: CompareOptions, *, gated: bool) -> Plan:
    """The plan that looks at unknown fields, then at `parts` in their order."""
    listed = tuple(parts)
    code = Code()
    nested = not all(getattr(part, "flat", False) for part in listed)
    code.add(
        "depth = walk.depth",
        f"if depth >= {options.depth_max}: return {code.bind(too_deep)}(walk, path)",
        f"walk.spent = spent = walk.spent + {len(listed) + 1}",
        f"if spent > {options.work_max}: {code.bind(work_is_over)}(path)",
    )
    if nested:
        code.add("walk.depth = depth + 1")
    if unknown is not None:
        _write_unknown(code, unknown)
    for position, part in enumerate(listed):
        write = getattr(part, "write", None)
        if write is None or position >= WRITTEN_MAX:
            code.add(f"{code.bind(part)}(walk, left, right, path)")
        else:
            write(code)
    if nested:
        code.add("walk.depth = depth")  # what raises ends the walk
    if unknown is not None:
        code.add("if large: walk.large = True")
    return Plan(code.made(), gated)


def _write_unknown(code: Code, unknown: Unknown) -> None:
    fields, compare = code.bind(UnknownFieldSet), code.bind(unknown)
    code.add(
        "large = walk.large",
        "if large:",
        f"    if {code.bind(stopped_by_unknown)}(walk, {compare}, left, right, path):",
        "        walk.depth = depth",
        "        return",
        "else:",
        f"    one = {fields}(left)",
        f"    other = {fields}(right)",
        f"    if one or other: {compare}(walk, one, other, path)",
    )
