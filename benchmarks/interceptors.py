"""CPU and latency of a server's call: bare, captured, not mirrored, under contrib instrumentation, and without a collector.

One process serves each variant, one receives the exports (it answers at once, late or never), this one calls. Calls come at a
steady rate, so that p50 and p99 tell of the server and not of a queue. A round gives every variant the same load in random order;
then all exports get the time to leave; CPU is that of a server's whole process, the sender's thread included. Each figure is the
median of the ratios of the rounds. Of two bare servers one gets the mirror headers too, and the captured and instrumented calls are
held against it; the other gets none, as the calls that are not mirrored.

Needs the extra `bench`. Usage: python benchmarks/interceptors.py [--rounds 8] [--seconds 1] [--only 'sync/unary/*'] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fnmatch
import gc
import json
import os
import random
import resource
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService"
SERVICE = "mirrorbench.Echo"
STREAMED = 8  # messages each way of a stream
SIZES = (100, 1000, 100_000)
# Calls a second, by the size of a body: far from saturating one core.
RATES = {("unary", 100): 800, ("unary", 1000): 800, ("unary", 100_000): 100}
RATES |= {("stream", size): rate // STREAMED for (_, size), rate in tuple(RATES.items())}
SLOW_S = 2.0
TURN_S = 0.1
SETTLE_S = 1.4  # an export leaves after one second
# variant: (program, collector, with mirror headers, what it is held against)
VARIANTS = {
    "bare": ("bare", "ready", True, ""),
    "captured": ("ours", "ready", True, "bare"),
    "contrib": ("contrib", "ready", True, "bare"),
    "bare, plain": ("bare", "ready", False, ""),
    "not mirrored": ("ours", "ready", False, "bare, plain"),
}
FAULTY = {name: ("ours", name, True, "captured") for name in ("dead", "hanging", "slow")}


def note_class() -> Any:
    """The message of both ways, made here so that nothing needs to be generated."""
    file = descriptor_pb2.FileDescriptorProto(name="mirrorbench/echo.proto", package="mirrorbench", syntax="proto3")
    message = file.message_type.add(name="Note")
    message.field.add(name="text", number=1, type=9, label=1)
    message.field.add(name="number", number=2, type=5, label=1)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("mirrorbench.Note"))


def usage(dropped: Callable[[], dict[str, int]]) -> bytes:
    """What this process has used so far."""
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return json.dumps({"cpu_s": time.process_time(), "peak_mib": peak_kib / 1024, "dropped": dropped()}).encode()


def interceptors(program: str, endpoint: str, *, aio: bool) -> tuple[list[Any], Callable[[], dict[str, int]]]:
    """The interceptors of a server, and how to ask what they have dropped."""
    if program == "ours":
        import grpc_mirror  # noqa: PLC0415 - only this program loads it

        make = grpc_mirror.aio_server_interceptor if aio else grpc_mirror.server_interceptor
        ours = make(endpoint=endpoint)
        return [ours], lambda: ours._observer.counters.read().dropped  # noqa: SLF001 - for the report only
    if program == "contrib":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.instrumentation.grpc import aio_server_interceptor, server_interceptor  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        provider = TracerProvider()
        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
        return [(aio_server_interceptor if aio else server_interceptor)(tracer_provider=provider)], dict
    return [], dict


def handlers(behaviors: dict[str, Any], dropped: Callable[[], dict[str, int]], *, aio: bool) -> Any:
    """The service under test and the method that tells what it has used."""
    note = note_class_once()
    codecs = {"request_deserializer": note.FromString, "response_serializer": note.SerializeToString}

    def used(_request: bytes, _context: Any) -> bytes:
        return usage(dropped)

    async def used_aio(request: bytes, context: Any) -> bytes:
        return used(request, context)

    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "unary": grpc.unary_unary_rpc_method_handler(behaviors["unary"], **codecs),
            "stream": grpc.stream_stream_rpc_method_handler(behaviors["stream"], **codecs),
            "used": grpc.unary_unary_rpc_method_handler(used_aio if aio else used),
        },
    )


def serve_sync(program: str, endpoint: str) -> None:
    """Serve until killed; prints the port."""
    note = note_class_once()

    def unary(request: Any, _context: Any) -> Any:
        return note(text=request.text, number=1)

    def stream(requests: Iterator[Any], _context: Any) -> Iterator[Any]:
        for request in requests:
            yield note(text=request.text, number=1)

    chain, dropped = interceptors(program, endpoint, aio=False)
    server = grpc.server(futures.ThreadPoolExecutor(10), interceptors=chain)
    server.add_generic_rpc_handlers((handlers({"unary": unary, "stream": stream}, dropped, aio=False),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


async def serve_aio(program: str, endpoint: str) -> None:
    """Serve until killed; prints the port."""
    note = note_class_once()

    async def unary(request: Any, _context: Any) -> Any:
        return note(text=request.text, number=1)

    async def stream(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield note(text=request.text, number=1)

    chain, dropped = interceptors(program, endpoint, aio=True)
    server = grpc.aio.server(interceptors=chain)
    server.add_generic_rpc_handlers((handlers({"unary": unary, "stream": stream}, dropped, aio=True),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


async def receive(mode: str) -> None:
    """Take exports until killed: answer them at once, late or never. Prints the port."""

    async def export(_raw: bytes, _context: Any) -> bytes:
        if mode != "ready":
            await asyncio.sleep(SLOW_S if mode == "slow" else 3600)
        return b""

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 64 << 20)])
    handler = grpc.unary_unary_rpc_method_handler(export)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(EXPORT, {"Export": handler}),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[int]:
    """This file in another process; yields the port that it prints."""
    environment = os.environ | {"OTEL_SERVICE_NAME": "bench", "OTEL_RESOURCE_ATTRIBUTES": "service.version=1"}
    process = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, env=environment)
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


class Target:
    """One variant's server, as the client sees it."""

    def __init__(self, port: int, *, mirrored: bool) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
        self._unary = self._channel.unary_unary(f"/{SERVICE}/unary")
        self._stream = self._channel.stream_stream(f"/{SERVICE}/stream")
        self._used = self._channel.unary_unary(f"/{SERVICE}/used")
        self._mirrored = mirrored

    async def used(self) -> dict[str, Any]:
        """CPU seconds, peak memory and drops of the server."""
        return dict(json.loads(await self._used(b"")))

    async def load(self, kind: str, body: bytes, *, rate: int, seconds: float) -> list[float]:
        """Call at a steady rate. Returns the seconds that each call took."""
        taken: list[float] = []
        call = self._one_unary if kind == "unary" else self._one_stream
        calls, began = [], time.perf_counter()
        for number in range(max(1, round(rate * seconds))):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            calls.append(asyncio.ensure_future(call(body, taken)))
        await asyncio.gather(*calls)
        return taken

    async def _one_unary(self, body: bytes, taken: list[float]) -> None:
        metadata, began = self._headers(), time.perf_counter()
        await self._unary(body, metadata=metadata)
        taken.append(time.perf_counter() - began)

    async def _one_stream(self, body: bytes, taken: list[float]) -> None:
        metadata, began = self._headers(), time.perf_counter()
        stream = self._stream(metadata=metadata)
        for _ in range(STREAMED):
            await stream.write(body)
            await stream.read()
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        taken.append(time.perf_counter() - began)

    def _headers(self) -> tuple[tuple[str, str], ...]:
        trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
        plain = (("x-request-id", secrets.token_hex(16)), ("traceparent", trace))
        if not self._mirrored:
            return plain
        mirror = (("x-mirror-id", secrets.token_hex(16)), ("x-mirror-run", "bench"), ("x-mirror-expect", "candidate"))
        return (*plain, *mirror)


