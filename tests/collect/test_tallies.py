"""Quiet groups go a short way; what is counted in the end is what the long way counts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from grpc_mirror.v1 import otlp_slices_pb2

from mirror.collect.app import Collector
from mirror.collect.slices import Slicer
from mirror.collect.tallies import Tallies
from mirror.core.model import Group
from mirror.store import Limits, Store
from mirror.store.changes import Changes
from mirror.store.tables import metadata
from tests.collect.otlp import METHOD, call_span, capture, request
from tests.collect.shop import FINGERPRINT, VERSIONS, Product, schema_span
from tests.collect.test_collector import config

CALLS = 400
START_S = 1_700_000_000.0
OWN = {"meta", "partitions"}  # names and identities of each store
TOLD = {"mirror_groups_released_total", "mirror_comparisons_total", "mirror_triples_total"}


def call(number: int, role: str) -> otlp_slices_pb2.Span:
    """By its number: mostly quiet; some differ, fail, made calls, or come from a role that another did not expect."""
    chance = random.Random(f"{number} {role}")
    what = number % 13
    price = 999 if (what == 3 and role == "candidate") or (what == 4 and role != "primary") else 100 + number % 7
    data = capture(
        Product(name=f"product {number % 7}", price=price).SerializeToString(),
        method=METHOD,
        request_type="shop.v1.Product",
        response_type="shop.v1.Product",
        schema_fingerprint=FINGERPRINT,
        status_code=5 if what == 5 else 0,
        start_unix_ns=int(START_S * 1e9) + number,
        duration_ns=chance.randrange(1_000_000, 9_000_000),
        outbound_calls=1 if what == 6 else 0,
        attempt=chance.randrange(2),
    )
    expect = (
        "candidate" if what in (7, 9, 10) else "secondary" if what == 11 else "" if what == 8 else "candidate,secondary"
    )
    status = {"rpc__status_code": "NOT_FOUND" if what == 5 else "OK"}
    return call_span(f"m{number}", role, data=data, mirror__run="checkout", mirror__expect=expect, **status)


def requests() -> list[tuple[float, bytes]]:
    """When they come, and what: replicas take turns, over three minutes; the secondary lacks some, and has another version once."""
    made = []
    for start in range(0, CALLS, 20):
        at_s = START_S + start * 0.4
        for place, (role, version) in enumerate(VERSIONS.items()):
            spans = [
                call(n, role)
                for n in range(start, start + 20)
                if role != "secondary" or (n % 11 and n % 13 not in (9, 10))
            ]
            other = role == "secondary" and start == 60
            body = request(schema_span(), *spans, version="0.9" if other else version).SerializeToString()
            made.append((at_s + place * 0.1, body))
    return made


def counted(folder: Path, *, short: bool) -> tuple[dict[str, list[tuple[object, ...]]], dict[str, float], int]:
    """All that the store holds in the end, by table; the metrics of what was judged; how many groups went the short way."""
    folder.mkdir()
    now_s, taken = [START_S], 0

    class Watched(Tallies):
        def take(self, group: Group, changes: Changes) -> bool:
            nonlocal taken
            taken += (found := short and super().take(group, changes))
            return found

    limits = Limits(samples_of_method=10, samples_of_set=5)
    with pytest.MonkeyPatch.context() as patch, Store.open(f"sqlite:///{folder}/mirror.db", limits=limits) as store:
        patch.setattr("mirror.collect.judging.Tallies", Watched)
        collector = Collector(config(folder, MIRROR_JOURNAL_ENABLED="false"), store, clock=lambda: now_s[0])
        stages, slicer = collector._pipeline._stages, Slicer()  # without their thread: all happens at its time
        collector._pipeline.prepare()
        stages.use_day(START_S)
        for at_s, body in requests():
            now_s[0] = at_s
            stages.read(slicer.slice(body, arrived_s=at_s))
            stages.expire(stages.lanes[0])
            stages.flush_in_time(at_s)
        stages.drain()
        stages.flush()
        with store.engine.connect() as connection:
            tables = {
                table.name: sorted((tuple(row) for row in connection.execute(table.select())), key=repr)
                for table in metadata.sorted_tables
                if table.name not in OWN
            }
    told = {f"{one.name}{one.labels}": one.value for one in collector.counters.snapshot() if one.name in TOLD}
    return tables, told, taken


def test_the_short_way_counts_what_the_long_way_counts(tmp_path: Path) -> None:
    tables, told, taken = counted(tmp_path / "short", short=True)
    expected, expected_told, _ = counted(tmp_path / "long", short=False)
    for name, rows in expected.items():
        assert tables[name] == rows, name
    assert told == expected_told
    assert CALLS / 4 < taken < CALLS  # samples took some, and what differs went the long way
