"""Two or three trees beside each other: rows of lines in which equal things stand in one row.

Pure. Objects are aligned by key, lists by their equal elements (so that one lost element leaves one gap and not a
shifted tail), longer lists than `ALIGNED_MAX` by index. A row never says *whether* it counts as a difference: the
comparer decided that, `sides.py` marks it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Final

from mirror.serve.tree import Node, Shape

ALIGNED_MAX: Final = 400  # elements of a list
TEXT_MAX: Final = 2_000  # characters of one shown value


@dataclass(frozen=True, slots=True)
class Line:
    """One line of pretty-printed JSON. `text` has no comma, so that a last element equals an inner one."""

    path: str
    depth: int
    text: str
    comma: bool = False
    opens: bool = False  # an object or list goes on below


Pairing = tuple[Line | None, Line | None]


def lines(node: Node, depth: int = 0, *, comma: bool = False) -> Iterator[Line]:
    """The lines of a tree, in order."""
    if node.shape is Shape.LEAF or not node.children:
        yield Line(node.path, depth, _head(node) + _closed(node), comma)
        return
    yield Line(node.path, depth, _head(node) + _brackets(node)[0], opens=True)
    last = len(node.children) - 1
    for index, child in enumerate(node.children):
        yield from lines(child, depth + 1, comma=index < last)
    yield Line(node.path, depth, _brackets(node)[1], comma, opens=True)


def align(left: Node | None, right: Node | None) -> list[Pairing]:
    """Rows of two trees; the left lines stand in the order of `lines(left)`, likewise the right."""
    return list(_align(left, right, 0, (False, False)))


def merge(first: list[Pairing], second: list[Pairing]) -> list[tuple[Line | None, Line | None, Line | None]]:
    """Rows of three from two alignments with the same left tree."""
    rows: list[tuple[Line | None, Line | None, Line | None]] = []
    for (left, middle, gap_1), (_, right, gap_2) in zip_longest(
        _by_left(first), _by_left(second), fillvalue=(None, None, [])
    ):
        rows.extend((None, one, two) for one, two in zip_longest(gap_1, gap_2))
        if left is not None:
            rows.append((left, middle, right))
    return rows


def _by_left(pairs: list[Pairing]) -> Iterator[tuple[Line | None, Line | None, list[Line | None]]]:
    """Each left line with its right one and the right lines that stand before it; last (None, None, tail)."""
    gap: list[Line | None] = []
    for left, right in pairs:
        if left is None:
            gap.append(right)
        else:
            yield left, right, gap
            gap = []
    yield None, None, gap


def _align(left: Node | None, right: Node | None, depth: int, commas: tuple[bool, bool]) -> Iterator[Pairing]:
    if left is None or right is None or left.shape is not right.shape or not (left.children and right.children):
        ours = lines(left, depth, comma=commas[0]) if left else ()
        theirs = lines(right, depth, comma=commas[1]) if right else ()
        yield from zip_longest(ours, theirs)
        return
    start, end = _brackets(left)
    yield (
        Line(left.path, depth, _head(left) + start, opens=True),
        Line(right.path, depth, _head(right) + start, opens=True),
    )
    couple = _by_key if left.shape is Shape.OBJECT else _by_element
    last_left, last_right = left.children[-1], right.children[-1]
    for one, two in couple(left.children, right.children):
        yield from _align(one, two, depth + 1, (one is not last_left, two is not last_right))
    yield Line(left.path, depth, end, commas[0], opens=True), Line(right.path, depth, end, commas[1], opens=True)


def _by_key(left: tuple[Node, ...], right: tuple[Node, ...]) -> Iterator[tuple[Node | None, Node | None]]:
    """Children of two objects; the order of each side is kept, as `merge` needs the left's."""
    place = {child.key: index for index, child in enumerate(right)}
    shared = {child.key for child in left} & set(place)
    position = 0
    for child in left:
        at = place.get(child.key, -1)
        while position < at and right[position].key not in shared:
            yield None, right[position]
            position += 1
        if at == position:
            yield child, right[position]
            position += 1
        else:  # only on the left, or the two sides have another order
            yield child, right[at] if at >= 0 else None
    yield from ((None, child) for child in right[position:] if child.key not in shared)


def _by_element(left: tuple[Node, ...], right: tuple[Node, ...]) -> Iterator[tuple[Node | None, Node | None]]:
    if max(len(left), len(right)) > ALIGNED_MAX:
        yield from zip_longest(left, right)
        return
    ours, theirs = [_digest(child) for child in left], [_digest(child) for child in right]
    for _, i, i_end, j, j_end in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        yield from zip_longest(left[i:i_end], right[j:j_end])


def _digest(node: Node) -> int:
    """Equal trees have equal digests; paths do not count."""
    return hash((node.key, node.shape, repr(node.value), tuple(map(_digest, node.children))))


def _head(node: Node) -> str:
    return f"{json.dumps(node.key, ensure_ascii=False)}: " if node.key else ""


def _closed(node: Node) -> str:
    if node.shape is not Shape.LEAF:
        return "".join(_brackets(node))
    text = json.dumps(node.value, ensure_ascii=False)
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}… ({len(text):,} characters)"


def _brackets(node: Node) -> tuple[str, str]:
    return ("{", "}") if node.shape is Shape.OBJECT else ("[", "]")


def folded(marks: Sequence[bool], context: int) -> list[bool]:
    """For each row whether it may be hidden: it is farther than `context` rows from any marked one."""
    near = {row for index, mark in enumerate(marks) if mark for row in range(index - context, index + context + 1)}
    return [index not in near for index in range(len(marks))]
