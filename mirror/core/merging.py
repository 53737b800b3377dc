"""One schema made of two versions: all of the one, and what only the other has. Pure.

Where each version has fields that the other lacks, neither can read what the other wrote: fields that it does not know
would be told by number on one side and by name on the other. Read under such a schema, both sides know the names of both.

Only files, types, fields and enum values of one name are put together. Whether the result still reads what the first one
reads is for the caller to see (`supersets.holds`); where the two contradict each other, the first one's word stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

Files = Mapping[str, bytes]  # serialised FileDescriptorProtos by name


def merged(base: Files, extra: Files) -> dict[str, bytes]:
    """The files of `base`, with what only `extra` has added. They may contradict each other: building them says so."""
    defined = _defined(FileDescriptorProto.FromString(each) for each in base.values())
    files: dict[str, bytes] = {}
    for name in {**base, **extra}:
        if name not in extra or base.get(name) == extra[name]:
            files[name] = base[name]
            continue
        added = FileDescriptorProto.FromString(extra[name])
        file = FileDescriptorProto.FromString(base[name]) if name in base else _bare(added)
        _merge_file(file, added, defined)
        files[name] = file.SerializeToString(deterministic=True)
    return files


def _bare(file: FileDescriptorProto) -> FileDescriptorProto:
    """A file that only the other version has: its head, without what it defines."""
    made = FileDescriptorProto()
    made.CopyFrom(file)
    for part in ("message_type", "enum_type", "extension", "service"):
        made.ClearField(part)
    return made


def _merge_file(file: FileDescriptorProto, added: FileDescriptorProto, defined: set[str]) -> None:
    """`defined`: what the first version defines, wherever: a type that moved to another file is not defined twice."""
    prefix = f"{added.package}." if added.package else ""
    for name in added.dependency:
        if name not in file.dependency:
            file.dependency.append(name)
    file.ClearField("service")
    _merge_types(file, added, defined, prefix)
    numbers = {(one.extendee, one.number) for one in file.extension}
    for extension in added.extension:
        if f"{prefix}{extension.name}" not in defined and (extension.extendee, extension.number) not in numbers:
            file.extension.add().CopyFrom(extension)


def _merge_types(file: FileDescriptorProto, added: FileDescriptorProto, defined: set[str], prefix: str) -> None:
    ours = _by_name(file.message_type, file.enum_type)
    for message in added.message_type:
        _merge_or_add(file.message_type, ours.get(message.name), message, new=f"{prefix}{message.name}" not in defined)
    for enum in added.enum_type:
        _merge_or_add(file.enum_type, ours.get(enum.name), enum, new=f"{prefix}{enum.name}" not in defined)


def _merge_or_add(types: Any, ours: Any, added: DescriptorProto | EnumDescriptorProto, *, new: bool) -> None:
    """A type of one name on both sides is merged if it is of one sort; one that is new is taken as it is."""
    if ours is None:
        if new:
            types.add().CopyFrom(added)
    elif isinstance(ours, DescriptorProto) and isinstance(added, DescriptorProto):
        _merge_message(ours, added)
    elif isinstance(ours, EnumDescriptorProto) and isinstance(added, EnumDescriptorProto):
        _merge_enum(ours, added)


def _merge_message(ours: DescriptorProto, added: DescriptorProto) -> None:
    """Fields that only the other has. Nesting is as deep as the parser of descriptors lets through."""
    if ours.options.map_entry or added.options.map_entry:
        return
    nested = _by_name(ours.nested_type, ours.enum_type)
    for message in added.nested_type:
        _merge_or_add(ours.nested_type, nested.get(message.name), message, new=True)
    for enum in added.enum_type:
        _merge_or_add(ours.enum_type, nested.get(enum.name), enum, new=True)
    _merge_fields(
        ours, added, taken=set(nested) | _names(ours.field) | _names(ours.oneof_decl) | _names(ours.extension)
    )
    extensions = {(one.extendee, one.number) for one in ours.extension} | {one.name for one in ours.extension}
    for extension in added.extension:
        if not {(extension.extendee, extension.number), extension.name} & extensions:
            ours.extension.add().CopyFrom(extension)
    if not ours.extension_range:
        ours.extension_range.extend(added.extension_range)
    for part in ("reserved_range", "reserved_name"):  # what one has reserved the other may use
        ours.ClearField(part)


def _merge_fields(ours: DescriptorProto, added: DescriptorProto, *, taken: set[str]) -> None:
    """`taken`: names in the scope of the message."""
    numbers = {one.number for one in ours.field}
    for field in added.field:
        if field.name in taken or field.number in numbers:
            continue
        copy = ours.field.add()
        copy.CopyFrom(field)
        if field.HasField("oneof_index"):
            copy.oneof_index = _oneof(ours, added.oneof_decl[field.oneof_index].name)
    _sort_oneofs(ours)


def _oneof(message: DescriptorProto, name: str) -> int:
    for index, oneof in enumerate(message.oneof_decl):
        if oneof.name == name:
            return index
    message.oneof_decl.add(name=name)
    return len(message.oneof_decl) - 1


def _sort_oneofs(message: DescriptorProto) -> None:
    """Those that protoc makes for optional fields must come last."""
    synthetic = {one.oneof_index for one in message.field if one.proto3_optional and one.HasField("oneof_index")}
    order = sorted(range(len(message.oneof_decl)), key=lambda index: index in synthetic)
    place = {old: new for new, old in enumerate(order)}
    for field in message.field:
        if field.HasField("oneof_index") and field.oneof_index in place:
            field.oneof_index = place[field.oneof_index]
    declared = DescriptorProto(oneof_decl=[message.oneof_decl[index] for index in order])
    message.ClearField("oneof_decl")
    message.oneof_decl.extend(declared.oneof_decl)


def _merge_enum(ours: EnumDescriptorProto, added: EnumDescriptorProto) -> None:
    names, numbers = {one.name for one in ours.value}, {one.number for one in ours.value}
    for value in added.value:
        if value.name not in names and value.number not in numbers:
            ours.value.add().CopyFrom(value)
    for part in ("reserved_range", "reserved_name"):
        ours.ClearField(part)


def _by_name(messages: Iterable[DescriptorProto], enums: Iterable[EnumDescriptorProto]) -> dict[str, Any]:
    return {one.name: one for one in messages} | {one.name: one for one in enums}


def _names(declared: Iterable[Any]) -> set[str]:
    return {one.name for one in declared}


def _defined(files: Iterable[FileDescriptorProto]) -> set[str]:
    """The full names of all that files define at their top."""
    found = set()
    for file in files:
        prefix = f"{file.package}." if file.package else ""
        found |= {prefix + name for name in _by_name(file.message_type, file.enum_type)}
        found |= {prefix + one.name for one in file.extension}
    return found
