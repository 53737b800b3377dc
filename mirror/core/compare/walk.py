"""One walk down two messages: the mutable state of one comparison, and what every step of it shares.

A `Plan` says how two messages of two descriptors are compared at one place of the rules; its parts do the work. The
walk finds plans through the function it is given, so that parts and plans know the walk and not the other way round.
A walk keeps what it finds, or, as a probe, only counts it up to a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from mirror.core.compare.options import CompareOptions
from mirror.core.compare.reflect import byte_size, unknown_bytes
from mirror.core.compare.result import Result, Row
from mirror.core.model import Kind
from mirror.core.path import Index, Path, pattern_of
from mirror.core.rules import Ignore, Place, Rule

Rules: TypeAlias = tuple[Rule, ...]
# The classes of a message type inside an Any on either side, where the pools of the Anys do not know it.
Types: TypeAlias = Callable[[str], tuple[type[Message], type[Message]] | None]
Part: TypeAlias = Callable[["Walk", Message, Message, Path], None]  # compares one field, or some, of unequal messages
UNKNOWN_MAX_BYTES: Final = 262_144  # of unknown fields in one message; decoding them costs a hundred times as much


class TooComplexError(Exception):
    """The work limit is reached; `path` is where."""

    def __init__(self, path: Path) -> None:
        super().__init__("the work limit is reached")
        self.path = path


class EnoughError(Exception):
    """A probe has seen as many differences as it asked for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How messages of two types are compared at one place of the rules."""

    parts: tuple[Part, ...]  # in order of field number
    gated: bool  # `==` of the two decides that they are the same
    ignore: str  # the id of the rule that ignores this place
    unknown: Callable[[Walk, Any, Any, Path], None] | None  # compares unknown fields where there are any


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


class Walk:
    """The state of one comparison; its one owner is the call of `compare`."""

    # What most walks never change stands in the class, so that a walk costs little to begin.
    count = 0
    ignored_count = 0
    depth = 0
    large = False  # whether the outermost messages are of a size at which to be careful
    shifts: Sequence[tuple[int, int]] = ()  # where the right path has another index: position, index
    _stop_at = 0  # of a probe
    _patterns: dict[bool, set[tuple[str, Kind]]] | None = None

    def __init__(self, setting: Setting, types: Types | None) -> None:
        self.setting = setting
        self.types = types
        self.rows: list[Row] = []
        self._work = [setting.work_max]  # left; shared with probes

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
        work = self._work
        work[0] -= units
        if work[0] < 0:
            raise TooComplexError(path)

    # Going down

    def messages(  # noqa: PLR0913, PLR0917 - the two, where they stand, and what is known of them
        self, left: Message, right: Message, path: Path, place: Place, inherited: Rules = (), size: int = -1
    ) -> None:
        """Compare two messages that are both there. `size`: bytes of both, where the caller knows."""
        plan = self.setting.plan_of(descriptor_of(left), descriptor_of(right), place, inherited)
        if plan.gated and left == right:
            return
        if self.depth == 0:
            self.large = (byte_size(left) + byte_size(right) if size < 0 else size) > UNKNOWN_MAX_BYTES
        self.unequal(plan, left, right, path)

    def unequal(self, plan: Plan, left: Message, right: Message, path: Path) -> None:
        """Compare two messages that `==` holds for different, or cannot decide about."""
        if plan.ignore:
            if self.differ(left, right, path):
                self.add(path, Kind.VALUE, left, right, plan.ignore)
            return
        if self.depth >= self.setting.depth_max:
            note = f"too complex: nested deeper than {self.setting.depth_max} messages"
            self.add(path, Kind.VALUE, note=note)
            return
        work = self._work
        work[0] -= len(plan.parts) + 1
        if work[0] < 0:
            raise TooComplexError(path)
        self.depth += 1
        if plan.unknown is not None:
            if self.large and unknown_bytes(left) + unknown_bytes(right) > UNKNOWN_MAX_BYTES:
                self.add(path, Kind.VALUE, note=f"too complex: over {UNKNOWN_MAX_BYTES} bytes of unknown fields")
            else:
                ours, theirs = UnknownFieldSet(left), UnknownFieldSet(right)
                if len(ours) or len(theirs):
                    plan.unknown(self, ours, theirs, path)
        for part in plan.parts:
            part(self, left, right, path)
        self.depth -= 1  # what raises ends the walk

    # What is found

    def add(  # noqa: PLR0913, PLR0917 - the parts of a Difference
        self, path: Path, kind: Kind, left: Any = None, right: Any = None, rule: str = "", note: str = ""
    ) -> None:
        """One difference; with `rule`, the id of the rule under which it does not count."""
        if rule:
            self.ignored_count += 1
            number = self.ignored_count
        else:
            self.count += 1
            number = self.count
        if self._stop_at:
            if self.count >= self._stop_at:
                raise EnoughError
        elif number <= self.setting.differences_max or self._is_new(path, kind, bool(rule)):
            if self.shifts:
                self._keep_shifted(path, kind, left, right, rule, note)
            else:
                self.rows.append((path, kind, left, right, rule, note, ()))

    def lonely(self, path: Path, place: Place, kind: Kind, value: Any, *, note: str = "") -> None:
        """One side has something (`value`) that the other has not: kind MISSING (only left) or ADDED (only right)."""
        ignore = place.find(Ignore)
        left, right = (value, None) if kind is Kind.MISSING else (None, value)
        self.add(path, kind, left, right, ignore.id if ignore else "", note)

    def remark(self, path: Path, kind: Kind, left: Any = None, right: Any = None) -> None:
        """What is no difference but was asked for."""
        if not self._stop_at and len(self.rows) <= 4 * self.setting.differences_max:
            self._keep_shifted(path, kind, left, right, "", "")

    def _keep_shifted(self, path: Path, kind: Kind, left: Any, right: Any, rule: str, note: str) -> None:  # noqa: PLR0913, PLR0917
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
        if self._patterns is None:
            self._patterns = {False: set(), True: set()}
            for row in self.rows:
                self._patterns[bool(row[4])].add((pattern_of(row[0]), row[1]))
        seen = self._patterns[ruled]
        name = (pattern_of(path), kind)
        if len(seen) >= 2 * self.setting.differences_max or name in seen:
            return False
        seen.add(name)
        return True

    def result(self, *, complete: bool = True) -> Result:
        """All that was found."""
        return Result(self.rows, self.count, self.ignored_count, complete)

    # Looking without keeping

    def probe(self, stop_at: int = 1) -> Walk:
        """A walk that only counts, up to `stop_at`, with this one's work."""
        probing = Walk(self.setting, self.types)
        probing._stop_at, probing._work = stop_at, self._work
        probing.depth, probing.large = self.depth, self.large
        return probing

    @property
    def probing(self) -> bool:
        """Whether this walk only counts."""
        return self._stop_at > 0

    def differ(self, left: Message, right: Message, path: Path) -> bool:
        """Whether two messages really differ, rules apart."""
        return counted(self.probe(), lambda probing: probing.messages(left, right, path, self.setting.bare)) > 0


def unless_ignored(
    walk: Walk, path: Path, place: Place, look: Callable[[Walk, Place], None], *, note: str = ""
) -> None:
    """`look` at a list, a map or a stream; where a rule ignores it, only count one difference under it if it has any."""
    ignore = place.find(Ignore)
    if ignore is None:
        look(walk, place)
    elif counted(walk.probe(), lambda probing: look(probing, walk.bare)):
        walk.add(path, Kind.VALUE, None, None, ignore.id, note)


def descriptor_of(message: Message) -> Descriptor:
    """Of its class: a field may be called DESCRIPTOR."""
    descriptor: Any = type(message).DESCRIPTOR
    return descriptor  # type: ignore[no-any-return]  # the stubs know two classes of descriptors


def counted(probing: Walk, look: Callable[[Walk], None]) -> int:
    """How many differences `look` counts, up to the probe's limit."""
    with suppress(EnoughError):
        look(probing)
    return probing.count
