"""The one public way to compare two messages, and what it means for them to differ."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from google.protobuf.message import Message

from mirror.core.compare.compiler import Compiler
from mirror.core.compare.options import CompareOptions, Result
from mirror.core.compare.sink import Budget, Sink, TooComplexError
from mirror.core.compare.walk import Types, Walk
from mirror.core.model import Kind
from mirror.core.path import Field, Path
from mirror.core.rules import MethodRules

RESPONSE: Final[Path] = (Field("response"),)
NO_RULES: Final = MethodRules(())
DEFAULTS: Final = CompareOptions()


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

    What it means (MessageDifferencer's semantics where it has any):

    1.  Presence counts: a field with presence that is unset differs from one that is set to its default. A field
        without presence is compared by value. One side only: kind *missing* (the primary has it) or *added*.
    2.  Scalars differ if their values do. -0.0 equals 0.0; NaN equals NaN unless `nan_equal` is off. Enums go by number.
    3.  A message that only one side has is one difference, not one a field.
    4.  Lists go by position. The same elements in another order are one difference of kind *order*. Lists of different
        lengths are aligned, so that a lost element is one *missing* and not a shifted tail.
    5.  Maps go by key. A oneof whose branch changed is the one branch missing and the other added.
    6.  An Any is compared by the message in it; another type is one difference with both names. Where nobody knows the
        type or it cannot be decoded: type URL and bytes.
    7.  A Timestamp or a Duration is one value.
    8.  Extensions are fields; unknown fields count, by number, wire type and index, whatever their order.
    9.  Fields of two schemas meet by number. One that only one schema has is missing or added where it is set. One whose
        type changed is compared by value where numbers meet numbers and text meets text, single or repeated; else it
        differs where it is set. Never by equal bytes.
    10. A rule never makes a difference. Ignore covers all below its path; a leaf rule at a list, a map or a wrapper holds
        for the values in it; of several at one path the first that excuses two values is named. What a rule excuses is
        in `ignored` only where the two really differ. The order of a list under an unordered or keyed rule is such too.
    11. Under an unordered list rule as many elements as possible are matched that are the same under the rules; the rest
        pair by likeness (half of the leaves) or are missing and added. Under a keyed one elements pair by key; of
        several with one key the same ones first.
    12. Over `depth_max` or `work_max` one difference says "too complex" at its place; what was found before stands.

    Order: as found, by field number, unknown fields first; in a list order, couples, added, missing.
    """
    return comparer(rules, options).compare(left, right, root)


class Comparer:
    """`compare` for one set of rules and options, with its compiled plans."""

    def __init__(self, rules: MethodRules = NO_RULES, options: CompareOptions = DEFAULTS) -> None:
        self.rules = rules
        self.options = options
        self._compiler = Compiler(nan_equal=options.nan_equal)

    def compare(self, left: Message, right: Message, root: Path = RESPONSE, *, types: Types | None = None) -> Result:
        """See `compare`. `types`: where to look for the types of Anys that the messages' own pools do not know."""
        return self.run(lambda walk: walk.messages(left, right, root, self.rules.walk(root)), types=types)

    def run(self, look: Callable[[Walk], None], *, types: Types | None = None) -> Result:
        """What `look` finds with a walk of its own: for streams and whatever else is made of messages."""
        walk = Walk(
            plan_of=self._compiler.plan,
            bare=NO_RULES.start,
            options=self.options,
            types=types,
            sink=Sink(self.options.differences_max),
            budget=Budget(self.options.work_max),
        )
        try:
            look(walk)
        except TooComplexError as stop:
            walk.sink.complete = False
            note = f"too complex: over {self.options.work_max} steps; what follows was not compared"
            walk.sink.add(stop.path, Kind.VALUE, note=note)
        return walk.sink.result()


@lru_cache(maxsize=256)
def comparer(rules: MethodRules, options: CompareOptions = DEFAULTS) -> Comparer:
    """The comparer of these rules and options, kept with its plans."""
    return Comparer(rules, options)
