"""The collector in one process with the test: what its pipeline does when things go wrong, and what it remembers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import otlp_slices_pb2, schema_pb2

from mirror.collect.app import Addresses, Collector, open_store
from mirror.collect.judge import Judge
from mirror.config import Config, load
from mirror.core.model import Group, Judged
from mirror.core.path import PathPattern
from mirror.core.rules import Ignore, RuleSet, Scope
from mirror.store import Changes, Checkpoint, Reader, Store, StoreError
from mirror.store.views import RuleChangeView
from tests.collect.otlp import call_span, keys, request
from tests.collect.servers import EXPORT
from tests.collect.shop import batches, product_call, schema_span


def config(folder: Path, **env: str) -> Config:
    given = {
        "MIRROR_RUNS": "checkout",
        "MIRROR_STORE_URL": f"sqlite:///{folder}/mirror.db",
        "MIRROR_LISTEN_OTLP_GRPC": "127.0.0.1:0",
        "MIRROR_LISTEN_OTLP_HTTP": "127.0.0.1:0",
        "MIRROR_POLICY_VOTE_BY": "call",
    }
    return load(None, given | env)


async def export(addresses: Addresses, *bodies: bytes) -> None:
    async with grpc.aio.insecure_channel(str(addresses.otlp_grpc)) as channel:
        for body in bodies:
            await channel.unary_unary(EXPORT)(body, timeout=30)


async def until(true: Callable[[], Any]) -> Any:
    end_s = time.monotonic() + 60
    while not (found := true()):
        assert time.monotonic() < end_s
        await asyncio.sleep(0.02)
    return found


def run(settings: Config, store: Store, *bodies: bytes) -> Collector:
    """Send `bodies` to a collector, and stop it."""

    async def lifetime() -> Collector:
        collector = Collector(settings, store)
        addresses = await collector.start()
        await export(addresses, *bodies)
        assert await collector.stop()
        return collector

    return asyncio.run(lifetime())


def test_a_fault_in_one_group_is_counted_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    judge = Judge.judge

    def faulty(self: Judge, group: Group, now_s: float) -> Judged:
        if group.key.mirror_id == "m3":
            raise RuntimeError("secret")
        return judge(self, group, now_s)

    monkeypatch.setattr(Judge, "judge", faulty)
    settings = config(tmp_path)
    with open_store(settings) as store:
        collector = run(settings, store, *batches(range(10)))
        (epoch,) = store.reader().epochs("checkout")
        assert epoch.counts.pairs == 9
        assert store.reader().counters()["internal_error"] == 1
    assert collector.counters.value("mirror_internal_errors_total", stage="judge") == 1
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_a_pair_without_candidate_goes_to_the_candidate_seen_last_also_after_a_restart(tmp_path: Path) -> None:
    settings = config(tmp_path)
    with open_store(settings) as store:
        run(settings, store, *batches(range(2)))
    with open_store(settings) as store:
        run(settings, store, request(product_call("alone", "primary")).SerializeToString())
        (epoch,) = store.reader().epochs("checkout")
        assert (epoch.key.candidate_version, epoch.counts.pairs, epoch.counts.incomplete) == ("2.0", 3, 1)


def of_service(service: str, name: str, **versions: str) -> list[bytes]:
    """A call of one service, as these roles saw it."""
    spans = {
        role: call_span(name, role, rpc__method=f"{service}.v1/Get{name}", mirror__run="checkout") for role in versions
    }
    return [request(spans[role], version=versions[role], service=service).SerializeToString() for role in versions]


@pytest.mark.parametrize("restarted", [True, False])
def test_a_dead_candidate_is_held_against_its_own_service_and_no_other_s_version(
    tmp_path: Path, *, restarted: bool
) -> None:
    settings = config(tmp_path)
    seen = [
        *of_service("cart", "1", primary="1.0", candidate="2.0", secondary="1.0"),
        *of_service("tax", "2", primary="7.0", candidate="7.1", secondary="7.0"),
    ]
    dead = of_service("cart", "3", primary="1.0", secondary="1.0")
    dead += of_service("cart", "4", primary="1.0", secondary="1.0")
    for bodies in (seen, dead) if restarted else ([*seen, *dead],):
        with open_store(settings) as store:
            run(settings, store, *bodies)
    found = {
        (e.key.service, e.key.candidate_version): e.counts.pairs
        for e in Reader.open(settings.store.url).epochs("checkout")
    }
    assert found == {("cart", "2.0"): 3, ("tax", "7.1"): 1}


def test_pairs_come_together_as_ever_after_the_clock_was_set_back(tmp_path: Path) -> None:
    """By an hour: their deadlines are before what came last, and nothing of them is late for that."""
    settings, now = config(tmp_path), [time.time()]

    async def lifetime(store: Store) -> None:
        collector = Collector(settings, store, clock=lambda: now[0])
        addresses = await collector.start()
        for nth, after_s in enumerate((0, 600, -3600), start=1):
            now[0] += after_s
            await export(addresses, *(body for n in range(5) for body in batches(range(n, n + 1), f"{after_s}-")))
            await until(
                lambda nth=nth: collector.counters.value("mirror_groups_released_total", reason="complete") == 5 * nth
            )
        assert await collector.stop()

    with open_store(settings) as store:
        asyncio.run(lifetime(store))
        (epoch,) = store.reader().epochs("checkout")
        assert (epoch.counts.triples, epoch.counts.incomplete, epoch.counts.secondary_status) == (15, 0, 0)


def test_duplicates_of_a_retried_batch_count_once(tmp_path: Path) -> None:
    settings = config(tmp_path)
    with open_store(settings) as store:
        collector = run(settings, store, *batches(range(5)), *batches(range(5)))
        (epoch,) = store.reader().epochs("checkout")
        assert epoch.counts.pairs == 5
    assert collector.counters.value("mirror_pairing_total", reason="duplicate") == 15


def test_a_rule_is_counted_by_what_was_compared_in_its_scope_also_after_a_restart(tmp_path: Path) -> None:
    never, elsewhere, old = (
        Ignore(scope=Scope(PathPattern.parse(path), methods=methods), id=path, expires=expires)
        for path, methods, expires in (
            ("response.never", (), None),
            ("response.elsewhere", ("x.Y/*",), None),
            ("response.old", (), date(2020, 1, 1)),
        )
    )
    settings = config(tmp_path).model_copy(update={"rules": RuleSet((never, elsewhere, old))})
    for calls in (range(3), range(3, 8)):
        with open_store(settings) as store:
            run(settings, store, *batches(calls))
    with open_store(settings) as store:
        uses = {rule.id: rule.uses for rule in store.reader().rules() if rule.uses}
    assert uses == {never.id: {never.digest: (8, 0)}}


class Failing(Store):
    """A real store that can be made to fail."""

    broken = False

    def commit(
        self, changes: Changes, now_s: float, checkpoints: Iterable[Checkpoint] = ()
    ) -> tuple[RuleChangeView, ...]:
        if self.broken:
            raise StoreError("the disk is full")
        return super().commit(changes, now_s, checkpoints)


def test_while_the_store_fails_it_is_not_ready_pushes_back_and_loses_nothing(tmp_path: Path) -> None:
    body = request(
        schema_span(), *(product_call(f"unmirrored-{n}", "primary", expect="") for n in range(50))
    ).SerializeToString()
    settings = config(tmp_path, MIRROR_INTAKE_QUEUE_MAX_BYTES=str(len(body)))

    async def lifetime(store: Failing) -> None:
        collector = Collector(settings, store)
        addresses = await collector.start()
        assert collector.health() == []
        store.broken = True
        await until(collector.health)
        assert "store" in collector.health()[0]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await export(addresses, body, body, body)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        store.broken = False
        await until(lambda: not collector.health())
        await until(lambda: collector.counters.value("mirror_queue_bytes") == 0)
        await export(addresses, *batches(range(3)))
        assert await collector.stop()
        assert collector.health() == ["starting or stopping"]
        assert sum(epoch.counts.pairs for epoch in store.reader().epochs("checkout")) == 3

    with Failing.open(settings.store.url) as store:
        assert isinstance(store, Failing)
        asyncio.run(lifetime(store))


def test_a_source_s_own_figures_are_kept(tmp_path: Path) -> None:
    report = schema_pb2.SourceReport(source_id="pod-1", sequence=1, captured=7, dropped={"queue_full": 2})
    span = otlp_slices_pb2.Span(
        trace_id=b"t" * 16, span_id=b"s" * 8, attributes=keys({names.REPORT: report.SerializeToString()})
    )
    settings = config(tmp_path)
    with open_store(settings) as store:
        run(settings, store, request(span).SerializeToString())
        (source,) = store.reader().sources()
        assert (source.source_id, source.service, source.captured) == ("pod-1", "shop", 7)
        assert source.dropped == {"queue_full": 2}


def test_a_schema_that_lies_about_its_fingerprint_is_refused_and_told(tmp_path: Path) -> None:
    lie = schema_pb2.Schema(fingerprint="0" * 32, files=[b""]).SerializeToString()
    span = otlp_slices_pb2.Span(trace_id=b"t" * 16, span_id=b"s" * 8, attributes=keys({names.SCHEMA: lie}))
    settings = config(tmp_path)
    with open_store(settings) as store:
        collector = run(settings, store, request(span).SerializeToString())
        assert len(store.reader().schema_problems()) == 1
        assert list(store.schemas()) == []
    assert collector.counters.value("mirror_schemas_total", result="refused") == 1
