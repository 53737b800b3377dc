"""Pairs a second and core, from OTLP bytes to stored counts, against the bare work in the same run.

The bare work parses the spans, the captures and both messages, and asks `==`. Ours slices, pairs triples, compares, judges and commits
to SQLite. Bodies are equal, or one pair in a hundred differs in one field. Prints a table; --json FILE writes the figures.

Ours with the journal, as shipped; --no-journal without. First come triples that are not timed (--warm-up): of N calls
of a method some 200 / N have their requests read for a sample, many at first and ever fewer; what is measured is what lasts. With --pairs there is no secondary: two spans a request instead of three.

The bare work knows where in a span the capture stands. "Read bare" looks for ID, role and capture by their keys, and pairs by
the ID, as whoever takes spans of strangers must: what ours is asked to do, less all that it is for.

The ratio depends on how Python was built: an interpreter built with its own optimisations (as distributions and the official images have it) does
our part faster by a quarter, and hardly the bare one, which is C. MIRROR_NATIVE=0 measures without the compiled parts.

Usage: python benchmarks/collector.py [--triples 10000] [--rounds 3] [--warm-up 20000] [--pairs] [--no-journal] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2
from grpc_mirror.v1 import attributes, capture_pb2, otlp_slices_pb2, schema_pb2

from mirror.cli.process import settle_memory
from mirror.collect.app import Collector, open_store
from mirror.collect.receive import Accepted
from mirror.collect.slices import NATIVE
from mirror.config import Config
from mirror.config.sections import Journal, Listen, Store

METHOD = "bench.v1.Bench/Call"
BATCH = 64  # spans
WARM_UP = 20_000  # triples
SENDERS = 12  # exporters that wait for their answers
ROLES = ("primary", "candidate", "secondary")


def body(size: int, *, changed: bool = False) -> bytes:
    """A message of `size` bytes or so: an OTLP span with attributes, nested and repeated."""
    message = otlp_slices_pb2.Span(name="checkout", trace_id=bytes(16), span_id=bytes(8), start_time_unix_nano=17)
    index = 0
    while message.ByteSize() < size:
        message.attributes.add(key=f"k{index}").value.string_value = (
            "changed" if changed and index == 0 else f"value {index}"
        )
        index += 1
    return message.SerializeToString()


def schema() -> tuple[str, bytes]:
    """The schema of the bodies, as a process ships it."""
    file = descriptor_pb2.FileDescriptorProto()
    otlp_slices_pb2.DESCRIPTOR.CopyToProto(file)
    data = file.SerializeToString()
    digest = hashlib.sha256(file.name.encode() + b"\0" + hashlib.sha256(data).digest()).hexdigest()[:32]
    return digest, schema_pb2.Schema(fingerprint=digest, files=[data]).SerializeToString()


def span(  # noqa: PLR0913, PLR0917 - all that a call is
    number: int, role: str, expect: str, fingerprint: str, asked: bytes, answer: bytes
) -> otlp_slices_pb2.Span:
    """The span of one captured call. All replicas are asked the same, else the pair is incomparable."""
    capture = capture_pb2.Capture(
        method=METHOD,
        kind=capture_pb2.CALL_KIND_UNARY,
        request_type="mirror.v1.Span",
        response_type="mirror.v1.Span",
        schema_fingerprint=fingerprint,
        ending=capture_pb2.ENDING_RETURNED,
        request_count=1,
        response_count=1,
        start_unix_ns=1_700_000_000_000_000_000 + number * 1_000_000 + ROLES.index(role),
        duration_ns=5_000_000 + number % 1000 + ROLES.index(role),
    )
    for direction, common in ((capture_pb2.DIRECTION_REQUEST, asked), (capture_pb2.DIRECTION_RESPONSE, answer)):
        # No two calls are alike.
        payload = common + otlp_slices_pb2.Span(end_time_unix_nano=number).SerializeToString()
        capture.messages.add(direction=direction, body=payload, original_size=len(payload), offset_ns=number % 1000)
    made = otlp_slices_pb2.Span(
        trace_id=number.to_bytes(16, "big"),
        span_id=(number * 3 + ROLES.index(role) + 1).to_bytes(8, "big"),
        name=METHOD,
    )
    texts = {
        attributes.ID: f"id-{number}",
        attributes.RUN: "default",
        attributes.ROLE: role,
        attributes.EXPECT: expect,
        attributes.RPC_METHOD: METHOD,
        attributes.RPC_STATUS: "OK",
    }
    for key, value in texts.items():
        made.attributes.add(key=key).value.string_value = value
    made.attributes.add(key=attributes.CAPTURE).value.bytes_value = capture.SerializeToString()
    return made


def batches(requests: range, roles: tuple[str, ...], size: int, share_changed: float) -> list[bytes]:
    """OTLP requests, one role each, as the exporters of the replicas send them."""
    fingerprint, _ = schema()
    same, other = body(size), body(size, changed=True)
    made = []
    for start in range(requests.start, requests.stop, BATCH):
        for role in roles:
            request = otlp_slices_pb2.ExportTraceServiceRequest()
            resource = request.resource_spans.add()
            version = "2" if role == "candidate" else "1"
            for key, value in (("service.name", "bench"), ("service.version", version), ("service.instance.id", role)):
                resource.resource.attributes.add(key=key).value.string_value = value
            scope = resource.scope_spans.add()
            for number in range(start, min(start + BATCH, requests.stop)):
                differs = role == "candidate" and share_changed and number % round(1 / share_changed) == 0
                asked = ",".join(roles[1:])
                scope.spans.append(span(number, role, asked, fingerprint, same, other if differs else same))
            made.append(request.SerializeToString())
    return made


def bare(requests: list[bytes]) -> float:
    """CPU seconds of the bare work: parse spans, captures and answers; `==` against the primary's."""
    began = time.process_time()
    primaries: dict[bytes, object] = {}
    equal = 0
    for request in requests:
        for resource in otlp_slices_pb2.ExportTraceServiceRequest.FromString(request).resource_spans:
            for one in resource.scope_spans[0].spans:
                capture = capture_pb2.Capture.FromString(one.attributes[-1].value.bytes_value)
                message = otlp_slices_pb2.Span.FromString(capture.messages[1].body)
                other = primaries.setdefault(one.trace_id, message)
                equal += other is not message and other == message
    assert equal
    return time.process_time() - began


