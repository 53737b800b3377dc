"""The one public way to compare two messages, and what it means for them to differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Final

from google.protobuf.message import Message

from mirror.core.compare.compiler import Compiler
from mirror.core.compare.floods import EQUAL_MAX_BYTES, UNKNOWN_MAX_BYTES, flooded, is_large
from mirror.core.compare.options import CompareOptions
from mirror.core.compare.reflect import byte_size
from mirror.core.compare.result import Result
from mirror.core.compare.walk import (
    Part,
    Plan,
    Setting,
    TooComplexError,
    Types,
    Walk,
    deepest,
    descriptor_of,
)
from mirror.core.model import Kind
from mirror.core.path import Field, Path
from mirror.core.rules import Ignore, MethodRules, Place

RESPONSE: Final[Path] = (Field("response"),)
NO_RULES: Final = MethodRules(())
DEFAULTS: Final = CompareOptions()
SAME: Final = Result()
ROOTS_MAX: Final = 1024  # roots and types whose place or plan is remembered


def compare(
    left: Message,
    right: Message,
    rules: MethodRules = NO_RULES,
    root: Path = RESPONSE,
    options: CompareOptions = DEFAULTS,
) -> Result:
    """Hold the shadow's message (`right`) against the primary's (`left`), field by field.

    In: two messages, of one class or of two whose fields then meet by number; the rules of their method; the path that
    the two have in the call; options. Out: a Result. Never raises for anything that the messages hold.

    What it means. The semantics are those of google::protobuf::util::MessageDifferencer, which REFERENCE gives as it
    comes; what the defaults add is said:

    1.  Presence counts: a field that is set on one side only is *missing* (the primary has it) or *added*, also where its
        value is the default. A field without presence is set if it is not at its default. `equivalent`: unset equals
        default, and unknown fields are not looked at. `partial`: what only the right has does not count.
    2.  Scalars differ if their values do: kind *value*. -0.0 equals 0.0. NaN equals NaN unless `nan_equal` is off. Enums
        go by number. `approximate`: floats that are set on both sides may be off by the options' tolerance.
    3.  A message that only one side has is one difference, not one a field.
    4.  Lists go by position (`lists`, or a field's own): as sets, smart lists and smart sets as the reference pairs them,
        with the most couples that can be. The default aligns: the same elements in another order are one difference of
        kind *order*, and a lost element is one *missing* and not a shifted tail.
    5.  Maps go by key. A oneof whose branch changed is the one branch missing and the other added.
    6.  An Any is compared by the message in it; another type is one difference with both names. Where nobody knows the
        type or it cannot be decoded: type URL and bytes.
    7.  By default a Timestamp, a Duration and a FieldMask are one value each, a wrapper has no unset value inside, and a
        Value (of a Struct) of another type is one difference.
    8.  Extensions are fields; unknown fields count, by number, wire type and index, whatever their order.
    9.  Fields of two schemas meet by number. One that only one schema has is missing or added where it is set. One whose
        type changed is compared by value where numbers meet numbers and text meets text, single or repeated; else it
        differs where it is set. Never by equal bytes.
    10. A rule never makes a difference. Ignore covers all below its path; a leaf rule at a list, a map or a wrapper holds
        for the values in it; of several at one path the first that excuses two values is named. What a rule excuses is
        in `ignored` only where the two really differ. The order of a list under an unordered or keyed rule is such too.
        A field that `fields` ignores is not looked at, wherever its message occurs.
    11. Under an unordered list rule as many elements as possible are matched that are the same under the rules; the rest
        pair by likeness (half of the leaves) or are missing and added. Under a keyed one elements pair by key; of
        several with one key the same ones first.
    12. Over `depth_max` or `work_max` one difference says "too complex" at its place; what was found before stands.

    Order: as found, by field number, unknown fields first, what is in a message before the message; in a list order,
    couples, added, missing. `path` is where it stands on the left, of what was added on the right.
    """
    return comparer(rules, options).compare(left, right, byte_size(left) + byte_size(right), root)


class Comparer:
    """`compare` for one set of rules and options, with its compiled plans."""

    def __init__(self, rules: MethodRules = NO_RULES, options: CompareOptions = DEFAULTS) -> None:
        self.rules = rules
        self.options = options
        ruled = any(isinstance(rule, Ignore) for rule in rules.rules)
        self._compiler = Compiler(options, NO_RULES.start, ruled=ruled)
        gates = self._compiler.gates and options.nan_equal
        careful = Setting(
            Compiler(options, NO_RULES.start, ruled=ruled, equals=False).plan,
            NO_RULES.start,
            options,
            gates,
            options.work_max,
            options.depth_max,
            options.differences_max,
            not self._compiler.gates,
            options.matches or options.moves or options.aggregates,
        )
        self._setting = replace(careful, plan_of=self._compiler.plan, careful=careful)
        # Up to this size `==` is asked first, and alone tells that two messages are the same; -2: never.
        self._quick_max = EQUAL_MAX_BYTES if gates and options.only is None else -2
        self._roots: dict[Path, Place] = {}
        self._looks: dict[type[Message], Part] = {}  # at two messages of one class at the usual root, found different

    def compare(
        self, left: Message, right: Message, size: int = -1, root: Path = RESPONSE, types: Types | None = None
    ) -> Result:
        """See `compare`. `size`: how many bytes the two were parsed from together; -1: not known, and they are not large.

        `types`: where to look for the types of Anys that the messages' own pools do not know.
        """
        if size <= self._quick_max:
            if left == right:
                return SAME
            look = self._looks.get(type(left)) if root is RESPONSE and type(left) is type(right) else None
        else:
            look = None
        if look is None:
            if size > EQUAL_MAX_BYTES and self.options.only is None and (flooded(left) or flooded(right)):
                return self._flooded(left, right, root, types)
            plan = self._plan(left, right, root)
            if size > self._quick_max and plan.gated and left == right:
                return SAME
            look = plan.look
        walk = Walk(self._setting)
        if types is not None:
            walk.types = types
        if size > UNKNOWN_MAX_BYTES or size < 0:
            walk.large = is_large(left, right, size)
        try:
            look(walk, left, right, root)
        except TooComplexError as stop:
            return self._too_complex(walk, stop.path, f"over {self.options.work_max} steps")
        except RecursionError as error:
            return self._too_complex(walk, deepest(error, root), "nested too deep")
        return walk if types is None and walk.patterns is None else walk.result()  # most often nothing is to be let go

    def run(self, look: Callable[[Walk], None], root: Path = (), *, types: Types | None = None) -> Result:
        """What `look` finds with a walk of its own: for streams and whatever else is made of messages. `root`: where."""
        walk = Walk(self._setting)
        walk.types = types
        try:
            look(walk)
        except TooComplexError as stop:
            return self._too_complex(walk, stop.path, f"over {self.options.work_max} steps")
        except RecursionError as error:
            return self._too_complex(walk, deepest(error, root), "nested too deep")
        return walk.result()

    def _flooded(self, left: Message, right: Message, root: Path, types: Types | None) -> Result:
        # A method of its own: a function within `compare` would make reading its arguments slower.
        return self.run(lambda walk: walk.flooded(left, right, root, self.rules.walk(root)), root, types=types)

    @staticmethod
    def _too_complex(walk: Walk, path: Path, why: str) -> Result:
        walk.shift(())
        walk.add(path, Kind.VALUE, note=f"too complex: {why}; what follows was not compared")
        walk.complete = False
        return walk.result()

    def _plan(self, left: Message, right: Message, root: Path) -> Plan:
        place = self._roots.get(root)
        if place is None:
            place = self.rules.walk(root)
            if len(self._roots) < ROOTS_MAX:
                self._roots[root] = place
        plan = self._compiler.root(descriptor_of(left), descriptor_of(right), place)
        if root is RESPONSE and type(left) is type(right) and len(self._looks) < ROOTS_MAX:
            self._looks[type(left)] = plan.look
        return plan


@lru_cache(maxsize=256)
def comparer(rules: MethodRules, options: CompareOptions = DEFAULTS) -> Comparer:
    """The comparer of these rules and options, kept with its plans."""
    return Comparer(rules, options)
