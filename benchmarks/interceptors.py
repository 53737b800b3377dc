"""CPU and latency of a server's call: bare, captured, not mirrored, under contrib instrumentation, and without a collector.

One process serves each variant, one receives the exports (it answers at once, late or never), this one calls. Calls come at a
steady rate, so that p50 and p99 tell of the server and not of a queue. Each round has servers of its own: of two equal ones one may
cost a twentieth more for as long as it lives (where its memory and its threads happen to be). Within a round the variants take
turns of a tenth of a second, or of twenty calls, in random order, so that what else the machine does strikes all alike; then all exports get the time to
leave. A full collection of garbage, which stops a server for 10 to 15 ms after every ten thousand calls or more, is done before a round: else
it would fall into the rounds of some variants and not of others. CPU is that of a server's whole process, the sender's thread included. Of two bare servers one gets the mirror headers too, and
the captured and instrumented calls are held against it; the other gets none, as the calls that are not mirrored. Large bodies are captured
of a share of the calls, as is the default (the table says of how many), and of all: that is held against a server without interceptor that keeps as many bytes of
bodies as ours and sends them (`sends`): below that no capture of all bodies can come. Servers whose collector is dead, hangs or answers late keep running through all rounds, so that their queues fill,
and are held against the one whose collector is ready. After the table: what is promised where, and whether it was kept.

Needs the extra `bench`. Usage: python benchmarks/interceptors.py [--rounds 4] [--seconds 1] [--only 'sync/unary/*'] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fnmatch
import gc
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc_mirror
from interceptor_calls.figures import HEAD, PROMISED, SMALL_BYTES, Used, line_of, promises, rows_of
from interceptor_calls.load import STREAMED, Target, started
from interceptor_calls.servers import note_class_once

SIZES = (100, 1000, 100_000)
# Calls a second, by the size of a body: far from saturating one core.
RATES = {("unary", 100): 800, ("unary", 1000): 800, ("unary", 100_000): 200}
RATES |= {("stream", size): rate // STREAMED for (_, size), rate in tuple(RATES.items())}
TURN_S, TURN_CALLS = 0.1, 20  # at least
DEFAULT = grpc_mirror.Settings()
SETTLE_S = 1.4  # an export leaves after one second
# variant: (program, collector, with mirror headers, what it is held against)
VARIANTS = {
    "bare": ("bare", "ready", True, ""),
    "captured": ("ours", "ready", True, "bare"),
    "contrib": ("contrib", "ready", True, "bare"),
    "bare, plain": ("bare", "ready", False, ""),
    "not mirrored": ("ours", "ready", False, "bare, plain"),
}
# Of large bodies: every call captured with its messages, whatever they come to; as many bytes kept and sent and nothing else; and
# ours by the other protocol.
LARGE = {
    "captured whole": ("ours-whole", "ready", True, "bare"),
    "sends": ("sends", "ready", True, "bare"),
    "whole, gRPC": ("ours-grpc", "ready", True, "bare"),
}
BY_GRPC = ("contrib", "ours-grpc")  # programs that export so; the others by HTTP
# The second of two servers with a ready collector: what equal ones differ by, no fault can be told from.
FAULTY = {"captured, again": ("ours-whole", "ready", True, "captured")}
FAULTY |= {name: ("ours-whole", name, True, "captured") for name in ("dead", "hanging", "slow")}
Cell = tuple[str, str, int, dict[str, tuple[str, str, bool, str]]]  # name, kind, size of bodies, variants


def cells_of(flavour: str) -> list[Cell]:
    """What is measured of one flavour of server."""
    faulty = {"captured": ("ours-whole", "ready", True, "")} | FAULTY
    return [
        *(
            (f"{flavour}/{kind}/{size}", kind, size, VARIANTS | LARGE if size > SMALL_BYTES else VARIANTS)
            for kind in ("unary", "stream")
            for size in SIZES
        ),
        # At 20 MB/s the second fills the queue of a server that cannot deliver.
        *((f"{flavour}/unary/{size}/collector", "unary", size, faulty) for size in (1000, 100_000)),
    ]


async def one_round(
    targets: dict[str, Target], kind: str, size: int, seconds: float, *, settle_s: float
) -> dict[str, Used]:
    """The same load for every variant, in turns. Returns what each has used."""
    body = note_class_once()(text="x" * size).SerializeToString()
    before = {name: await target.used(collect=True) for name, target in targets.items()}
    taken: dict[str, list[float]] = {name: [] for name in targets}
    turns = max(1, round(seconds / max(TURN_S, TURN_CALLS / RATES[kind, size])))
    for _ in range(turns):
        gc.collect()
        for name in random.sample(list(targets), len(targets)):
            taken[name] += await targets[name].load(kind, body, rate=RATES[kind, size], seconds=seconds / turns)
    await asyncio.sleep(settle_s)
    after = {name: await target.used() for name, target in targets.items()}
    return {
        name: Used(
            used["cpu_s"] - before[name]["cpu_s"],
            taken[name],
            used["peak_mib"],
            used["dropped"],
            used["not_sampled"] - before[name]["not_sampled"],
        )
        for name, used in after.items()
    }


async def measure(
    flavour: str, cells: list[Cell], options: argparse.Namespace, ports: dict[tuple[str, bool], int]
) -> AsyncIterator[list[dict[str, Any]]]:
    """Some cells of one flavour of server; yields the rows of each."""
    for cell, kind, size, variants in cells:
        known = {name: base if base in variants else "" for name, (_, _, _, base) in variants.items()}
        lasting = "dead" in variants
        rounds = []
        for _ in range(1 if lasting else options.rounds):
            # A variant has load one Nth of the time, so it gets one Nth of the limit: as under load all the time.
            limit = str(DEFAULT.method_bytes_per_s // len(variants))
            commands = [
                ("serve", flavour, program, f"127.0.0.1:{ports[collector, program in BY_GRPC]}", limit)
                for program, collector, _, _ in variants.values()
            ]
            with started(*commands) as served:
                targets = {
                    name: Target(port, mirrored=variants[name][2]) for name, port in zip(variants, served, strict=True)
                }
                await one_round(targets, kind, size, options.seconds / 2, settle_s=SETTLE_S)  # warms everything up
                rounds += [
                    await one_round(targets, kind, size, options.seconds, settle_s=SETTLE_S)
                    for _ in range(options.rounds if lasting else 1)
                ]
        yield rows_of(cell, rounds, known)


async def run(options: argparse.Namespace) -> None:
    """Start the receivers, measure both flavours, write the figures."""
    gc.disable()  # the client's pauses must not be taken for the server's
    found: list[dict[str, Any]] = []
    print(HEAD)
    with contextlib.ExitStack() as stack:
        receivers = {("ready", True): ("receive", "ready")}  # (mode, by gRPC)
        receivers |= {(mode, False): ("receive-http", mode) for mode in ("ready", "hanging", "slow")}
        ports = dict(zip(receivers, stack.enter_context(started(*receivers.values())), strict=True))
        with started(("receive-http", "ready")) as (gone,):
            ports["dead", False] = gone
        for flavour in ("sync", "aio"):
            cells = [cell for cell in cells_of(flavour) if fnmatch.fnmatch(cell[0], options.only)]
            async for rows in measure(flavour, cells, options, ports):
                for row in rows:
                    print(line_of(row), flush=True)
                found += rows
                if options.json:
                    options.json.write_text(json.dumps(found, indent=1))
    print(PROMISED)
    for text, kept in promises(found):
        print(f"{'unclear' if kept is None else 'kept' if kept else 'BROKEN':>8} {text}")


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.0, help="of load for each variant in a round")
    parser.add_argument("--only", default="*", help="pattern of the cells to run, such as sync/unary/1000")
    parser.add_argument("--json", type=Path)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
