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

# Of two messages: (position of the name, left value, right value) of each field where the two are not `==`.
Differing: TypeAlias = Callable[[Message, Message], list[tuple[int, Any, Any]]]
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def differing(names: Sequence[str]) -> Differing:
    """The function for these attributes of messages."""
    lines = ["def found(left, right):", "    rows = []"]
    getters: dict[str, Any] = {}
    for position, name in enumerate(names):
        if _NAME.match(name) and not keyword.iskeyword(name) and not name.startswith("__"):
            read = f"left.{name}", f"right.{name}"
        else:
            getters[f"get{position}"] = attrgetter(name)
            read = f"get{position}(left)", f"get{position}(right)"
        lines += [
            f"    one = {read[0]}",
            f"    other = {read[1]}",
            f"    if one != other: rows.append(({position}, one, other))",
        ]
    lines.append("    return rows")
    space = dict(getters)
    exec("\n".join(lines), space)  # noqa: S102 - of names that were looked at above
    made: Differing = space["found"]
    return made
