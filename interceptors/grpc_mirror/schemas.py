"""The file descriptors behind the messages that this process served, with their fingerprints. No I/O.

Runs in the sender's thread only: walking descriptors and hashing them has no place in a call. One owner, no lock.

A type's file closure alone is not enough to read its messages: extensions live in files that nothing imports, and an
Any holds types that only the service knows. So the files of all known extensions are added, the types named in status
details, and, where the closure holds `google.protobuf.Any`, every generated module that is loaded.
"""

from __future__ import annotations

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, NamedTuple

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FileDescriptor

from grpc_mirror.call import DETAILS_KEY, pairs
from grpc_mirror.records import CallRecord
from grpc_mirror.v1 import schema_pb2
from grpc_mirror.wire import any_values

SCHEMAS_MAX = 256
_KEYS_MAX = 4096
_ANY_FILE = "google/protobuf/any.proto"
_OURS = "grpc_mirror.v1."


class Types(NamedTuple):
    """What one call's messages are. Empty strings: no protobuf messages."""

    request_type: str
    response_type: str
    fingerprint: str
    request: Descriptor | None = None
    response: Descriptor | None = None


def schema_of(descriptors: Iterable[Descriptor], loaded: Iterable[FileDescriptor] = ()) -> schema_pb2.Schema:
    """The Schema of some message types: their files with all that these depend on, and the files of extensions.

    Args:
        descriptors: the message types.
        loaded: files to add where the closure holds `google.protobuf.Any`.

    Returns:
        files with dependencies first, and the fingerprint that schema.proto documents.
    """
    files: dict[str, FileDescriptor] = {}
    for descriptor in descriptors:
        _add(descriptor.file, files)
    if _ANY_FILE in files:
        for file in loaded:
            _add(file, files)
    _add_extensions(files)
    serialized = {name: file.serialized_pb for name, file in files.items()}
    return schema_pb2.Schema(fingerprint=fingerprint_of(serialized), files=list(serialized.values()))


def fingerprint_of(files: dict[str, bytes]) -> str:
    """The fingerprint of serialised FileDescriptorProtos by name, as schema.proto documents it."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    return digest.digest()[:16].hex()


def loaded_files() -> list[FileDescriptor]:
    """The files of all generated modules (`*_pb2`) that this process has loaded, this package's own left out."""
    found = []
    for name, module in list(sys.modules.items()):
        if name.endswith("_pb2") and not name.startswith(_OURS):
            file = getattr(module, "DESCRIPTOR", None)
            if isinstance(file, FileDescriptor):
                found.append(file)
    return found


class SchemaRegistry:
    """The schemas of the calls seen so far, at most SCHEMAS_MAX of them (least recently used ones go)."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[Any, ...], Types] = {}
        self._schemas: OrderedDict[str, bytes] = OrderedDict()
        self._modules = 0
        self.evicted = 0  # schemas that are not known any more

    def types_of(self, record: CallRecord) -> Types:
        """The types of a call's messages and the fingerprint of their schema, which is known from then on."""
        if len(sys.modules) != self._modules or len(self._by_key) > _KEYS_MAX:
            # A newly loaded module may hold what an Any carries, or a service that could not be found before.
            self._modules = len(sys.modules)
            self._by_key.clear()
        details = _detail_types(record)
        key = (record.method, record.request_type, record.response_type, details)
        types = self._by_key.get(key)
        if types is None:
            types = self._by_key[key] = self._resolve(record, details)
        if types.fingerprint in self._schemas:
            self._schemas.move_to_end(types.fingerprint)
        return types

    def schema(self, fingerprint: str) -> bytes | None:
        """The serialised mirror.v1.Schema."""
        return self._schemas.get(fingerprint)

    def fingerprints(self) -> tuple[str, ...]:
        """All known ones."""
        return tuple(self._schemas)

    def _resolve(self, record: CallRecord, details: tuple[str, ...]) -> Types:
        request, response = descriptors_of(record.method, record.request_type, record.response_type)
        known = [
            descriptor for descriptor in (request, response, *map(_message_type, details)) if descriptor is not None
        ]
        fingerprint = self._learn(known) if known else ""
        ours, theirs = (one.full_name if one else "" for one in (request, response))
        return Types(ours, theirs, fingerprint, request, response)

    def _learn(self, descriptors: list[Descriptor]) -> str:
        schema = schema_of(descriptors, loaded_files())
        if schema.fingerprint not in self._schemas:
            self._schemas[schema.fingerprint] = schema.SerializeToString()
            while len(self._schemas) > SCHEMAS_MAX:
                self._schemas.popitem(last=False)
                self.evicted += 1
        return str(schema.fingerprint)


def _add(file: FileDescriptor, files: dict[str, FileDescriptor]) -> None:
    """Add a file after those that it depends on. Not recursive: chains of imports can be long."""
    pending = [file]
    while pending:
        last = pending[-1]
        missing = [d for d in last.dependencies if d.name not in files] if last.name not in files else []
        if missing:
            pending += missing
        else:
            files.setdefault(last.name, last)
            pending.pop()


def _add_extensions(files: dict[str, FileDescriptor]) -> None:
    """Add the files that extend any message of these files, and of those that come in so."""
    done: set[str] = set()
    while len(done) < len(files):
        for name, file in list(files.items()):
            if name in done:
                continue
            done.add(name)
            pending = list(file.message_types_by_name.values())
            while pending:
                message = pending.pop()
                pending += message.nested_types
                if message.is_extendable:
                    for extension in file.pool.FindAllExtensions(message):
                        _add(extension.file, files)  # type: ignore[attr-defined] # missing in the stubs


def descriptors_of(method: str, request: Any, response: Any) -> tuple[Descriptor | None, Descriptor | None]:
    """The message types of a call, by the classes seen (None: none was); else as the method's service declares them."""
    ours, theirs = _descriptor(request), _descriptor(response)
    if ours is None or theirs is None:
        declared = _declared(method)
        ours, theirs = ours or declared[0], theirs or declared[1]
    return ours, theirs


def _descriptor(message_class: Any) -> Descriptor | None:
    descriptor = getattr(message_class, "DESCRIPTOR", None)
    return descriptor if isinstance(descriptor, Descriptor) else None


def _declared(method: str) -> tuple[Descriptor | None, Descriptor | None]:
    """Request and response type as the service's descriptor in the default pool declares them."""
    service, _, name = method.partition("/")
    try:
        found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    except KeyError:
        return None, None
    return found.input_type, found.output_type


def _message_type(full_name: str) -> Descriptor | None:
    try:
        return descriptor_pool.Default().FindMessageTypeByName(full_name)
    except KeyError:
        return None


def _detail_types(record: CallRecord) -> tuple[str, ...]:
    for key, value in pairs(record.trailing_metadata):
        if key == DETAILS_KEY and isinstance(value, bytes):
            return tuple(sorted({name for name, _ in any_values(value)}))
    return ()
