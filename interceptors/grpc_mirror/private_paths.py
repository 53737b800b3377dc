"""Path patterns that name private places of a call, and where one stands among them. Pure: text in, sets of states out.

    pattern := root step*
    root    := "request" | "response" | "status" | "request_metadata" | "initial_metadata" | "trailing_metadata" | "*" | "**"
    step    := "." name | "." "(" full.name ")" | "[" index "]" | "[" JSON string "]" | "[true]" | "[false]"
               | "[*]" any index or key | ".*" any one name | ".**" any steps, also none

`(full.name)` is the type inside an Any or an extension. `requests[3]` and `responses[*]` are taken for `request` and `response`:
a pattern names a place in every message of its direction.

Patterns are followed all at once, as a nondeterministic automaton: a state is (pattern, steps behind us), a set of
states says where all of them stand. So descriptors can be walked once and what they hold be decided for good.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any

Step = tuple[str, Any]
States = frozenset[tuple[int, int]]
NOWHERE: States = frozenset()
STEPS_MAX = 100
ROOTS = ("request", "response", "status", "request_metadata", "initial_metadata", "trailing_metadata")

NAME, TYPED, KEY, ELEMENT, WILD, DEEP = "name", "typed", "key", "element", "wild", "deep"
ANY_ELEMENT: Step = (ELEMENT, None)
_PLURALS = {"requests": "request", "responses": "response"}
_BRACKETS = re.compile(r'\[(\*|-?\d{1,20}|true|false|"(?:[^"\\]|\\.)*")\]')
_NAMED = re.compile(r"\*\*|\*|\([A-Za-z_][\w.]*\)|[A-Za-z_][\w-]*", re.ASCII)


def parse(text: str) -> tuple[Step, ...]:
    """The steps of a pattern.

    Raises:
        ValueError: with what is wrong and the column (from 1).
    """
    steps: list[Step] = []
    position = 0
    while position < len(text):
        bracket = _BRACKETS.match(text, position)
        if bracket and steps:
            steps.append(_bracket(bracket.group(1), position))
            position = bracket.end()
            continue
        if steps and text[position] == ".":
            position += 1
        elif steps:
            raise ValueError(f"a '.' or a [key] is expected at column {position + 1}")
        named = _NAMED.match(text, position)
        if named is None:
            raise ValueError(f"no name, (full.name), * or ** at column {position + 1}")
        steps.append(_named(named.group()))
        position = named.end()
    if len(steps) > STEPS_MAX:
        raise ValueError(f"more than {STEPS_MAX} steps")
    return _rooted(steps)


def problem(text: str) -> str:
    """What is wrong with a pattern, or nothing."""
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return ""


class Patterns:
    """Patterns followed at once. Holds no state of its own."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Raises ValueError where a text is no pattern."""
        self._patterns = tuple(parse(text) for text in texts)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def start(self, *steps: Step) -> States:
        """Where the patterns stand behind the first steps of a path."""
        states = self._settled((pattern, 0) for pattern in range(len(self._patterns)))
        for step in steps:
            states = self.step(states, step)
        return states

    def step(self, states: States, actual: Step) -> States:
        """Where they stand behind one more step: (NAME, name), (TYPED, full name), (KEY, key) or ANY_ELEMENT.

        ANY_ELEMENT is an element that no pattern names by its key; see `keys`.
        """
        if not states:
            return NOWHERE
        reached: list[tuple[int, int]] = []
        for pattern, behind in states:
            steps = self._patterns[pattern]
            if behind == len(steps):
                continue
            if steps[behind][0] == DEEP:
                reached.append((pattern, behind))
            elif _matches(steps[behind], actual):
                reached.append((pattern, behind + 1))
        return self._settled(reached)

    def accepts(self, states: States) -> bool:
        """Whether a pattern names the very place where they stand."""
        return bool(self.accepted(states))

    def accepted(self, states: States) -> set[int]:
        """The patterns, by number, that name the very place where they stand."""
        return {pattern for pattern, behind in states if behind == len(self._patterns[pattern])}

    def keys(self, states: States) -> set[Any]:
        """The indices and keys that are named as the next step."""
        following = (
            self._patterns[pattern][behind] for pattern, behind in states if behind < len(self._patterns[pattern])
        )
        return {value for kind, value in following if kind == KEY}

    def _settled(self, states: Iterable[tuple[int, int]]) -> States:
        """With the states behind each `**`, which may stand for no step."""
        found = set(states)
        pending = list(found)
        while pending:
            pattern, behind = pending.pop()
            steps = self._patterns[pattern]
            if behind < len(steps) and steps[behind][0] == DEEP and (pattern, behind + 1) not in found:
                found.add((pattern, behind + 1))
                pending.append((pattern, behind + 1))
        return frozenset(found)


def _matches(step: Step, actual: Step) -> bool:
    kind, value = step
    if kind == ELEMENT:
        return actual[0] in (ELEMENT, KEY)
    if kind == WILD:
        return actual[0] in (NAME, TYPED)
    return kind == actual[0] and value == actual[1]


def _bracket(text: str, position: int) -> Step:
    if text == "*":
        return ANY_ELEMENT
    try:
        return KEY, json.loads(text)
    except ValueError:
        raise ValueError(f"no JSON string or number at column {position + 2}") from None


def _named(text: str) -> Step:
    if text == "**":
        return DEEP, None
    if text == "*":
        return WILD, None
    return (TYPED, text[1:-1]) if text.startswith("(") else (NAME, text)


def _rooted(steps: list[Step]) -> tuple[Step, ...]:
    if not steps:
        raise ValueError("empty")
    kind, name = steps[0]
    if kind in (WILD, DEEP):
        return tuple(steps)
    if name in _PLURALS:
        rest = steps[2:] if len(steps) > 1 and steps[1][0] in (KEY, ELEMENT) else steps[1:]
        return ((NAME, _PLURALS[name]), *rest)
    if kind != NAME or name not in ROOTS:
        close = difflib.get_close_matches(str(name), ROOTS, n=1, cutoff=0.6)
        raise ValueError(
            f"starts with {name!r}, not with {', '.join(ROOTS)}, * or **"
            + (f"; did you mean {close[0]!r}?" if close else "")
        )
    return tuple(steps)
