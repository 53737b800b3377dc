"""The parts of a plan that compare message fields, and what is of one side only or ignored."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from mirror.core.compare.access import Access, FieldPair, ignore_id, lonely
from mirror.core.compare.generated import Code
from mirror.core.compare.options import CompareOptions
from mirror.core.compare.walk import Plan, Walk
from mirror.core.model import Kind
from mirror.core.path import Field, Index, Key, Path, Typed
from mirror.core.rules import Place

_NOTHING: Any = object()
VALUE, MISSING, ADDED = Kind.VALUE, Kind.MISSING, Kind.ADDED  # looking up a member of an enum costs as much as a field


class SingleMessage:
    """A message or group field. `gated`: two that are `==` are the same."""

    __slots__ = ("_gated", "_options", "_pair", "_plan", "_steps")

    def __init__(self, pair: FieldPair, options: CompareOptions, *, gated: bool) -> None:
        self._pair = pair
        self._options = options
        self._gated = gated
        self._steps = (pair.step,)
        self._plan: Plan | None = None  # of the messages in this field; found at the first use, for types recur

    def write(self, code: Code) -> None:
        """Two that are there and equal are told, and two that are not there; anything else by a call."""
        part, has = code.bind(self), self._pair.has(code)
        if has is None or not self._gated:
            code.add(f"{part}(walk, left, right, path)")
            return
        left, right = code.read(self._pair.left.name)
        code.add(
            f"if {has[0]}:",
            f"    if {has[1]}:",
            f"        one = {left}",
            f"        other = {right}",
            f"        if one != other: {code.bind(self.within)}(walk, one, other, path)",
            f"    else: {part}(walk, left, right, path)",
            f"elif {has[1]}: {part}(walk, left, right, path)",
        )

    def within(self, walk: Walk, one: Message, other: Message, path: Path) -> None:
        """What differs in two messages that are both there; `path` is of the message around."""
        path += self._steps
        before = walk.count
        plan = self._plan = self._plan or walk.plan_for(one, other, self._pair.place)
        plan.look(walk, one, other, path)
        if walk.setting.remarks:
            remark_message(walk, self._options, before, path, one, other)

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """One difference where only one side has it, else what differs within."""
        pair, options = self._pair, self._options
        has_left = pair.left.has is None or pair.left.has(left)
        has_right = pair.right.has is None or pair.right.has(right)
        if (has_left and has_right) or (options.equivalent and (has_left or (has_right and not options.partial))):
            one, other = pair.left.get(left), pair.right.get(right)
            if not (self._gated and one == other):
                self.within(walk, one, other, path)
        elif has_left:
            lonely(walk, pair, MISSING, pair.left.get(left), path)
        elif has_right and not options.partial:
            lonely(walk, pair, ADDED, pair.right.get(right), path)


def remark_message(  # noqa: PLR0913, PLR0917 - the two and where they stand
    walk: Walk, options: CompareOptions, before: int, path: Path, left: Any, right: Any
) -> None:
    """What the options want to be told of a message as a whole, after what is in it. `before`: the count till then."""
    if walk.count > before:
        if options.aggregates:
            walk.add(path, VALUE, left, right)
    elif options.matches:
        walk.remark(path, Kind.MATCHED, left, right)


class IgnoredField:
    """A field that the options ignore, or a rule where the options want to be told of it: its values do not matter."""

    __slots__ = ("_left", "_remark", "_right", "_step")

    def __init__(self, step: Field | Typed, left: Access | None, right: Access | None, *, remark: bool) -> None:
        self._step = step
        self._left = left
        self._right = right
        self._remark = remark

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """A remark where either side has it."""
        sides = ((self._left, left), (self._right, right))
        if self._remark and any(access is not None and access.holds(message) for access, message in sides):
            walk.remark((*path, self._step), Kind.IGNORED)


class OneSided:
    """A field that only one schema has, or that has another type in each: its value cannot be held against any."""

    __slots__ = ("_left", "_note", "_pair_place", "_partial", "_right", "_step")

    def __init__(  # noqa: PLR0913 - what there is to know of it
        self,
        step: Field | Typed,
        place: Place,
        *,
        left: Access | None,
        right: Access | None,
        note: str,
        partial: bool = False,
    ) -> None:
        self._step = step
        self._pair_place = place
        self._left = left
        self._right = right
        self._note = note
        self._partial = partial

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """Added, missing, or of a type that makes it another value."""
        one = _value(self._left, left)
        other = _value(self._right, right)
        path = (*path, self._step)
        if one is not _NOTHING and other is not _NOTHING:
            walk.add(path, VALUE, one, other, ignore_id(self._pair_place), self._note)
        elif one is not _NOTHING:
            walk.lonely(path, self._pair_place, MISSING, one, note=self._note)
        elif other is not _NOTHING and not self._partial:
            walk.lonely(path, self._pair_place, ADDED, other, note=self._note)


class NamedOnce:
    """A root field that `options.only` names for one side: it is missing or added, set or not."""

    __slots__ = ("_access", "_kind", "_step")

    def __init__(self, step: Field | Typed, access: Access, kind: Kind) -> None:
        self._step = step
        self._access = access
        self._kind = kind

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """One difference for each element of a list or map, else one."""
        path = (*path, self._step)
        value = self._access.get(left if self._kind is MISSING else right)
        if isinstance(value, str | bytes | Message) or not hasattr(value, "__len__"):
            self._add(walk, path, value)
        elif hasattr(value, "items"):
            for key in sorted(value):
                self._add(walk, (*path, Key(key)), value[key])
        else:
            for at, element in enumerate(value):
                self._add(walk, (*path, Index(at)), element)
        if hasattr(value, "__len__") and not isinstance(value, str | bytes | Message) and not len(value):
            self._add(walk, path, None)

    def _add(self, walk: Walk, path: Path, value: Any) -> None:
        left, right = (value, None) if self._kind is MISSING else (None, value)
        walk.add(path, self._kind, left, right, note="named for one side")


def _value(access: Access | None, message: Message) -> Any:
    """What is set, as a plain value; of lists and maps a tuple of what they hold."""
    if access is None or (access.has is not None and not access.has(message)):
        return _NOTHING
    value = access.get(message)
    if isinstance(value, Message):  # some have methods of containers (Struct)
        return value
    if hasattr(value, "items"):
        value = tuple(value.items())
    elif hasattr(value, "__len__") and not isinstance(value, str | bytes):
        value = tuple(value)
    return value if access.has is not None or value else _NOTHING