async def one_round(
    targets: dict[str, Target], kind: str, size: int, seconds: float, *, settle_s: float
) -> dict[str, dict[str, Any]]:
    """The same load for every variant, in random order. Returns what each has used."""
    body = note_class_once()(text="x" * size).SerializeToString()
    rate = RATES[kind, size]
    before = {name: await target.used() for name, target in targets.items()}
    taken: dict[str, list[float]] = {name: [] for name in targets}
    turns = max(1, round(seconds / TURN_S))
    for _ in range(turns):  # short ones: what else the machine does changes by the second
        gc.collect()
        for name in random.sample(list(targets), len(targets)):
            taken[name] += await targets[name].load(kind, body, rate=rate, seconds=seconds / turns)
    await asyncio.sleep(settle_s)
    figures = {}
    for name, target in targets.items():
        after, sorted_s = await target.used(), sorted(taken[name])
        figures[name] = {
            "cpu_us": (after["cpu_s"] - before[name]["cpu_s"]) / len(sorted_s) * 1e6,
            "p50_ms": statistics.median(sorted_s) * 1e3,
            "p99_ms": sorted_s[int(len(sorted_s) * 0.99)] * 1e3,
            "peak_mib": after["peak_mib"],
            "dropped": after["dropped"],
        }
    return figures


_NOTE: list[Any] = []


def note_class_once() -> Any:
    """`note_class`, whose file a pool takes only once."""
    if not _NOTE:
        _NOTE.append(note_class())
    return _NOTE[0]


