"""One walk down two messages: the mutable state of one comparison, and what every step of it shares.

A `Plan` says how two messages of two descriptors are compared at one place of the rules; its parts do the work. The
walk finds plans through the function it is given, so that parts and plans know the walk and not the other way round.
A walk keeps what it finds, or, as a probe, only counts it up to a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from mirror.core.compare.floods import (
    EQUAL_MAX_BYTES,
    UNKNOWN_MAX_BYTES,
    flooded,
    is_large,
    many_unknown,
    same_bytes,
)
from mirror.core.compare.options import CompareOptions
from mirror.core.compare.reflect import byte_size
from mirror.core.compare.result import Result, Row
from mirror.core.model import Kind
from mirror.core.path import Field, Index, Path, Typed, pattern_of
from mirror.core.rules import Ignore, Place, Rule

Rules: TypeAlias = tuple[Rule, ...]
# The classes of a message type inside an Any on either side, where the pools of the Anys do not know it.
Types: TypeAlias = Callable[[str], tuple[type[Message], type[Message]] | None]
Part: TypeAlias = Callable[["Walk", Message, Message, Path], None]  # compares one field, or some, of unequal messages
Unknown: TypeAlias = Callable[["Walk", Any, Any, Path], None]  # compares two UnknownFieldSets
NAMES_MAX: Final = 10_000  # paths remembered by their names beyond the limit


class TooComplexError(Exception):
    """The work limit is reached; `path` is where."""

    def __init__(self, path: Path) -> None:
        super().__init__("the work limit is reached")
        self.path = path


class EnoughError(Exception):
    """A probe has seen as many differences as it asked for."""


class Plan(NamedTuple):
    """How messages of two types are compared at one place of the rules."""

    look: Part  # compares all of two messages that `==` holds for different, or cannot decide about
    gated: bool  # `==` of the two decides that they are the same


class Planner(Protocol):
    """Finds or compiles the plan of two descriptors at a place. `inherited`: leaf rules of the list or map around."""

    def __call__(self, left: Descriptor, right: Descriptor, place: Place, inherited: Rules = ()) -> Plan:
        """Cheap after the first time."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all walks of one comparer share."""

    plan_of: Planner
    bare: Place  # the place of no rules
    options: CompareOptions
    gates: bool  # whether equal bytes may cut a comparison short
    work_max: int
    depth_max: int
    differences_max: int
    told: bool  # whether equal elements are looked at too, for what is to be told of them
    remarks: bool  # whether more is to be told of an element than what differs in it
    careful: Setting | None = None  # the same without `==` of messages; None: this is it


