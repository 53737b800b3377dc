"""Reads one message of a file: binary, text format or JSON, by the file's name. Touches that file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from google.protobuf import descriptor_pb2, json_format, text_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from mirror.cli.errors import UsageError
from mirror.config.problems import did_you_mean

BYTES_MAX: Final = 256 << 20
BINARY: Final = (".binpb", ".pb", ".bin")
TEXT: Final = (".txtpb", ".textproto", ".textpb", ".pbtxt")
JSON: Final = (".json",)


def message_class(pool: DescriptorPool, files: list[str], type_name: str, schema: Path) -> type[Message]:
    """The class of a message type of the pool; raises UsageError with the nearest name where there is none."""
    try:
        return GetMessageClass(pool.FindMessageTypeByName(type_name.lstrip(".")))
    except KeyError:
        hint = did_you_mean(type_name, _types(pool, files))
        raise UsageError(f'{schema}: no message type "{type_name}" in it{hint}') from None
    except RecursionError:
        raise UsageError(f"{schema}: the fields of {type_name} lead on through too many types") from None


def read_message(path: Path, kind: type[Message], pool: DescriptorPool) -> Message:
    """The message in `path`; raises UsageError with the place where it stops being one."""
    suffix = path.suffix.lower()
    if suffix not in BINARY + TEXT + JSON:
        known = ", ".join((*BINARY, *TEXT, *JSON))
        raise UsageError(f"{path}: what it holds cannot be told by its name; name it with one of {known}")
    data = _read(path)
    name = kind.DESCRIPTOR.full_name
    try:
        if suffix in BINARY:
            return kind.FromString(data)
        message = kind()
        if suffix in TEXT:
            text_format.Parse(data.decode(), message, descriptor_pool=pool)
        else:
            json_format.Parse(data.decode(), message, descriptor_pool=pool)
    except (DecodeError, text_format.ParseError, json_format.ParseError) as error:
        raise UsageError(f"{path}: not a {name}: {error}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise UsageError(f"{path}: nested too deep") from None
    return message


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > BYTES_MAX:
            raise UsageError(f"{path}: larger than {BYTES_MAX >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def _types(pool: DescriptorPool, files: list[str]) -> list[str]:
    """The full names of all message types of the files."""
    found: list[str] = []
    for name in files:
        file = descriptor_pb2.FileDescriptorProto.FromString(pool.FindFileByName(name).serialized_pb)
        waiting = [(file.package, message) for message in file.message_type]
        while waiting:
            scope, message = waiting.pop()
            full_name = f"{scope}.{message.name}".lstrip(".")
            found.append(full_name)
            waiting.extend((full_name, nested) for nested in message.nested_type)
    return found
