"""The schemas that processes sent, in memory: by fingerprint to descriptor pools and message classes. Pure.

Schemas come from the network, so nothing in them is believed: sizes are limited, the fingerprint is computed again,
files are put in order and built in a pool of their own, and what is wrong with them is said in words.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_mirror.v1 import schema_pb2

from mirror.core.merging import merged
from mirror.core.supersets import holds

SCHEMA_MAX_BYTES: Final = 16 * 1024 * 1024
FILES_MAX: Final = 4096
SCHEMAS_MAX: Final = 128
BOOK_MAX_BYTES: Final = 128 * 1024 * 1024
CLASSES_MAX: Final = 4096
MERGED_MAX: Final = 16  # pairs of schemas put together
MERGED_MAX_BYTES: Final = 4 * 1024 * 1024  # of both; larger ones are compared each side under its own
_WELL_KNOWN: Final = {
    module.DESCRIPTOR.name: module.DESCRIPTOR.serialized_pb
    for module in (
        any_pb2,
        api_pb2,
        descriptor_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        source_context_pb2,
        struct_pb2,
        timestamp_pb2,
        type_pb2,
        wrappers_pb2,
    )
}


class SchemaError(ValueError):
    """A schema cannot be used, or does not hold what was asked for. The text says what is wrong and where."""


@dataclass(frozen=True, slots=True)
class _Schema:
    pool: DescriptorPool
    files: tuple[str, ...]
    size: int


@dataclass(slots=True)
class SchemaBook:
    """Up to SCHEMAS_MAX schemas of BOOK_MAX_BYTES together; the ones used longest ago go first. One owner."""

    _schemas: OrderedDict[str, _Schema] = field(default_factory=OrderedDict)
    _classes: dict[tuple[str, str, str], tuple[type[Message], type[Message]]] = field(default_factory=dict)
    _merged: dict[tuple[str, str], DescriptorPool | None] = field(default_factory=dict)
    _size: int = 0

    def add(self, schema_bytes: bytes) -> str:
        """Take in a serialised mirror.v1.Schema and return its fingerprint; one that is known costs only its parsing.

        Raises SchemaError: not a Schema, too large, another fingerprint than its own, a file that is malformed, double
        or missing, descriptors that contradict each other.
        """
        if len(schema_bytes) > SCHEMA_MAX_BYTES:
            raise SchemaError(f"the schema has {len(schema_bytes)} bytes; at most {SCHEMA_MAX_BYTES} are taken")
        try:
            schema = schema_pb2.Schema.FromString(schema_bytes)
        except DecodeError as error:
            raise SchemaError(f"not a mirror.v1.Schema: {error}") from None
        fingerprint = schema.fingerprint
        if fingerprint in self._schemas:
            self._schemas.move_to_end(fingerprint)
            return fingerprint
        files = _files(schema.files)
        computed = fingerprint_of({name: serialized for name, (serialized, _) in files.items()})
        if fingerprint != computed:
            raise SchemaError(f"the schema says its fingerprint is {fingerprint[:64]!r}, but its files give {computed}")
        self._schemas[fingerprint] = _Schema(_build(files), tuple(files), len(schema_bytes))
        self._size += len(schema_bytes)
        self._make_room()
        return fingerprint

    def known(self, fingerprint: str) -> bool:
        """Whether this schema is at hand."""
        return fingerprint in self._schemas

    def pool(self, fingerprint: str) -> DescriptorPool:
        """The pool of this schema; raises SchemaError for one that is not known."""
        schema = self._schemas.get(fingerprint)
        if schema is None:
            raise SchemaError(f"the schema {fingerprint[:64]!r} is not known (yet, or no longer)")
        self._schemas.move_to_end(fingerprint)
        return schema.pool

    def descriptor(self, fingerprint: str, type_name: str) -> Descriptor:
        """A message type of a schema; raises SchemaError."""
        try:
            return self.pool(fingerprint).FindMessageTypeByName(type_name)
        except KeyError:
            raise SchemaError(f"the schema {fingerprint} has no message type {type_name!r}") from None

    def classes(self, left: str, right: str, type_name: str) -> tuple[type[Message], type[Message]]:
        """The classes under which the bytes of either side are to be parsed.

        In: two fingerprints and a full message name. Out: twice the same class where no field of the type, or of those
        that its fields lead to, means another thing in the other schema: it is that of the schema that has all, or of
        both put together. Else each side's own, with what only the other has added; where that cannot be, its own.
        Raises SchemaError for an unknown schema or type.
        """
        slot = (left, right, type_name)
        found = self._classes.get(slot)
        if found is None:
            found = self._resolve(*slot)
            if len(self._classes) >= CLASSES_MAX:
                self._classes.clear()
            self._classes[slot] = found
        for fingerprint in (left, right):
            self._schemas.move_to_end(fingerprint)
        return found

    def own_classes(self, left: str, right: str, type_name: str) -> tuple[type[Message], type[Message]]:
        """The class that each side itself parses by. Raises SchemaError for an unknown schema or type."""
        one, other = self.descriptor(left, type_name), self.descriptor(right, type_name)
        return _class(one), _class(other)

    def _resolve(self, left: str, right: str, type_name: str) -> tuple[type[Message], type[Message]]:
        one, other = self.descriptor(left, type_name), self.descriptor(right, type_name)
        if one is other or holds(one, other):
            other = one
        elif holds(other, one):
            one = other
        else:
            one, other = self._widened(left, right, one, other)
        return _class(one), _class(other)

    def _widened(self, left: str, right: str, one: Descriptor, other: Descriptor) -> tuple[Descriptor, Descriptor]:
        """Two types, neither of which has all of the other, each with what it lacks: what it does not know gets a name.

        Nothing is believed of the merging: what stands for a type must hold it.
        """
        ours = self._widened_type(left, right, one)
        return (ours, ours) if holds(ours, other) else (ours, self._widened_type(right, left, other))

    def _widened_type(self, base: str, extra: str, wanted: Descriptor) -> Descriptor:
        """The type `wanted` of `base` with what only `extra` has; itself where there is no such thing, or it cannot be."""
        pool = self._merged_pool(base, extra)
        try:
            found = pool and pool.FindMessageTypeByName(wanted.full_name)
        except KeyError:
            return wanted
        return found if found and holds(found, wanted) and not holds(wanted, found) else wanted

    def _merged_pool(self, base: str, extra: str) -> DescriptorPool | None:
        if (base, extra) not in self._merged:
            while len(self._merged) >= MERGED_MAX:
                self._forget_merged(next(iter(self._merged)))
            self._merged[base, extra] = self._merge(self._schemas[base], self._schemas[extra])
        return self._merged[base, extra]

    def _merge(self, base: _Schema, extra: _Schema) -> DescriptorPool | None:
        if base.size + extra.size > MERGED_MAX_BYTES:
            return None
        files = merged(
            *({name: each.pool.FindFileByName(name).serialized_pb for name in each.files} for each in (base, extra))
        )
        try:
            return _build(_files(files.values()))
        except SchemaError:
            return None  # they contradict each other

    def _forget_merged(self, pair: tuple[str, str]) -> None:
        """The classes made of it go too: they would keep it in memory."""
        del self._merged[pair]
        for slot in [slot for slot in self._classes if set(slot[:2]) == set(pair)]:
            del self._classes[slot]

    def _make_room(self) -> None:
        while len(self._schemas) > 1 and (len(self._schemas) > SCHEMAS_MAX or self._size > BOOK_MAX_BYTES):
            gone, schema = self._schemas.popitem(last=False)
            self._size -= schema.size
            for slot in [slot for slot in self._classes if gone in slot[:2]]:
                del self._classes[slot]
            for pair in [pair for pair in self._merged if gone in pair]:
                del self._merged[pair]


def _class(descriptor: Descriptor) -> type[Message]:
    try:
        return GetMessageClass(descriptor)
    except RecursionError:  # protobuf makes the classes of all types that fields lead to, each within the last
        raise SchemaError(f"the fields of {descriptor.full_name[:200]!r} lead on through too many types") from None


def fingerprint_of(files: dict[str, bytes]) -> str:
    """The fingerprint of serialised FileDescriptorProtos by name; the formula stands in schema.proto."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    return digest.digest()[:16].hex()