class Walk(Result):
    """The state of one comparison; its one owner is the call of `compare`.

    It is the result in the making: at its end it is handed out as that, for making another costs as much as two fields.
    """

    # What most walks leave as it is stands in the class: setting it for each costs as much as reading fields.
    types: Types | None = None
    count = ignored_count = depth = 0
    spent = 0  # units of work
    complete = True
    large = False  # whether the messages looked at may be of a size at which to be careful
    shifts: Sequence[tuple[int, int]] = ()  # where the right path has another index: position, index
    _stop_at = 0  # of a probe
    patterns: dict[object, set[Any]] | None = None

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.rows: list[Row] = []
        self.quick_max = setting.differences_max  # differences to keep without a further look

    @property
    def options(self) -> CompareOptions:
        """What holds for all messages."""
        return self.setting.options

    @property
    def bare(self) -> Place:
        """The place of no rules."""
        return self.setting.bare

    @property
    def plan_of(self) -> Planner:
        """Finds plans."""
        return self.setting.plan_of

    def spend(self, units: int, path: Path) -> None:
        """Take `units` of work (fields or elements looked at); raises TooComplexError when none is left."""
        self.spent += units
        if self.spent > self.setting.work_max:
            raise TooComplexError(path)

    def spender(self, path: Path) -> Callable[[int], None]:
        """`spend` for those who know no paths."""
        return lambda units: self.spend(units, path)

    # Going down

    def messages(  # noqa: PLR0913, PLR0917 - the two, where they stand, and what is known of them
        self, left: Message, right: Message, path: Path, place: Place, inherited: Rules = (), size: int = -1
    ) -> None:
        """Compare two messages that are both there. `size`: bytes of both, where the caller knows."""
        if size > EQUAL_MAX_BYTES and (flooded(left) or flooded(right)):
            self.flooded(left, right, path, place, inherited)
            return
        plan = self.plan_for(left, right, place, inherited)
        if plan.gated and left == right:
            return
        if self.depth == 0:
            self.large = is_large(left, right, size)
        plan.look(self, left, right, path)

    def flooded(self, left: Message, right: Message, path: Path, place: Place, inherited: Rules = ()) -> None:
        """Compare two messages with many unknown fields somewhere, without `==` of any message in them."""
        if self.plan_for(left, right, place, inherited).gated and same_bytes(left, right):
            return
        setting, large = self.setting, self.large
        self.setting, self.large = setting.careful or setting, True
        self.plan_for(left, right, place, inherited).look(self, left, right, path)
        self.setting, self.large = setting, large  # what raises ends the walk

    def plan_for(self, left: Message, right: Message, place: Place, inherited: Rules = ()) -> Plan:
        """How two messages are compared."""
        one: Any = type(left)
        other: Any = type(right)
        return self.setting.plan_of(one.DESCRIPTOR, other.DESCRIPTOR, place, inherited)

    # What is found

    def add(  # noqa: PLR0913, PLR0917 - the parts of a Difference
        self, path: Path, kind: Kind, left: Any = None, right: Any = None, rule: str = "", note: str = ""
    ) -> None:
        """One difference; with `rule`, the id of the rule under which it does not count."""
        if rule:
            self.ignored_count += 1
        else:
            count = self.count = self.count + 1
            if count <= self.quick_max:
                self.rows.append((path, kind, left, right, rule, note, ()))
                return
        if self._stop_at:
            if self.count >= self._stop_at:
                raise EnoughError
            return
        count = self.ignored_count if rule else self.count
        if count <= self.setting.differences_max or self._is_new(path, kind, bool(rule)):
            self._keep(path, kind, left, right, rule, note)

    def lonely(self, path: Path, place: Place, kind: Kind, value: Any, *, note: str = "") -> None:
        """One side has something (`value`) that the other has not: kind MISSING (only left) or ADDED (only right)."""
        ignore = place.find(Ignore)
        left, right = (value, None) if kind is Kind.MISSING else (None, value)
        self.add(path, kind, left, right, ignore.id if ignore else "", note)

    def remark(self, path: Path, kind: Kind, left: Any = None, right: Any = None) -> None:
        """What is no difference but was asked for."""
        if not self._stop_at and len(self.rows) <= 4 * self.setting.differences_max:
            self._keep(path, kind, left, right, "", "")

    def _keep(self, path: Path, kind: Kind, left: Any, right: Any, rule: str, note: str) -> None:  # noqa: PLR0913, PLR0917
        there = list(path)
        for position, index in self.shifts:
            there[position] = Index(index)
        if kind is Kind.ADDED:  # it stands on the right alone
            self.rows.append((tuple(there), kind, left, right, rule, note, ()))
        else:
            right_path = tuple(there) if self.shifts and kind is not Kind.MISSING else ()
            self.rows.append((path, kind, left, right, rule, note, right_path))

    def _is_new(self, path: Path, kind: Kind, ruled: bool) -> bool:  # noqa: FBT001 - internal
        """Beyond the limit only what has a pattern and kind of its own: hypotheses are made from these."""
        if self.patterns is None:
            self.patterns = {False: set(), True: set(), "names": set(), "further": set()}
            for row in self.rows:
                self.patterns[bool(row[4])].add((pattern_of(row[0]), row[1]))
        names = (ruled, kind, *[step.name if type(step) is Field else type(step) for step in path])
        if names in self.patterns["names"]:  # patterns take longer to make
            return False
        if len(self.patterns["names"]) < NAMES_MAX and Typed not in names:
            self.patterns["names"].add(names)
        name = (pattern_of(path), kind)
        further = self.patterns["further"]
        if name in self.patterns[ruled] or sum(each[0] is ruled for each in further) >= self.setting.differences_max:
            return False
        self.patterns[ruled].add(name)
        further.add((ruled, name))
        return True

    def shift(self, shifts: Sequence[tuple[int, int]]) -> None:
        """From here on the right path has other indexes at these positions."""
        self.shifts = shifts
        self.quick_max = 0 if shifts or self._stop_at else self.setting.differences_max

    def result(self) -> Result:
        """What was found, once the walk has ended; what served only to find it is let go."""
        self.types = self.patterns = None
        return self

    def mark(self) -> tuple[int, int, int]:
        """Where a walk stands, for `back_to`."""
        return len(self.rows), self.count, self.ignored_count

    def back_to(self, mark: tuple[int, int, int]) -> None:
        """Forget what was found since `mark`."""
        rows, self.count, self.ignored_count = mark
        del self.rows[rows:]

    # Looking without keeping

    def counted(self, look: Callable[[Walk], None], stop_at: int = 1) -> int:
        """How many differences `look` finds in a walk that only counts, up to `stop_at`, with this one's work."""
        probing = Walk(self.setting)
        probing.types, probing.spent, probing._stop_at, probing.quick_max = self.types, self.spent, stop_at, 0
        probing.depth, probing.large = self.depth, self.large
        with suppress(EnoughError):
            look(probing)
        self.spent = probing.spent
        return probing.count

    def differ(self, left: Message, right: Message, path: Path) -> bool:
        """Whether two messages really differ, rules apart."""
        return self.counted(lambda probing: probing.messages(left, right, path, self.setting.bare)) > 0


