"""The peer: C++ MessageDifferencer, built from the sources beside the project, and what it prints."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from .cases import SCHEMA

SOURCES: Final = ("bench.cc", "bench.proto", "gen.py")
PROGRAM: Final = "bench_cpp"
HEADER: Final = "#include <google/protobuf/util/message_differencer.h>\n"
PACKAGES: Final = {"g++": "g++", "protoc": "protobuf-compiler"}  # program: Debian's package
METHODS: Final = ("cpp_dyn_compare", "cpp_dyn_compare_counting")
RUN_TIMEOUT_S: Final = 600


class AbsentError(Exception):
    """The peer cannot be had on this machine; the message says in one line what is missing."""


class BrokenError(Exception):
    """Everything is there, and still the peer could not be built or run."""


def missing(source: Path) -> str:
    """What is missing to build the peer from `source`, in one line; empty where nothing is."""
    for name in SOURCES:
        if not (source / name).is_file():
            return f"no {name} in {source}: the peer's sources stand beside the project only where it is developed"
    for program, package in PACKAGES.items():
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian, Ubuntu: apt-get install {package})"
    found = subprocess.run(
        ["g++", "-std=c++17", "-E", "-x", "c++", "-"], input=HEADER, text=True, capture_output=True, check=False
    )
    if found.returncode:
        return "libprotobuf's headers are not installed (Debian, Ubuntu: apt-get install libprotobuf-dev)"
    return ""


def ready(source: Path, tools: Path) -> Path:
    """The folder below `tools` with the peer's program and data, made where sources or compilers are new.

    Raises AbsentError where something is missing, BrokenError where a step fails.
    """
    if reason := missing(source):
        raise AbsentError(reason)
    folder = tools / _digest(source)
    if folder.is_dir():
        return folder
    tools.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="building-", dir=tools) as building:
        made = Path(building) / "made"
        made.mkdir()
        _build(source, made)
        made.rename(folder)
    return folder


def times(folder: Path, case: str) -> dict[str, float]:
    """Run the peer on one case: nanoseconds a pair by method. Raises BrokenError where it fails or says too little."""
    found = parse(_run([f"./{PROGRAM}", case], folder), case)
    if absent := [method for method in METHODS if method not in found]:
        raise BrokenError(f"the peer printed no {', '.join(absent)} for {case}")
    return found


def parse(text: str, case: str) -> dict[str, float]:
    """What the peer printed about one case: lines of `shape, situation, method, ns a pair`, separated by tabs."""
    found = {}
    for line in text.splitlines():
        shape, situation, method, ns = line.split("\t")
        if f"{shape}.{situation}" == case:
            found[method] = float(ns)
    return found


def version(folder: Path) -> str:
    """The version of protoc, which is that of libprotobuf."""
    return _run(["protoc", "--version"], folder).split()[-1]


def _digest(source: Path) -> str:
    """Names what the program and the data are made from and with."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((source / name).read_bytes() + b"\0")
    for program in PACKAGES:
        digest.update(_run([program, "--version"], source).encode())
    return digest.hexdigest()[:16]


def _build(source: Path, folder: Path) -> None:
    """The commands of the peer's README, in `folder`."""
    for name in SOURCES:
        (folder / name).write_bytes((source / name).read_bytes())
    print("compare: building the C++ peer and its data (half a minute, the first time)", file=sys.stderr)
    _run(["protoc", "--cpp_out=.", "--include_imports", f"--descriptor_set_out={SCHEMA}", "bench.proto"], folder)
    _run([sys.executable, "gen.py"], folder)
    compiled = ["g++", "-O2", "-std=c++17", "bench.cc", "bench.pb.cc", "-o", PROGRAM, "-lprotobuf", "-lpthread"]
    _run(compiled, folder)


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=RUN_TIMEOUT_S)
    except subprocess.TimeoutExpired as slow:
        raise BrokenError(f"`{' '.join(command)}` took over {RUN_TIMEOUT_S} s") from slow
    if done.returncode:
        raise BrokenError(f"`{' '.join(command)}` failed:\n{done.stderr[-2000:]}")
    return done.stdout
