"""Reads many scalar fields of two messages and tells which differ: the one place where code is made as text.

A function made for one list of names takes two thirds of the time of a loop over them, and this is what a comparison of
unequal messages does most. Names come from strangers' schemas: only plain ASCII identifiers that are no keywords are
written into the text, all others are read by attrgetter.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

from google.protobuf.message import Message

# Of two messages: (mark of the name, left value, right value) of each field where the two are not `==`.
Differing: TypeAlias = Callable[[Message, Message], list[tuple[Any, Any, Any]]]
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def differing(names: Sequence[str], marks: Sequence[Any]) -> Differing:
    """The function for these attributes of messages. `marks`: what stands for each name in what it returns."""
    lines = ["def found(left, right):", "    rows = []"]
    space: dict[str, Any] = {f"mark{position}": mark for position, mark in enumerate(marks)}
    for position, name in enumerate(names):
        if _NAME.match(name) and not keyword.iskeyword(name) and not name.startswith("__"):
            read = f"left.{name}", f"right.{name}"
        else:
            space[f"get{position}"] = attrgetter(name)
            read = f"get{position}(left)", f"get{position}(right)"
        lines += [
            f"    one = {read[0]}",
            f"    other = {read[1]}",
            f"    if one != other: rows.append((mark{position}, one, other))",
        ]
    lines.append("    return rows")
    exec("\n".join(lines), space)  # noqa: S102 - of names that were looked at above
    made: Differing = space["found"]
    return made