def read_bare(requests: list[bytes]) -> float:
    """CPU seconds of the same, where ID, role and capture are found by their keys and calls are paired by ID."""
    began = time.process_time()
    waiting: dict[str, dict[str, object]] = {}
    equal = 0
    for request in requests:
        for resource in otlp_slices_pb2.ExportTraceServiceRequest.FromString(request).resource_spans:
            for scope in resource.scope_spans:
                for one in scope.spans:
                    found = {item.key: item.value for item in one.attributes}
                    capture = capture_pb2.Capture.FromString(found[attributes.CAPTURE].bytes_value)
                    message = otlp_slices_pb2.Span.FromString(capture.messages[1].body)
                    mirror_id, role = found[attributes.ID].string_value, found[attributes.ROLE].string_value
                    here = waiting.setdefault(mirror_id, {})
                    here[role] = message
                    if len(here) > found[attributes.EXPECT].string_value.count(",") + 1:
                        primary = waiting.pop(mirror_id).pop(attributes.PRIMARY)
                        equal += sum(primary == shadow for shadow in here.values())
    assert equal
    return time.process_time() - began


class Fed(NamedTuple):
    """The requests of a round: `warm_up` are not timed."""

    warm_up: list[bytes]
    timed: list[bytes]
    pairs: int  # of candidates, in both


def ours(fed: Fed, folder: str, *, journal: bool) -> float:
    """CPU seconds of the whole process from the first timed request's bytes to the last commit; SENDERS requests are under way."""
    listen = Listen(otlp_grpc="127.0.0.1:0", otlp_http="127.0.0.1:0", web="127.0.0.1:0")
    kept = Journal(enabled=journal)
    config = Config(listen=listen, store=Store(url=f"sqlite:///{folder}/mirror.db"), journal=kept)
    store = open_store(config)
    collector = Collector(config, store)
    announce = otlp_slices_pb2.ExportTraceServiceRequest()
    said = announce.resource_spans.add().scope_spans.add().spans.add(trace_id=b"s" * 16, span_id=b"s" * 8)
    said.attributes.add(key=attributes.SCHEMA).value.bytes_value = schema()[1]

    async def run() -> float:
        await collector.start()
        receiver = collector._receiver  # noqa: SLF001 - the entrance behind both listeners

        async def send(left: Iterator[bytes]) -> None:
            for request in left:
                while not isinstance(await receiver.receive(request, "grpc"), Accepted):  # noqa: ASYNC110 - pushed back, as a sender
                    await asyncio.sleep(0.01)

        await send(iter([announce.SerializeToString()]))
        settle_memory()
        spent = 0.0
        for requests in (fed.warm_up, fed.timed):
            began, left = time.process_time(), iter(requests)
            await asyncio.gather(*(send(left) for _ in range(SENDERS)))
            spent = time.process_time() - began
        began = time.process_time()
        assert await collector.stop()
        return spent + time.process_time() - began

    spent = asyncio.run(run())
    counts = store.reader().runs()[0].epochs[0].counts
    assert counts.pairs == fed.pairs, counts
    store.close()
    gc.unfreeze()
    return spent


def cell(size: int, share_changed: float, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of bodies of one size: medians over the rounds."""
    roles = ROLES[:2] if options.pairs else ROLES
    rates, ratios, read_ratios = [], [], []
    for round_ in range(options.rounds):
        first = 1 + round_ * (options.triples + options.warm_up)
        warm_up = range(first, first + options.warm_up)
        timed = range(warm_up.stop, warm_up.stop + options.triples)
        fed = Fed(
            batches(warm_up, roles, size, share_changed),
            batches(timed, roles, size, share_changed),
            options.warm_up + options.triples,
        )
        with tempfile.TemporaryDirectory() as folder:
            spent = ours(fed, folder, journal=not options.no_journal)
        rates.append(options.triples / spent)
        ratios.append(spent / bare(fed.timed))
        read_ratios.append(spent / read_bare(fed.timed))
    rate = statistics.median(rates)
    return {
        "body_bytes": size,
        "differ": share_changed,
        "requests_per_s": rate,
        "comparisons_per_s": rate * (len(roles) - 1),
        "ratio": statistics.median(ratios),
        "read_ratio": statistics.median(read_ratios),
    }


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triples", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=WARM_UP, metavar="TRIPLES")
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--no-journal", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = []
    parts = "with the compiled parts" if NATIVE else "without the compiled parts"
    print(f"Python {platform.python_version()}, {platform.python_compiler()}, {parts}")
    print(
        f"{'bodies':>8} {'differ':>7} {'requests/s':>11} {'comparisons/s':>14} {'ours / bare':>12} {'/ read bare':>12}"
    )
    for size, changed in ((200, 0.0), (200, 0.01), (2000, 0.0), (2000, 0.01)):
        row = cell(size, changed, options)
        figures.append(row)
        print(
            f"{size:>6} B {changed:>7.0%} {row['requests_per_s']:>11,.0f} {row['comparisons_per_s']:>14,.0f} "
            f"{row['ratio']:>12.1f} {row['read_ratio']:>12.1f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
