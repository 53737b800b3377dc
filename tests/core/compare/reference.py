"""The oracle: MessageDifferencer's equality in the plainest words, over what `ListFields` gives. Slow, and no report.

It reads CompareOptions as MessageDifferencer's own options. ALIGNED lists are equal as LIST ones are. Matching takes as many
elements as possible, where MessageDifferencer takes the first that fits unless it compares partially: the two agree
as long as sameness is transitive, which a tolerance can break. An entry of a map counts with key and value, as for newer
versions without a reporter; under partial comparison 3.21 takes a default in an entry of proto3 for unset.
"""

from __future__ import annotations

import math
import struct

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from mirror.core.compare import CompareOptions, FieldOptions, Lists
from tests.core.compare.zoo import get, shape

_EPSILON = {FieldDescriptor.TYPE_FLOAT: 2.0**-23, FieldDescriptor.TYPE_DOUBLE: 2.0**-52}
_NO_OPTIONS = FieldOptions("")


def equal(left: Message, right: Message, options: CompareOptions, ignore_paths: frozenset[str] = frozenset()) -> bool:
    """Whether MessageDifferencer calls the two equal. `ignore_paths`: dotted, from the root, without indices or keys."""
    return _Oracle(options, ignore_paths).roots(left, right)


class _Oracle:
    def __init__(self, options: CompareOptions, ignore_paths: frozenset[str]) -> None:
        self.options = options
        self.ignore_paths = ignore_paths
        self.by_name = {own.name: own for own in options.fields}

    def own(self, field: FieldDescriptor) -> FieldOptions:
        return self.by_name.get(field.full_name, _NO_OPTIONS)

    def ignored(self, field: FieldDescriptor, path: tuple[str, ...]) -> bool:
        return self.own(field).ignore or ".".join((*path, field.name)) in self.ignore_paths

    def roots(self, left, right) -> bool:
        if self.options.only is None:
            return self.messages(left, right, ())
        fields = [*left.DESCRIPTOR.fields, *left.DESCRIPTOR.file.pool.FindAllExtensions(left.DESCRIPTOR)]
        ours, theirs = ({f.number: f for f in fields if f.full_name in names} for names in self.options.only)
        return self.fields(left, right, ours, theirs, ())

    def messages(self, left, right, path) -> bool:
        payloads = _payload(left), _payload(right)
        if None not in payloads and payloads[0].DESCRIPTOR is payloads[1].DESCRIPTOR:
            return self.messages(*payloads, path)
        if not self.options.equivalent and not self.unknown(UnknownFieldSet(left), UnknownFieldSet(right)):
            return False
        ours, theirs = ({field.number: field for field, _ in side.ListFields()} for side in (left, right))
        return self.fields(left, right, ours, theirs, path)

    def fields(self, left, right, ours, theirs, path) -> bool:
        """`ours` and `theirs`: the fields that count as present, by number."""
        options = self.options
        if options.equivalent:
            ours = theirs = ours if options.partial else ours | theirs
        elif options.partial:
            theirs = {n: f for n, f in theirs.items() if n in ours or (options.force_no_presence and _bare(f))}
        for number, field in (ours | theirs).items():
            if self.ignored(field, path):
                continue
            if number not in ours or number not in theirs or not self.field(left, right, field, path):
                return False
        return True

    def field(self, left, right, field, path) -> bool:
        one, other = get(left, field), get(right, field)
        below = (*path, field.name)
        match shape(field):
            case "map":
                return self.maps(dict(one.items()), dict(other.items()), field, below)
            case "list":
                return self.lists(list(one), list(other), field, below)
            case _:
                return self.values(one, other, field, below)

    def values(self, one, other, field, path) -> bool:
        """Two single values of one field; `path` is the field's own."""
        if field.message_type is not None:
            return self.messages(one, other, path)
        if field.type in _EPSILON:
            return one == other or self.near(one, other, field)
        return one == other

    def near(self, one, other, field) -> bool:
        if self.options.nan_equal and math.isnan(one) and math.isnan(other):
            return True
        if not self.options.approximate:
            return False
        single = _to_float32 if field.type == FieldDescriptor.TYPE_FLOAT else (lambda x: x)
        tolerance = self.own(field)
        if tolerance.margin is None and tolerance.fraction is None:
            tolerance = self.options
        if tolerance.margin is None and tolerance.fraction is None:
            return single(abs(one - other)) < 32 * _EPSILON[field.type]
        if not (math.isfinite(one) and math.isfinite(other)):
            return False
        relative = single(single(tolerance.fraction or 0.0) * max(abs(one), abs(other)))
        return single(abs(one - other)) <= max(single(tolerance.margin or 0.0), relative)

    def lists(self, ours, theirs, field, path) -> bool:
        own = self.own(field)
        mode = own.lists or self.options.lists

        def same(one, other):
            return self.values(one, other, field, path)

        if own.by:
            return self.keyed(ours, theirs, own.by, field, path)
        if mode in (Lists.SET, Lists.SMART_SET):
            more = self.options.partial and mode is Lists.SET
            return self.enough(ours, theirs, more=more) and len(_couples(ours, theirs, same)) == len(ours)
        return len(ours) == len(theirs) and all(map(same, ours, theirs))

    def keyed(self, ours, theirs, by, field, path) -> bool:
        """Elements of one key belong together; of several with one key, the first with the first."""

        def one_key(one, other):
            return all(self.key(one, other, name.split("."), path) for name in by)

        couples = _couples(ours, theirs, one_key)
        whole = self.enough(ours, theirs, more=self.options.partial) and len(couples) == len(ours)
        return whole and all(self.values(ours[i], theirs[j], field, path) for i, j in couples)

    def key(self, left, right, names, path) -> bool:
        """Whether one key path agrees: on the way down by presence, at its end by value. Ignoring it changes nothing."""
        name, *rest = names
        field = left.DESCRIPTOR.fields_by_name[name]
        if not rest:
            return self.field(left, right, field, path)
        has, has_too = left.HasField(name), right.HasField(name)
        if not (has and has_too):
            return has == has_too
        return self.key(getattr(left, name), getattr(right, name), rest, (*path, name))

    def maps(self, ours, theirs, field, path) -> bool:
        entry = field.message_type.fields_by_name
        value = entry["value"]
        no_value = self.ignored(value, path)

        def same(one, other):
            return no_value or self.values(one, other, value, (*path, "value"))

        if not self.enough(ours, theirs, more=self.options.partial):
            return False
        if self.ignored(entry["key"], path):  # then it is a set of values
            return len(_couples(list(ours.values()), list(theirs.values()), same)) == len(ours)
        return ours.keys() <= theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)

    @staticmethod
    def enough(ours, theirs, *, more: bool) -> bool:
        return len(ours) <= len(theirs) if more else len(ours) == len(theirs)

    def unknown(self, left, right) -> bool:
        """By number and wire type; within these in order."""
        ours, theirs = _sorted(left), _sorted(right)
        if not self.options.partial and ours.keys() != theirs.keys():
            return False
        for tag, values in ours.items():
            others = theirs.get(tag, [])
            if not self.enough(values, others, more=self.options.partial):
                return False
            if not all(self.unknown_value(*pair) for pair in zip(values, others, strict=False)):
                return False
        return True

    def unknown_value(self, one, other) -> bool:
        return self.unknown(one, other) if isinstance(one, UnknownFieldSet) else one == other


