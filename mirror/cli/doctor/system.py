"""This machine and this installation: versions that go together, and limits of the system."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Final

from google.protobuf.internal import api_implementation

from mirror import __version__, native
from mirror.cli.doctor.findings import Finding, note, ok, wrong

DISTRIBUTIONS: Final = ("grpc-mirror-collector", "grpc-mirror")
FILES_WANTED: Final = 16_384  # as many as the collector asks for at its start
SQLITE_LEAST: Final = (3, 35, 0)
_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*([^;]*)(;.*)?")
_BOUND: Final = re.compile(r"(>=|<=|==|!=|<|>)\s*([0-9.]+)")


def versions() -> Iterator[Finding]:
    """Whether what is installed is what mirror asks for, and how fast protobuf is."""
    told = []
    for name in DISTRIBUTIONS:
        try:
            told.append(f"{name} {metadata.version(name)}")
            asked = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            yield note("versions", f"{name} is not installed as a package: its requirements cannot be looked at")
            continue
        for line in asked:
            yield from _requirement(name, line)
    python = ".".join(map(str, sys.version_info[:3]))
    grpc, protobuf = (_version(name) or "missing" for name in ("grpcio", "protobuf"))
    yield ok(
        "versions", f"mirror {__version__}, {', '.join(told)}; Python {python}, grpcio {grpc}, protobuf {protobuf}"
    )
    if api_implementation.Type() == "python":
        advice = "install protobuf's wheel for this platform, and unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"
        yield wrong("versions", "protobuf runs in pure Python, some 20 times slower", advice)
    if sqlite3.sqlite_version_info < SQLITE_LEAST:
        least = ".".join(map(str, SQLITE_LEAST))
        yield wrong(
            "versions", f"SQLite {sqlite3.sqlite_version} is too old", f"use a Python with SQLite {least} or newer"
        )


def compiled_parts() -> Iterator[Finding]:
    """Whether the compiled parts are used: without them a core judges fewer calls."""
    if native.missing:
        advice = "pip install 'grpc-mirror-collector[native]' (where there is no wheel: with a C compiler and Python's headers)"
        yield note("compiled parts", f"not used: {native.missing}; a core judges about half as many calls", advice)
    else:
        yield ok("compiled parts", "used")


def limits() -> Iterator[Finding]:
    """How many files may be open: each connection is one."""
    try:
        import resource  # noqa: PLC0415 - not on every platform
    except ImportError:
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < FILES_WANTED:
        advice = f"ulimit -Hn {FILES_WANTED}, or LimitNOFILE={FILES_WANTED} in its unit"
        yield note("open files", f"at most {hard:,} may be open, so fewer connections", advice)
    else:
        yield ok("open files", f"{FILES_WANTED:,} may be open")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _requirement(of: str, line: str) -> Iterator[Finding]:
    """What is wrong with one requirement. Extras are asked for by those who use them; markers are left to pip."""
    found = _REQUIREMENT.match(line)
    if found is None or found[3]:
        return
    name, bounds = found[1], found[2]
    there = _version(name)
    if there is None:
        yield wrong("versions", f"{of} needs {name}, which is missing", f"pip install '{name}{bounds}'")
    elif not all(_holds(there, how, bound) for how, bound in _BOUND.findall(bounds)):
        yield wrong("versions", f"{of} needs {name} {bounds}, there is {there}", f"pip install '{name}{bounds}'")


def _holds(there: str, how: str, bound: str) -> bool:
    left, right = _numbers(there), _numbers(bound)
    size = max(len(left), len(right))
    left, right = left + (0,) * (size - len(left)), right + (0,) * (size - len(right))
    return {
        ">=": left >= right, "<=": left <= right, "==": left == right,
        "!=": left != right, "<": left < right, ">": left > right,
    }[how]  # fmt: skip


def _numbers(version: str) -> tuple[int, ...]:
    """The release: what follows (rc1, b0, +local) is left out."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
