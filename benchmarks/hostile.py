"""Messages made to hurt, about 4 MB each: how long a comparison takes, and what memory it needs above the two messages.

The promise: each ends in 2 s, in a whole result or in one that says where it is too complex, within 100 MB. Every kind runs in a
process of its own, which reads both messages from files, so that the peak before the comparison is that of parsing.
A comparison is one thread that waits for nothing, so its time is the processor's; the wall's, which other work on the machine
lengthens, stands beside it. Prints a table; --json FILE writes the figures.

Usage: python benchmarks/hostile.py [--only NAME ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from mirror.core.compare import REFERENCE, CompareOptions, Comparer, FieldOptions, Lists, compare
from mirror.core.path import Field, PathPattern
from mirror.core.rules import Ignore, KeyedList, MethodRules, NormalisedText, Scope, UnorderedList
from mirror.core.streams import Body, compare_stream

BYTES: Final = 4_000_000
PROMISE_S: Final = 2.0
PROMISE_MB: Final = 100
DEEP: Final = 98  # messages in messages; the parser takes a hundred
_F: Final = descriptor_pb2.FieldDescriptorProto


@dataclass(frozen=True)
class Kind:
    """Two messages, as bytes, and how they are compared."""

    build: Callable[[], tuple[bytes, bytes]]
    options: CompareOptions = CompareOptions()  # noqa: RUF009 - frozen
    rules: tuple[Any, ...] = ()
    any: bool = False  # the message is an Any
    stream: bool = False  # the kids are the messages of a stream
    private: int = 0  # leaves of each message of the stream that were taken out

    @property
    def message_type(self) -> type[Message]:
        """The class of both."""
        return any_pb2.Any if self.any else _node()


@cache
def _node() -> type[Message]:
    """A small recursive type: proto2 for groups, else without presence worth speaking of."""
    file = descriptor_pb2.FileDescriptorProto(name="hostile.proto", package="hostile", syntax="proto2")
    file.dependency.append(any_pb2.DESCRIPTOR.name)
    state = file.enum_type.add(name="State")
    state.value.add(name="NEW", number=0)
    node = file.message_type.add(name="Node")
    part = node.nested_type.add(name="Part")
    entry = node.nested_type.add(name="SizesEntry")
    entry.options.map_entry = True
    named = node.nested_type.add(name="NamesEntry")
    named.options.map_entry = True
    optional, repeated = _F.LABEL_OPTIONAL, _F.LABEL_REPEATED
    for owner, name, number, kind, label, type_name in (
        (node, "i", 1, _F.TYPE_INT32, optional, ""),
        (node, "s", 2, _F.TYPE_STRING, optional, ""),
        (node, "kid", 3, _F.TYPE_MESSAGE, optional, ".hostile.Node"),
        (node, "kids", 4, _F.TYPE_MESSAGE, repeated, ".hostile.Node"),
        (node, "part", 5, _F.TYPE_GROUP, optional, ".hostile.Node.Part"),
        (node, "sizes", 6, _F.TYPE_MESSAGE, repeated, ".hostile.Node.SizesEntry"),
        (node, "numbers", 7, _F.TYPE_INT32, repeated, ""),
        (node, "d", 8, _F.TYPE_DOUBLE, optional, ""),
        (node, "doubles", 9, _F.TYPE_DOUBLE, repeated, ""),
        (node, "parts", 10, _F.TYPE_GROUP, repeated, ".hostile.Node.Part"),
        (node, "texts", 11, _F.TYPE_STRING, repeated, ""),
        (node, "states", 12, _F.TYPE_ENUM, repeated, ".hostile.State"),
        (node, "anys", 13, _F.TYPE_MESSAGE, repeated, ".google.protobuf.Any"),
        (node, "names", 14, _F.TYPE_MESSAGE, repeated, ".hostile.Node.NamesEntry"),
        (named, "key", 1, _F.TYPE_INT32, optional, ""),
        (named, "value", 2, _F.TYPE_ENUM, optional, ".hostile.State"),
        (part, "i", 1, _F.TYPE_INT32, optional, ""),
        (part, "part", 5, _F.TYPE_GROUP, optional, ".hostile.Node.Part"),
        (entry, "key", 1, _F.TYPE_INT32, optional, ""),
        (entry, "value", 2, _F.TYPE_INT32, optional, ""),
    ):
        field = owner.field.add(name=name, number=number, type=kind, label=label)
        if type_name:
            field.type_name = type_name
        if name in ("numbers", "doubles"):
            field.options.packed = True
    pool = DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("hostile.Node"))


# --- wire format by hand: a few bytes are repeated many times ---


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def part_of(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def many(one: bytes, size: int = BYTES) -> bytes:
    """As often as `size` allows."""
    return one * (size // len(one))


def deep(message: bytes, number: int = 3) -> bytes:
    """As deep as the parser allows."""
    for _ in range(DEEP):
        message = part_of(number, message)
    return message


def sides(build: Callable[[int], bytes]) -> Callable[[], tuple[bytes, bytes]]:
    """The left one of side 0, the right one of side 1."""
    return lambda: (build(0), build(1))


def deep_groups(side: int) -> bytes:
    """Parts in parts, again and again."""
    chain = b"\x2b" * (DEEP - 1) + b"\x08" + bytes([side + 1]) + b"\x2c" * (DEEP - 1)
    return many(b"\x53" + chain + b"\x54")


def unknown_groups(side: int) -> bytes:
    """Groups that the type does not know, in one another."""
    chain = b"\xa3\x06" * DEEP + b"\xa0\x06" + bytes([side + 1]) + b"\xa4\x06" * DEEP
    return many(chain)


def trees(side: int, levels: int = 18) -> bytes:
    """Two kids everywhere, and all leaves differ."""
    level = [b"\x08" + bytes([side * 2 + leaf]) for leaf in (0, 1)]
    for _ in range(levels):
        both = part_of(4, level[0]) + part_of(4, level[1])
        level = [both, both]
    return level[0]


def ladder(side: int) -> bytes:
    """Lists of one kid against lists of two, down to where the parser stops: each level could be aligned anew."""
    made = b"\x08" + bytes([side])
    for _ in range(DEEP):
        made = part_of(4, made) + (part_of(4, b"\x08\x07") if side else b"")
    return part_of(2, b"x" * (BYTES - len(made) - 10)) + made


def near_equal(side: int, count: int = 50_000, *, key: int = 7) -> bytes:
    """Elements of one key that differ in one double, and no two of them alike."""
    node = _node()
    made: Any = node()
    for n in range(count):
        made.kids.add(i=key, s=f"the same text for each of these elements {n % 10}", d=n + side / 2)
    return made.SerializeToString()  # type: ignore[no-any-return]


def entries(side: int, *, shift: int = 0) -> bytes:
    """As many small entries as fit."""
    made, total, n = [], 0, 0
    while total < BYTES:
        one = b"\x08" + varint(n + side * shift) + b"\x10" + bytes([side + 1])
        made.append(part_of(6, one))
        total += len(made[-1])
        n += 1
    return b"".join(made)


def nested_any(side: int, levels: int = 1000, inside: int = 0) -> bytes:
    """An Any in an Any; at the bottom text of `inside` bytes."""
    made = any_pb2.Any(type_url="x/hostile.No", value=b"x" * inside + bytes([side]))
    for _ in range(levels):
        made = any_pb2.Any(type_url="x/google.protobuf.Any", value=made.SerializeToString())
    return made.SerializeToString()


def shifted(side: int, number: int, width: int) -> bytes:
    """Packed scalars: at the front one more on the right, in the middle one less, and two at the end."""
    pattern = bytes((n * 37 + n // 251) % 127 + 1 if n % width == 0 else 0 for n in range(width * 251))
    body = many(pattern)[: BYTES // width * width]
    if side:
        middle = len(body) // 2 // width * width
        body = body[-width:] + body[:middle] + body[middle + width :] + body[: 2 * width]
    return part_of(number, body)


def texts(side: int) -> bytes:
    """Short strings in lists of different lengths, no two alike."""
    return b"".join(part_of(11, f"{n + side * 7} {side}".encode()) for n in range(330_000 + side))


def bush(side: int, *, seed: int = 1) -> bytes:
    """Messages in single fields and lists of one, in every succession, down to a leaf that differs."""
    draw = random.Random(seed)
    made, total = [], 0
    while total < BYTES:
        one = b"\x08" + bytes([side])
        for _ in range(DEEP - 4):
            one = part_of(draw.choice((3, 4)), one)
        made.append(part_of(4, one))
        total += len(made[-1])
    return b"".join(made)


def documents(side: int, size: int, number: int = 11) -> bytes:
    """JSON of `size` bytes each, no two alike, in a list or, as `s`, in a list of messages."""
    made = []
    for n in range(BYTES // (size + 10)):
        head = b"[%d,%d" % (side, n)
        text = head + b",1" * ((size - len(head) - 1) // 2) + b"]"
        made.append(part_of(11, text) if number == 11 else part_of(4, part_of(2, text)))
    return b"".join(made)


def keyed_by_message(side: int, count: int = 50_000) -> bytes:
    """Elements whose keys are messages, no two alike."""
    return b"".join(
        part_of(
            4, part_of(3, b"\x08" + varint(n)) + part_of(2, b"the same text for each of these elements, and %d" % side)
        )
        for n in range(count)
    )


def stream(side: int, count: int = 1_000, *, private: bool = False) -> bytes:
    """Messages that all differ a little, and one less on the right. `private`: all that is in them was taken out."""
    lines = 0 if private else (BYTES // count - 20) // 20
    return b"".join(
        part_of(
            4,
            b"\x08"
            + varint(n)
            + b"".join(part_of(11, b"%06d %06d %d" % (n, line, side * (line % 3 == 0))) for line in range(lines)),
        )
        for n in range(count - side)
    )


def any_of(inside: bytes) -> bytes:
    """An Any that holds one of us."""
    return part_of(13, part_of(1, b"x/hostile.Node") + part_of(2, inside))


def anys(side: int, inside: bytes) -> bytes:
    """Anys in a list, one less on the right."""
    count = BYTES // len(any_of(inside + b"\x08" + varint(BYTES)))
    return b"".join(any_of(inside + b"\x08" + varint(n * 2 + side)) for n in range(count - side))


_SET: Final = replace(REFERENCE, lists=Lists.SET, differences_max=100)
_KEY: Final = (FieldOptions("hostile.Node.kids", by=("i",)),)


def _rule(kind: type[Any], **own: Any) -> tuple[Any, ...]:
    return (kind(scope=Scope(path=PathPattern.parse("response.kids")), id="r", **own),)


def _at(path: str, kind: type[Any], **own: Any) -> Any:
    return kind(scope=Scope(path=PathPattern.parse(path)), id=f"{kind.__name__} {path}", **own)


_MANY_STATES: Final = (
    _at("response.**.kid" + ".**.kids[*]" * 2 + ".*" * 12, Ignore),
    _at("response.**.kids[*]" + ".*" * 8 + ".kid.i", Ignore),
)
_JSON: Final = (_at("response.texts", NormalisedText, json=True), _at("response.texts", UnorderedList))
_JSON_KIDS: Final = (_at("response.kids[*].s", NormalisedText, json=True), _at("response.kids", UnorderedList))
_PATTERN: Final = (_at("response.texts", NormalisedText, replace=((r"\d,", "x"),)),)


def _lengths(count: int) -> Callable[[], tuple[bytes, bytes]]:
    return lambda: (near_equal(0, count), near_equal(1, count - 3))


KINDS: Final[dict[str, Kind]] = {
    "deep": Kind(sides(lambda side: deep(b"\x12" + varint(BYTES) + b"x" * (BYTES - 1) + bytes([97 + side])))),
    "deep chains": Kind(sides(lambda side: many(part_of(4, deep(b"\x08" + bytes([side + 1]))[3:])))),
    "deep groups": Kind(sides(deep_groups)),
    "trees, aligned": Kind(sides(trees)),
    "trees, sets": Kind(sides(trees), options=_SET),
    "trees, smart sets": Kind(sides(trees), options=replace(_SET, lists=Lists.SMART_SET)),
    "ladder, aligned": Kind(sides(ladder)),
    "ladder, sets": Kind(sides(ladder), options=_SET),
    "ladder, smart sets": Kind(sides(ladder), options=replace(_SET, lists=Lists.SMART_SET)),
    "near-equal, unordered": Kind(sides(near_equal), rules=_rule(UnorderedList)),
    "near-equal, sets": Kind(sides(near_equal), options=_SET),
    "near-equal, partial sets": Kind(sides(near_equal), options=replace(_SET, partial=True)),
    "near-equal, smart sets": Kind(sides(near_equal), options=replace(_SET, lists=Lists.SMART_SET)),
    "near-equal, smart lists": Kind(sides(near_equal), options=replace(_SET, lists=Lists.SMART_LIST)),
    "near-equal, one key": Kind(sides(near_equal), options=CompareOptions(fields=_KEY)),
    "near-equal, one key, partial": Kind(sides(near_equal), options=replace(REFERENCE, fields=_KEY, partial=True)),
    "near-equal, one key by rule": Kind(sides(near_equal), rules=_rule(KeyedList, by=("i",))),
    "near-equal, aligned": Kind(_lengths(50_000)),
    "map, all values differ": Kind(sides(entries)),
    "map, other keys": Kind(sides(lambda side: entries(side, shift=500_000))),
    "Any in Any": Kind(sides(nested_any), any=True),
    "Any in Any, large": Kind(sides(lambda side: nested_any(side, 200, BYTES)), any=True),
    "unknown numbers": Kind(sides(lambda side: many(b"\xa0\x06" + bytes([side + 1])))),
    "unknown groups": Kind(sides(unknown_groups)),
    "scalars of a byte, aligned": Kind(sides(lambda side: shifted(side, 7, 1))),
    "doubles, aligned": Kind(sides(lambda side: shifted(side, 9, 8))),
    "doubles, sets": Kind(sides(lambda side: shifted(side, 9, 8)), options=_SET),
    "texts, aligned": Kind(sides(texts)),
    "texts, smart lists": Kind(sides(texts), options=replace(_SET, lists=Lists.SMART_LIST)),
    "unknown numbers, below": Kind(sides(lambda side: part_of(3, many(b"\xa0\x06" + bytes([side + 1]))))),
    "another wire type": Kind(sides(lambda side: many(b"\x11" + bytes([side] * 8)))),
    "another wire type, below": Kind(sides(lambda side: part_of(3, many(b"\x10" + bytes([side + 1]))))),
    "closed enum": Kind(sides(lambda side: many(b"\x60" + bytes([side + 1])))),
    "closed enum, map": Kind(sides(lambda side: many(b"\x72\x08\x08\x80\x80\x80\x01\x10\x80" + bytes([side + 1])))),
    "trees, unordered by rule": Kind(sides(trees), rules=(_at("response.**.kids", UnorderedList),)),
    "bush, rules of many states": Kind(sides(bush), rules=_MANY_STATES),
    "keyed by message": Kind(sides(keyed_by_message), rules=_rule(KeyedList, by=("kid",))),
    "JSON in texts": Kind(sides(lambda side: documents(side, 250_000)), rules=_JSON[:1]),
    "JSON in texts, small": Kind(sides(lambda side: documents(side, 20)), rules=_JSON[:1]),
    "JSON in texts, unordered": Kind(sides(lambda side: documents(side, 250_000)), rules=_JSON),
    "JSON in messages, unordered": Kind(sides(lambda side: documents(side, 60_000, 2)), rules=_JSON_KIDS),
    "patterns in texts": Kind(sides(lambda side: documents(side, 1000)), rules=_PATTERN),
    "stream": Kind(sides(stream), stream=True),
    "stream, unordered": Kind(sides(stream), stream=True, rules=(_at("responses", UnorderedList),)),
    "stream, private": Kind(sides(lambda side: stream(side, private=True)), stream=True, private=60),
    "stream, all private": Kind(sides(lambda side: stream(side, 14, private=True)), stream=True, private=5_000),
    "one message, private": Kind(sides(lambda side: part_of(4, b"\x08" + bytes([side]))), stream=True, private=60_000),
    "Any of empty messages": Kind(sides(lambda side: any_of(many(b"\x22\x00", BYTES - 100) + b"\x08" + bytes([side])))),
    "Anys, aligned": Kind(sides(lambda side: anys(side, part_of(2, b"x" * 1000)))),
    "Anys, aligned, small": Kind(sides(lambda side: anys(side, b""))),
    "one string": Kind(sides(lambda side: part_of(2, b"x" * BYTES + bytes([97 + side])))),
}


def measure(name: str, left: Path, right: Path) -> dict[str, Any]:
    """In this process: what comes of one kind, in what time, and by how much the peak of memory rose."""
    kind = KINDS[name]
    rules = MethodRules(kind.rules)
    one, other = (kind.message_type.FromString(file.read_bytes()) for file in (left, right))
    compare(kind.message_type(), kind.message_type(), rules, options=kind.options)  # plans are made once
    before = _peak_mb()
    bodies = [_bodies(kind, message, side) for side, message in enumerate((one, other))] if kind.stream else None
    before = _peak_mb()
    start, cpu = time.perf_counter(), time.process_time()
    if bodies is None:
        result = compare(one, other, rules, options=kind.options)
    else:
        path = (Field("responses"),)
        result = Comparer(rules, kind.options).run(lambda walk: compare_stream(walk, *bodies, path, rules.walk(path)))
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        "kind": name,
        "seconds": round(cpu, 3),
        "wall_seconds": round(took, 3),
        "memory_mb": round(_peak_mb() - before, 1),
        "differences": result.count,
        "kept": len(result.differences),
        "kept_max": 2 * kind.options.differences_max,
        "complete": result.complete and not any("too complex" in d.note for d in result.differences),
        "notes": sorted({d.note for d in result.differences if "too complex" in d.note})[:3],
    }


def _bodies(kind: Kind, message: Any, side: int) -> list[Body]:
    return [
        Body(kid, private={f"secrets[{n}].name": b"%016d%016d" % (n, at * 2 + side) for n in range(kind.private)})
        for at, kid in enumerate(message.kids)
    ]


def _peak_mb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1_000_000


def run(name: str, timeout_s: float = 120) -> dict[str, Any]:
    """Measure one kind in a process of its own. Of one that fails or passes `timeout_s`: kind and `failed`, its last words."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / side for side in ("left", "right")]
        for file, data in zip(files, KINDS[name].build(), strict=True):
            file.write_bytes(data)
        command = [sys.executable, __file__, "--measure", name, *map(str, files)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, check=False, timeout=timeout_s, text=True
            )
        except subprocess.TimeoutExpired:
            return {"kind": name, "failed": f"not done after {timeout_s:.0f} s"}
    if done.returncode:
        return {"kind": name, "failed": (done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def line_of(figures: dict[str, Any]) -> str:
    """A row of the table."""
    if "failed" in figures:
        return f"{figures['kind']:30} FAILED: {figures['failed']}"
    how = "complete" if figures["complete"] else "; ".join(figures["notes"])
    mark = "" if kept(figures) else "  BROKEN"
    times = f"{figures['seconds']:8.2f} {figures['wall_seconds']:8.2f}"
    numbers = f"{times} {figures['memory_mb']:7.1f} {figures['differences']:9}"
    return f"{figures['kind']:30} {numbers}  {how:.90}{mark}"


def kept(figures: dict[str, Any]) -> bool:
    """Whether the promise was."""
    return "failed" not in figures and figures["seconds"] <= PROMISE_S and figures["memory_mb"] <= PROMISE_MB


def main() -> int:
    """Print the table; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), metavar="NAME")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", nargs=3, metavar=("NAME", "LEFT", "RIGHT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        name, left, right = arguments.measure
        print(json.dumps(measure(name, Path(left), Path(right))))
        return 0
    found = []
    print(f"{'kind':30} {'seconds':>8} {'wall':>8} {'MB':>7} {'found':>9}  result")
    for name in arguments.only:
        found.append(run(name))
        print(line_of(found[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2), encoding="utf-8")
    return 0 if all(map(kept, found)) else 1


if __name__ == "__main__":
    sys.exit(main())
