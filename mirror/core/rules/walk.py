"""Walks a path pattern down a schema: where may it lead, and if nowhere, at which step and what was meant?

A stand is what a path can stand at: the call, its status and metadata, messages, lists, maps and leaves. Only the response
and details of errors need a schema; the rest is the same for every call. Of requests no schema is asked: rules at them
excuse what may be changed on the way (see mirror.core.requests), and are never found wrong. Of outbound calls the requests
have schemas, as far as such calls were seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain
from typing import Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from mirror.core.path import AnyElement, AnyName, AnySteps, Field, Index, Key, PatternStep, Typed, render

ANY: Final = "google.protobuf.Any"
TIMES: Final = ("google.protobuf.Timestamp", "google.protobuf.Duration")  # each compared as one value
_METADATA: Final = ("initial_metadata", "trailing_metadata")
STANDS_MAX: Final = 10_000  # that one `**` may spread over; the rest counts as not known
_KEY_TYPES: Final = {FieldDescriptor.CPPTYPE_STRING: str, FieldDescriptor.CPPTYPE_BOOL: bool}


@dataclass(frozen=True, slots=True)
class Text:
    """What needs no schema, by its pattern: `status.code`, `trailing_metadata[*]`; `""` is the call itself."""

    name: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message, wherever it stands."""

    type: Descriptor


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar or enum value."""

    field: FieldDescriptor


@dataclass(frozen=True, slots=True)
class Opaque:
    """Whatever stands here, no known schema describes it."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """The calls that the service makes, by whom they go to."""


@dataclass(frozen=True, slots=True)
class Made:
    """One call that the service makes, to this method; empty: to any."""

    method: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """A repeated field, a stream of messages, or the calls to one method."""

    element: Message | Leaf | Opaque | Text | Made


@dataclass(frozen=True, slots=True)
class Map:
    """A map field."""

    key: FieldDescriptor
    value: Message | Leaf


Stand: TypeAlias = Text | Message | Leaf | Repeated | Map | Opaque | Outbound | Made
OPAQUE: Final = Opaque()
# Only by name: `**` and `*` are about answers.
_BY_NAME: Final[dict[str, Stand]] = {"request": OPAQUE, "requests": Repeated(OPAQUE), "outbound": Outbound()}
_DETAIL: Final = Text("status.details[*]")
_STATUS: Final[dict[str, Stand]] = {
    "code": Text("status.code"),
    "message": Text("status.message"),
    "details": Repeated(_DETAIL),
    "no_answer": Text("status.no_answer"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """Where a pattern leads. `problem` set: nowhere, and why. `opaque`: perhaps elsewhere too, no schema tells."""

    stands: tuple[Stand, ...] = ()
    opaque: bool = False
    problem: str = ""
    depth: int = 0  # with a problem: steps that do exist


@dataclass(frozen=True, slots=True)
class Schema:
    """What is known of a call's answers. `response` None: nothing; `streamed` None: not even how many come.

    `outbound`: the request types of the calls that the service makes meanwhile, by whom they go to.
    """

    response: Descriptor | None = None
    streamed: bool | None = None
    outbound: Mapping[str, tuple[Descriptor, ...]] = field(default_factory=dict)

    @property
    def pool(self) -> DescriptorPool | None:
        """Where the types inside an Any are looked up."""
        return None if self.response is None else self.response.file.pool

    def walk(self, steps: tuple[PatternStep, ...], start: Stand = Text("")) -> Found:
        """Where `steps` lead from `start`, the root of the call unless told otherwise."""
        stands: list[Stand] = [start]
        for position, step in enumerate(steps):
            reached = self._spread(stands) if isinstance(step, AnySteps) else self._step(stands, step)
            if not reached:
                first, before = stands[0], render(steps[:position])
                made = isinstance(first, Outbound | Made)
                problem = _explain_outbound(first, before) if made else self._explain(first, step, before)
                return Found(problem=problem, depth=position)
            stands = reached
        known = tuple(stand for stand in stands if stand != OPAQUE)
        return Found(known, opaque=len(known) < len(stands))

    def _step(self, stands: list[Stand], step: PatternStep) -> list[Stand]:
        reached = (stand for before in stands for stand in self._from(before, step))
        return list(dict.fromkeys(reached))

    def _spread(self, stands: list[Stand]) -> list[Stand]:
        """Everything at or below: what `**` may stand for."""
        found = dict.fromkeys(stands)
        queue = list(found)
        while queue:
            at = queue.pop()
            for stand in (*self._from(at, AnyName()), *self._from(at, AnyElement())):
                if stand in found:
                    continue
                if len(found) >= STANDS_MAX:
                    return [*found, OPAQUE]
                found[stand] = None
                queue.append(stand)
        return list(found)

    def _from(self, stand: Stand, step: PatternStep) -> Iterator[Stand]:
        """Where one step other than `**` may lead."""
        match stand, step:
            case Opaque(), _:
                yield OPAQUE
            case Text(""), Field(name) if name in _BY_NAME:
                yield _BY_NAME[name]
            case ((Outbound() | Made()), _):
                yield from self._effects(stand, step)
            case ((Text() | Message()), Field(name)):
                if stand == _DETAIL or name.isdigit():  # an Any that nobody could unpack; a number: an unknown field
                    yield OPAQUE
                elif name in (names := self.names(stand)):
                    yield names[name]
            case _, AnyName():
                yield from self.names(stand).values()
                yield from self._typed_any(stand)
            case _, Typed(name):
                yield from self._typed(stand, name)
            case _:
                yield from _elements(stand, step)

    def _effects(self, stand: Outbound | Made, step: PatternStep) -> Iterator[Stand]:
        match stand, step:
            case Outbound(), Key(str(method)):
                yield Repeated(Made(method))
            case Outbound(), AnyElement():
                yield Repeated(Made(""))
            case Made(method), Field("request" | "requests" as name):
                yield from self._requests(method, streamed=name == "requests")
            case Made(method), AnyName():
                yield from self._requests(method, streamed=False)
                yield from self._requests(method, streamed=True)

    def _requests(self, method: str, *, streamed: bool) -> Iterator[Stand]:
        known = self.outbound.get(method, ()) if method else chain.from_iterable(self.outbound.values())
        messages: list[Message | Opaque] = [Message(descriptor) for descriptor in known]
        if not (method and messages):
            messages.append(OPAQUE)
        for message in messages:
            yield Repeated(message) if streamed else message

    def names(self, stand: Stand) -> dict[str, Stand]:
        """The fields below a stand."""
        match stand:
            case Message(descriptor):
                fields = () if descriptor.full_name in TIMES else descriptor.fields
                return {field.name: _field(field) for field in fields}
            case Text(""):
                response: Message | Opaque = OPAQUE if self.response is None else Message(self.response)
                shapes: dict[str, Stand] = {"responses": Repeated(response)} if self.streamed is not False else {}
                if not self.streamed:
                    shapes["response"] = response
                return shapes | {name: Text(name) for name in ("status", *_METADATA)}
            case Text("status"):
                return _STATUS
            case _:
                return {}

    def _typed(self, stand: Stand, name: str) -> Iterator[Stand]:
        if _is_any(stand):
            try:
                yield Message(self.pool.FindMessageTypeByName(name)) if self.pool else OPAQUE
            except KeyError:
                yield OPAQUE
        elif isinstance(stand, Message) and stand.type.is_extendable:
            known = {field.full_name: field for field in _extensions(stand.type)}
            yield _field(known[name]) if name in known else OPAQUE

    def _typed_any(self, stand: Stand) -> Iterator[Stand]:
        if _is_any(stand):
            yield OPAQUE
        elif isinstance(stand, Message):
            yield from map(_field, _extensions(stand.type))

    def _explain(self, stand: Stand, step: PatternStep, path: str) -> str:  # noqa: PLR0911 - one a case
        match stand, step:
            case ((Message() | Text()), Field(name)) if names := self.names(stand):
                owner = f"{stand.type.full_name}" if isinstance(stand, Message) else path or "a call"
                return f'{owner} has no "{name}"{self._meant(stand, name, list(names))}'
            case Message(descriptor), Field() if descriptor.full_name in TIMES:
                return f"{path} is a {descriptor.name}, compared as one value; say {path}"
            case Repeated(), Field() | AnyName() | Typed():
                return f"{path} is repeated; say {path}[*]{_dotted(step)}"
            case Map(), Field() | AnyName() | Typed():
                return f"{path} is a map; say {path}[*]{_dotted(step)}"
            case Text(name), Index() | Key() if name in _METADATA:
                return f'the keys of {path} are text: {path}["x-cost"]'
            case Map(key), Index() | Key():
                return f"the keys of {path} are of another type ({_KEY_TYPES.get(key.cpp_type, int).__name__})"
            case _, Typed(name):
                return f"{path or 'a call'} is neither an Any nor extendable: it has no ({name})"
            case _, Field() | AnyName():
                return f"{path} has no fields"
            case Repeated(), _:
                return f"{path} is repeated, not a map: say [*] or an index from 0"
            case _:
                return f"{path} is neither repeated nor a map"

    def _meant(self, stand: Stand, name: str, names: list[str]) -> str:
        if stand == Text("") and name in {"response", "responses"}:
            return f'; did you mean "{names[0]}"? (the method {"streams" if self.streamed else "answers once"})'
        return meant(name, names)


def _explain_outbound(stand: Stand, path: str) -> str:
    if isinstance(stand, Made):
        return f"{path} is a call; its request is at {path}.request"
    return 'say whom the calls go to: outbound["pkg.Service/Method"], or outbound[*]'


def meant(name: str, names: list[str]) -> str:
    """`; did you mean "x"?` where one of `names` is close to `name`, else the names where they are few."""
    close = get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if close:
        return f'; did you mean "{close[0]}"?'
    return f"; it has {', '.join(sorted(names))}" if 0 < len(names) <= 6 else ""


def _dotted(step: PatternStep) -> str:
    return f".{render((step,))}"


def _is_any(stand: Stand) -> bool:
    return stand == _DETAIL or (isinstance(stand, Message) and stand.type.full_name == ANY)


def _extensions(descriptor: Descriptor) -> list[FieldDescriptor]:
    if not descriptor.is_extendable:
        return []
    return list(descriptor.file.pool.FindAllExtensions(descriptor))


def _elements(stand: Stand, step: PatternStep) -> Iterator[Stand]:
    match stand, step:
        case Repeated(element), Index() | AnyElement():
            yield element
        case Map(_, value), AnyElement():
            yield value
        case Map(key, value), Index():
            if key.cpp_type not in _KEY_TYPES:
                yield value
        case Map(key, value), Key(given):
            if type(given) is _KEY_TYPES.get(key.cpp_type, int):
                yield value
        case Text(name), AnyElement() | Key(str()) if name in _METADATA:
            yield Text(f"{name}[*]")


def _field(field: FieldDescriptor) -> Stand:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        value = _single(message.fields_by_name["value"])
        return Map(message.fields_by_name["key"], value)
    return Repeated(_single(field)) if is_repeated(field) else _single(field)


def _single(field: FieldDescriptor) -> Message | Leaf:
    return Leaf(field) if field.message_type is None else Message(field.message_type)


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether the field is repeated (maps included), with protobuf 5 to 7: 7 has no `label`, 5 no `is_repeated`."""
    repeated = getattr(field, "is_repeated", None)
    if repeated is None:
        return bool(getattr(field, "label", None) == FieldDescriptor.LABEL_REPEATED)
    return bool(repeated)
