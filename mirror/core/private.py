"""Private leaves, which were taken out of a message before it left its process: compared by their keyed hashes. Pure.

A leaf is known by its concrete path. Below a list that lost an element, or whose order does not matter, positions of both
sides do not belong together: there the hashes of one pattern are held against each other as a whole, so that a lost
element is one missing leaf and not a shifted tail. Then it is not seen whether two elements exchanged their leaves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import zip_longest
from typing import Final, TypeAlias

from grpc_mirror.v1.capture_pb2 import PrivateLeaf

from mirror.core.compare.walk import Walk
from mirror.core.model import Hashed, Kind
from mirror.core.path import Field, Index, Path, PathPattern, PathSyntaxError, Step, pattern_of
from mirror.core.rules import Ignore, KeyedList, Place, UnorderedList

EMPTY: Final = b"empty"  # in place of the hash (32 bytes) of a private value that was set, and empty
PRIVATE_NOTE: Final = "private: only hashes of it are kept"
LEAVES_MAX: Final = 10_000  # of two messages together; interceptors keep 1,000 of one
STEPS_A_LEAF: Final = 3  # of work, of those that differ
PATHS_REMEMBERED: Final = 4096  # as text; elements of a stream have the same ones
PATH_MAX_CHARS: Final = 200  # of such: paths hold keys, which are data
Leaves: TypeAlias = Mapping[
    str, bytes
]  # path below the message -> hash; empty: there was a value, and no more is known


def private_values(leaves: Iterable[PrivateLeaf]) -> dict[str, bytes]:
    """The hashes of private leaves by path: nothing where there is none, EMPTY of an empty value."""
    return {leaf.path: EMPTY if leaf.empty else leaf.hmac for leaf in leaves}


def compare_private(walk: Walk, left: Leaves, right: Leaves, path: Path, place: Place) -> None:
    """Report leaves whose hashes differ or that only one side has; `path` is that of the message.

    One without a hash says only that there was a value, and that it was not empty. Values never appear: there are none, only
    their hashes.
    """
    if left == right:
        return
    if len(left) + len(right) > LEAVES_MAX:
        walk.add(
            path, Kind.VALUE, note=f"too complex: {len(left)} and {len(right)} private leaves; they were not compared"
        )
        return
    same = {text for text, digest in left.items() if right.get(text) == digest}
    walk.spend(STEPS_A_LEAF * (len(left) + len(right) - 2 * len(same)), path)
    groups: dict[str, tuple[dict[Path, bytes], dict[Path, bytes]]] = {}
    for side, leaves in enumerate((left, right)):
        for text, digest in leaves.items():
            if text not in same:
                steps = steps_of(text)
                groups.setdefault(pattern_of(steps), ({}, {}))[side][steps] = digest
    for pattern in sorted(groups):
        ours, theirs = groups[pattern]
        positions = ours.keys() == theirs.keys() and not any(_unordered(steps, place) for steps in ours)
        if positions or not any(isinstance(step, Index) for steps in (*ours, *theirs) for step in steps):
            pairs = [(steps, ours.get(steps), theirs.get(steps)) for steps in _sorted(ours.keys() | theirs.keys())]
        else:
            pairs = _left_over(ours, theirs)
        for steps, one, other in pairs:
            _report(walk, one, other, (*path, *steps), _rule(steps, place))


def _report(walk: Walk, one: bytes | None, other: bytes | None, path: Path, rule: str) -> None:
    blind = one is not None and other is not None and not (one and other) and EMPTY not in (one, other)
    if one == other or blind:
        return
    kind = Kind.ADDED if one is None else Kind.MISSING if other is None else Kind.VALUE
    walk.add(path, kind, _hashed(one), _hashed(other), rule=rule, note=PRIVATE_NOTE)


def _hashed(digest: bytes | None) -> Hashed | None:
    """What stands in a Difference for the hash of a leaf; None: there is no leaf."""
    return None if digest is None else Hashed(b"", empty=True) if digest == EMPTY else Hashed(digest)


def _left_over(ours: dict[Path, bytes], theirs: dict[Path, bytes]) -> list[tuple[Path, bytes | None, bytes | None]]:
    """What remains of two groups of leaves once equal hashes have cancelled each other, in order of position."""
    common = Counter(ours.values()) & Counter(theirs.values())
    rest = []
    for leaves in (ours, theirs):
        spent = Counter[bytes]()
        kept = []
        for steps in _sorted(leaves):
            digest = leaves[steps]
            spent[digest] += 1
            if spent[digest] > common[digest]:
                kept.append((steps, digest))
        rest.append(kept)
    pairs: list[tuple[Path, bytes | None, bytes | None]] = []
    for one, other in zip_longest(*rest):
        steps = one[0] if one is not None else other[0]
        pairs.append((steps, None if one is None else one[1], None if other is None else other[1]))
    return pairs


def _unordered(steps: Path, place: Place) -> bool:
    """Whether a rule says of a list on the way that its positions mean nothing."""
    for step in steps:
        if isinstance(step, Index) and (place.find(UnorderedList) or place.find(KeyedList)):
            return True
        place = place.step(step)
    return False


def _rule(steps: Path, place: Place) -> str:
    """The id of the rule that ignores the leaf or something above it; the message itself counts too."""
    for step in (None, *steps):
        place = place if step is None else place.step(step)
        if ignore := place.find(Ignore):
            return ignore.id
    return ""


def _sorted(leaves: Iterable[Path]) -> list[Path]:
    """By place: an index as a number."""
    return sorted(leaves, key=lambda steps: [(_order(step), str(step)) for step in steps])


def _order(step: Step) -> int:
    return step.index if isinstance(step, Index) else -1


def steps_of(text: str) -> tuple[Step, ...]:
    """The steps of a leaf's path; a text that is no concrete path is one step."""
    return _remembered(text) if len(text) <= PATH_MAX_CHARS else _steps_of(text)


def _steps_of(text: str) -> tuple[Step, ...]:
    try:
        steps = PathPattern.parse(text).steps
    except PathSyntaxError:
        return (Field(text),)
    concrete = tuple(step for step in steps if isinstance(step, Step))
    return concrete if len(concrete) == len(steps) else (Field(text),)


_remembered = lru_cache(maxsize=PATHS_REMEMBERED)(_steps_of)