def _files(given: Collection[bytes]) -> dict[str, tuple[bytes, tuple[str, ...]]]:
    """Name to (serialised file, names of the files that it imports)."""
    if len(given) > FILES_MAX:
        raise SchemaError(f"the schema has {len(given)} files; at most {FILES_MAX} are taken")
    files: dict[str, tuple[bytes, tuple[str, ...]]] = {}
    for position, serialized in enumerate(given):
        try:
            file = descriptor_pb2.FileDescriptorProto.FromString(serialized)
        except DecodeError as error:
            raise SchemaError(f"file {position} of the schema is not a FileDescriptorProto: {error}") from None
        if not all(isinstance(name, str) for name in (file.name, *file.dependency)):  # bytes: proto2 lets them through
            raise SchemaError(f"file {position} of the schema has, or imports, a name that is not UTF-8")
        if files.get(file.name, (serialized,))[0] != serialized:
            raise SchemaError(f"the schema has two different files {file.name[:200]!r}")
        files[file.name] = serialized, tuple(file.dependency)
    return files


def _build(files: dict[str, tuple[bytes, tuple[str, ...]]]) -> DescriptorPool:
    pool = DescriptorPool()
    anyhow: Any = pool  # the stubs lack a method
    for name, serialized in _in_order(files):
        try:
            anyhow.AddSerializedFile(serialized)
        except (TypeError, ValueError, RecursionError) as error:  # noqa: PERF203 - the error names the file
            raise SchemaError(f"the file {name[:200]!r} of the schema cannot be built: {str(error)[:500]}") from None
    return pool


def _in_order(files: dict[str, tuple[bytes, tuple[str, ...]]]) -> Iterator[tuple[str, bytes]]:
    """Dependencies first, without recursion. protobuf's own files are supplied where the sender left them out."""
    done: set[str] = set()
    opened: set[str] = set()
    for start in files:
        waiting = [start]
        while waiting:
            name = waiting[-1]
            serialized, imports = files.get(name) or _well_known(name)
            missing = [each for each in imports if each not in done]
            if not missing or name in done:
                waiting.pop()
                if name not in done:
                    done.add(name)
                    yield name, serialized
                continue
            if name in opened:  # back here, and what it imports is still not done
                raise SchemaError(f"the files of the schema import each other in a circle, {name[:200]!r} among them")
            opened.add(name)
            unknown = [each for each in missing if each not in files and each not in _WELL_KNOWN]
            if unknown:
                raise SchemaError(f"{name[:200]!r} imports {unknown[0][:200]!r}, which is not in the schema")
            waiting.extend(missing)


def _well_known(name: str) -> tuple[bytes, tuple[str, ...]]:
    serialized = _WELL_KNOWN[name]
    return serialized, tuple(descriptor_pb2.FileDescriptorProto.FromString(serialized).dependency)
