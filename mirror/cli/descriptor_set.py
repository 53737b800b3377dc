"""Reads the methods of a FileDescriptorSet, as `protoc --descriptor_set_out` and `buf build` write it. Touches that file."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from mirror.cli.errors import UsageError

BYTES_MAX: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class ServedMethod:
    """One RPC of the set, by its full name without a leading slash."""

    name: str
    response: Descriptor
    streamed: bool


def read_pool(path: Path) -> tuple[DescriptorPool, list[str]]:
    """A pool with all files of the set, and their names; raises UsageError where it cannot be used."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise UsageError(f"{path}: larger than {BYTES_MAX >> 20} MiB, no descriptor set that this can use")
        files = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except DecodeError:
        raise UsageError(
            f"{path}: not a descriptor set; make one by protoc --include_imports -o schema.binpb YOUR.proto"
        ) from None
    by_name: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for file in files:
        if by_name.setdefault(file.name, file) != file:
            raise UsageError(f"{path}: two different files {file.name} in it")
    return _pool(by_name), list(by_name)


def read_methods(path: Path) -> list[ServedMethod]:
    """Every method of every service of the set, in the order of the files; raises UsageError where it has none."""
    pool, names = read_pool(path)
    methods = [
        ServedMethod(f"{service.full_name}/{method.name}", method.output_type, bool(method.server_streaming))
        for name in names
        for service in pool.FindFileByName(name).services_by_name.values()
        for method in service.methods
    ]
    if not methods:
        raise UsageError(f"{path}: no service in it; rules can only be checked against methods")
    return methods


def _pool(files: dict[str, descriptor_pb2.FileDescriptorProto]) -> DescriptorPool:
    """All files, each behind those that it imports; the well-known ones are ours where the set lacks them."""
    pool = DescriptorPool()
    opened: set[str] = set()
    added: set[str] = set()
    waiting = list(reversed(files))
    while waiting:
        name = waiting[-1]
        file = files.get(name) or _well_known(name)
        if name not in opened:
            opened.add(name)
            waiting += [each for each in file.dependency if each not in opened]
            continue
        waiting.pop()
        if name not in added:
            added.add(name)
            _add(pool, file)
    return pool


def _add(pool: DescriptorPool, file: descriptor_pb2.FileDescriptorProto) -> None:
    try:
        pool.Add(file)
    except TypeError as error:
        raise UsageError(f"{file.name} in the descriptor set is not valid: {error}") from None


def _well_known(name: str) -> descriptor_pb2.FileDescriptorProto:
    module = re.fullmatch(r"google/protobuf/(\w+)\.proto", name, re.ASCII)
    missing = UsageError(f"{name} is missing in the descriptor set; make it with --include_imports")
    if module is None:
        raise missing
    try:
        found = importlib.import_module(f"google.protobuf.{module[1]}_pb2")
    except ModuleNotFoundError:
        raise missing from None
    return descriptor_pb2.FileDescriptorProto.FromString(found.DESCRIPTOR.serialized_pb)
