"""One walk down two messages: the mutable state of one comparison, and what every step of it shares.

A `Plan` says how two messages of two descriptors are compared at one place of the rules; its parts do the work. The
walk finds plans through the function it is given, so that parts and plans know the walk and not the other way round.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from mirror.core.compare.options import CompareOptions
from mirror.core.compare.sink import Budget, EnoughError, Probe, Sink
from mirror.core.model import Kind
from mirror.core.path import Path
from mirror.core.rules import Ignore, Place, Rule

Rules: TypeAlias = tuple[Rule, ...]
# The classes of a message type inside an Any on either side, where the pools of the Anys do not know it.
Types: TypeAlias = Callable[[str], tuple[type[Message], type[Message]] | None]


class Part(Protocol):
    """Compares one field, or some, of two messages that differ."""

    def compare(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """Put what differs into the walk's sink; `path` is that of the two messages."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How messages of two types are compared at one place of the rules."""

    parts: tuple[Part, ...]  # in order of field number
    gated: bool  # `==` of the two decides: one type, and nothing below that `==` sees otherwise
    ignore: str  # the id of the rule that ignores this place


class Planner(Protocol):
    """Finds or compiles the plan of two descriptors at a place. `inherited`: leaf rules of the list or map around."""

    def __call__(self, left: Descriptor, right: Descriptor, place: Place, inherited: Rules) -> Plan:
        """Cheap after the first time."""


class Walk:
    """The state of one comparison; its one owner is the call of `compare`."""

    __slots__ = ("bare", "budget", "depth", "large", "options", "plan_of", "sink", "types")

    def __init__(  # noqa: PLR0913 - made in two places only
        self, *, plan_of: Planner, bare: Place, options: CompareOptions, types: Types | None, sink: Sink, budget: Budget
    ) -> None:
        self.plan_of = plan_of
        self.bare = bare  # the place of no rules
        self.options = options
        self.types = types
        self.sink = sink
        self.budget = budget
        self.depth = 0
        self.large = False  # whether the outermost messages are of a size at which to be careful

    def messages(self, left: Message, right: Message, path: Path, place: Place, inherited: Rules = ()) -> None:
        """Compare two messages that are both there."""
        plan = self.plan_of(descriptor_of(left), descriptor_of(right), place, inherited)
        if not (plan.gated and left == right):
            self.unequal(plan, left, right, path)

    def unequal(self, plan: Plan, left: Message, right: Message, path: Path) -> None:
        """Compare two messages that `==` holds for different, or cannot decide about."""
        if plan.ignore:
            if self.differ(left, right, path):
                self.sink.add(path, Kind.VALUE, left, right, rule=plan.ignore)
            return
        if self.depth >= self.options.depth_max:
            self.sink.add(path, Kind.VALUE, note=f"too complex: nested deeper than {self.options.depth_max} messages")
            return
        self.budget.spend(len(plan.parts), path)
        self.depth += 1
        try:
            for part in plan.parts:
                part.compare(self, left, right, path)
        finally:
            self.depth -= 1

    def lonely(self, path: Path, place: Place, kind: Kind, value: Any, *, note: str = "") -> None:
        """One side has something (`value`) that the other has not: kind MISSING (only left) or ADDED (only right)."""
        ignore = place.find(Ignore)
        left, right = (value, None) if kind is Kind.MISSING else (None, value)
        self.sink.add(path, kind, left, right, rule=ignore.id if ignore else "", note=note)

    def probe(self, stop_at: int = 1) -> Walk:
        """A walk that only counts, up to `stop_at`, on this one's budget."""
        probing = Walk(
            plan_of=self.plan_of,
            bare=self.bare,
            options=self.options,
            types=self.types,
            sink=Probe(stop_at),
            budget=self.budget,
        )
        probing.depth, probing.large = self.depth, self.large
        return probing

    def differ(self, left: Message, right: Message, path: Path) -> bool:
        """Whether two messages really differ, rules apart."""
        return counted(self.probe(), lambda probing: probing.messages(left, right, path, self.bare)) > 0


def unless_ignored(
    walk: Walk, path: Path, place: Place, look: Callable[[Walk, Place], None], *, note: str = ""
) -> None:
    """`look` at a list, a map or a stream; where a rule ignores it, only count one difference under it if it has any."""
    ignore = place.find(Ignore)
    if ignore is None:
        look(walk, place)
    elif counted(walk.probe(), lambda probing: look(probing, walk.bare)):
        walk.sink.add(path, Kind.VALUE, rule=ignore.id, note=note)


def descriptor_of(message: Message) -> Descriptor:
    """Of its class: a field may be called DESCRIPTOR."""
    descriptor: Any = type(message).DESCRIPTOR
    return descriptor  # type: ignore[no-any-return]  # the stubs know two classes of descriptors


def counted(probing: Walk, look: Callable[[Walk], None]) -> int:
    """How many differences `look` counts, up to the probe's limit."""
    with suppress(EnoughError):
        look(probing)
    sink = probing.sink
    return sink.count if isinstance(sink, Probe) else 0