def deepest(error: RecursionError, root: Path) -> Path:
    """The path that a walk had reached when it ran out of stack: of those that its functions hold, the innermost."""
    found, frame = root, error.__traceback__
    while frame is not None:
        path = frame.tb_frame.f_locals.get("path")
        found = path if isinstance(path, tuple) and len(path) > len(found) else found
        frame = frame.tb_next
    return found


def too_deep(walk: Walk, path: Path) -> None:
    """What a plan's function says instead of going deeper."""
    note = f"too complex: nested deeper than {walk.setting.depth_max} messages"
    walk.add(path, Kind.VALUE, note=note)


def work_is_over(path: Path) -> None:
    """What a plan's function does where no work is left; raises TooComplexError."""
    raise TooComplexError(path)


def stopped_by_unknown(walk: Walk, compare: Unknown, left: Message, right: Message, path: Path) -> bool:
    """Compare the unknown fields of messages that may hold very many; whether they do, and are left alone.

    What is in small messages need not be asked again.
    """
    if byte_size(left) <= UNKNOWN_MAX_BYTES and byte_size(right) <= UNKNOWN_MAX_BYTES:
        walk.large = False
    elif why := many_unknown(left) or many_unknown(right):
        walk.add(path, Kind.VALUE, note=f"too complex: {why}")
        return True
    ours, theirs = UnknownFieldSet(left), UnknownFieldSet(right)
    if ours or theirs:
        compare(walk, ours, theirs, path)
    return False


def unless_ignored(
    walk: Walk, path: Path, place: Place, look: Callable[[Walk, Place], None], *, note: str = ""
) -> None:
    """`look` at a list, a map or a stream; where a rule ignores it, only count one difference under it if it has any."""
    ignore = place.find(Ignore)
    if ignore is None:
        look(walk, place)
    elif walk.counted(lambda probing: look(probing, walk.bare)):
        walk.add(path, Kind.VALUE, None, None, ignore.id, note)


def descriptor_of(message: Message) -> Descriptor:
    """Of its class: a field may be called DESCRIPTOR."""
    descriptor: Any = type(message).DESCRIPTOR
    return descriptor  # type: ignore[no-any-return]  # the stubs know two classes of descriptors