def summary(cell: str, rounds: list[dict[str, dict[str, Any]]], against: dict[str, str]) -> list[dict[str, Any]]:
    """A row for each variant: medians of the figures, and of each round's ratios."""
    rows = []
    for name, base in against.items():
        row: dict[str, Any] = {"cell": cell, "variant": name, "against": base}
        for figure in ("cpu_us", "p50_ms", "p99_ms"):
            row[figure] = statistics.median(one[name][figure] for one in rounds)
            if base:
                ratios = [one[name][figure] / one[base][figure] for one in rounds]
                row[f"{figure[:3]}_ratio"] = statistics.median(ratios)
                row[f"{figure[:3]}_ratios"] = [round(ratio, 3) for ratio in sorted(ratios)]
        row["peak_mib"], row["dropped"] = rounds[-1][name]["peak_mib"], rounds[-1][name]["dropped"]
        rows.append(row)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """Print rows as a table."""
    for row in rows:
        ratios = "  ".join(
            f"{row[f'{name}_ratio']:5.2f}" if row["against"] else "    -" for name in ("cpu", "p50", "p99")
        )
        figures = f"{row['cpu_us']:>8.0f} {row['p50_ms']:>7.2f} {row['p99_ms']:>7.2f}"
        print(
            f"{row['cell']:>20} {row['variant']:>13} {figures}   {ratios}  {row['peak_mib']:>6.0f}  {row['dropped'] or ''}"
        )


Cell = tuple[str, str, int, dict[str, tuple[str, str, bool, str]]]  # name, kind, size of bodies, variants


def cells_of(flavour: str) -> list[Cell]:
    """What is measured of one flavour of server."""
    faulty = {"captured": VARIANTS["captured"]} | FAULTY
    return [
        *((f"{flavour}/{kind}/{size}", kind, size, VARIANTS) for kind in ("unary", "stream") for size in SIZES),
        (f"{flavour}/unary/1000/collector", "unary", 1000, faulty),
    ]


async def measure(
    flavour: str, cells: list[Cell], options: argparse.Namespace, ports: dict[str, int]
) -> AsyncIterator[list[dict[str, Any]]]:
    """Some cells of one flavour of server; yields the rows of each."""
    with contextlib.ExitStack() as stack:
        targets = {}
        for name, (program, collector, mirrored, _) in (VARIANTS | FAULTY).items():
            port = stack.enter_context(started("serve", flavour, program, f"127.0.0.1:{ports[collector]}"))
            targets[name] = Target(port, mirrored=mirrored)
        for cell, kind, size, variants in cells:
            chosen = {name: targets[name] for name in variants}
            await one_round(chosen, kind, size, options.seconds / 2, settle_s=0.1)  # warms everything up
            rounds = [
                await one_round(chosen, kind, size, options.seconds, settle_s=SETTLE_S) for _ in range(options.rounds)
            ]
            known = {name: base if base in variants else "" for name, (_, _, _, base) in variants.items()}
            yield summary(cell, rounds, known)


async def run(options: argparse.Namespace) -> None:
    """Start the receivers, measure both flavours, write the figures."""
    gc.disable()  # the client's pauses must not be taken for the server's
    found: list[dict[str, Any]] = []
    print(f"{'':>41} {'CPU us':>8} {'p50 ms':>7} {'p99 ms':>7}   {'CPU':>5}  {'p50':>5}  {'p99':>5}  {'MiB':>6}")
    with contextlib.ExitStack() as stack:
        ports = {mode: stack.enter_context(started("receive", mode)) for mode in ("ready", "hanging", "slow")}
        with started("receive", "ready") as gone:
            ports["dead"] = gone
        for flavour in ("sync", "aio"):
            cells = [cell for cell in cells_of(flavour) if fnmatch.fnmatch(cell[0], options.only)]
            if not cells:
                continue
            async for rows in measure(flavour, cells, options, ports):
                show(rows)
                found += rows
                if options.json:
                    options.json.write_text(json.dumps(found, indent=1))


def main() -> None:
    """Run the rounds and print the table; or be one of the processes that this takes."""
    if sys.argv[1:2] == ["serve"]:
        flavour, program, endpoint = sys.argv[2:5]
        if flavour == "aio":
            asyncio.run(serve_aio(program, endpoint))
        else:
            serve_sync(program, endpoint)
        return
    if sys.argv[1:2] == ["receive"]:
        asyncio.run(receive(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.0, help="of load for each variant in a round")
    parser.add_argument("--only", default="*", help="pattern of the cells to run, such as sync/unary/1000")
    parser.add_argument("--json", type=Path)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