def _couples(ours, theirs, same) -> list[tuple[int, int]]:
    """As many couples that are the same as there can be (Kuhn's algorithm), the first fitting one preferred."""
    owner: dict[int, int] = {}

    def placed(i: int, tried: set[int]) -> bool:
        fitting = [j for j in range(len(theirs)) if same(ours[i], theirs[j])]
        for j in sorted(fitting, key=lambda j: j in owner):
            if j not in tried:
                tried.add(j)
                if j not in owner or placed(owner[j], tried):
                    owner[j] = i
                    return True
        return False

    for i in range(len(ours)):
        placed(i, set())
    return [(i, j) for j, i in owner.items()]


def _payload(message: Message) -> Message | None:
    """What an Any holds, if its pool knows the type and the bytes can be parsed."""
    if message.DESCRIPTOR.full_name != "google.protobuf.Any":
        return None
    slash, name = message.type_url.rpartition("/")[1:]
    try:
        made = GetMessageClass(message.DESCRIPTOR.file.pool.FindMessageTypeByName(name if slash else ""))()
        made.MergeFromString(message.value)
    except (KeyError, DecodeError):
        return None
    return made


def _sorted(fields: UnknownFieldSet) -> dict[tuple[int, int], list]:
    found: dict[tuple[int, int], list] = {}
    for field in fields:
        found.setdefault((field.field_number, field.wire_type), []).append(field.data)
    return found


def _bare(field: FieldDescriptor) -> bool:
    return shape(field) == "scalar" and not field.has_presence


def _to_float32(value: float) -> float:
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
