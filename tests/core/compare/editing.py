"""Small edits that turn one message into another that is nearly the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from tests.core.compare.building import Builder, _bytes, _fields
from tests.core.compare.unknown import records_of, rewrite
from tests.core.compare.zoo import clear, get, messages_in, put, shape

INT32_TWICE: Final = b"\x08\x07"  # a field one_int32 in front of another: the last one holds
EDITS_MAX: Final = 3


def edited(message: Message, build: Builder) -> Message:
    """A copy with none to three edits, anywhere in it."""
    made = type(message)()
    made.CopyFrom(message)
    for _ in range(build.tape.below(EDITS_MAX + 1)):
        _edit(made, build)
        made = type(message).FromString(_bytes(made))  # as it would arrive: ListFields lists an emptied extension
    return made


def _edit(message: Message, build: Builder) -> None:
    places = list(messages_in(message))
    place = build.tape.pick(places)
    if place.DESCRIPTOR.full_name == "google.protobuf.Any":
        _edit_any(place, build)
    else:
        build.tape.pick(_EDITS)(place, build)


def _set_something(message: Message, build: Builder) -> None:
    field = build.tape.pick(_fields(message.DESCRIPTOR))
    build.field(message, field, depth=2)


def _set_again(message: Message, build: Builder) -> None:
    field = _some_set(message, build)
    if field is not None:
        build.field(message, field, depth=2)


def _clear(message: Message, build: Builder) -> None:
    field = _some_set(message, build)
    if field is not None:
        clear(message, field)


def _set_default(message: Message, build: Builder) -> None:
    """Presence is all that changes."""
    single = [field for field in _fields(message.DESCRIPTOR) if shape(field) in ("scalar", "message")]
    field = build.tape.pick(single)
    if field.message_type is None:
        put(message, field, field.default_value)
    else:
        get(message, field).SetInParent()


def _change_container(message: Message, build: Builder) -> None:
    filled = [field for field, _ in message.ListFields() if shape(field) in ("list", "map")]
    if not filled:
        return
    field = build.tape.pick(filled)
    container = get(message, field)
    if shape(field) == "map":
        key = build.tape.pick(sorted(container))
        choice = build.tape.below(2)
        if choice == 0:
            del container[key]
        else:
            build.entry(container, field, depth=2)
        return
    elements = list(container)
    at, to = build.tape.below(len(elements)), build.tape.below(len(elements))
    match build.tape.below(4):
        case 0:
            elements[at], elements[to] = elements[to], elements[at]
        case 1:
            del elements[at]
        case 2:
            elements.insert(at, elements[to])
        case _:
            elements[at] = build.value(field, depth=2)
    clear_and_fill(message, field, elements)


def clear_and_fill(message: Message, field: FieldDescriptor, elements: list) -> None:
    """Replace a list's elements by these, which may be some of its own."""
    made = type(message)()
    get(made, field).extend(elements)
    clear(message, field)
    get(message, field).extend(get(made, field))


def _change_unknown(message: Message, build: Builder) -> None:
    records = records_of(message)
    match build.tape.below(4):
        case 0:
            records.insert(build.tape.below(len(records) + 1), build.unknown())
        case 1:
            records.reverse()
        case 2:
            del records[:1]
        case _ if records:
            records.append(records[0])
    rewrite(message, records)


def _edit_any(message: Message, build: Builder) -> None:
    """Change what is inside, or only the bytes that say it."""
    name = message.type_url.rpartition("/")[2]
    try:
        descriptor = message.DESCRIPTOR.file.pool.FindMessageTypeByName(name)
        inner = GetMessageClass(descriptor).FromString(message.value)
    except (KeyError, DecodeError):
        message.value = build.tape.pick((b"", b"a"))
        return
    match build.tape.below(4):
        case 0 if any(field.number == 1 and shape(field) == "scalar" for field, _ in inner.ListFields()):
            if "one_int32" in descriptor.fields_by_name:
                message.value = INT32_TWICE + message.value
        case 1:
            message.type_url = "z/" + name
        case 2:
            message.value = _bytes(edited(inner, build))
        case _:
            _change_unknown(message, build)


def _some_set(message: Message, build: Builder) -> FieldDescriptor | None:
    fields = [field for field, _ in message.ListFields()]
    return build.tape.pick(fields) if fields else None


_EDITS: Final[tuple[Callable[[Message, Builder], None], ...]] = (
    _set_again,
    _set_something,
    _clear,
    _change_container,
    _change_container,
    _set_default,
    _change_unknown,
)
