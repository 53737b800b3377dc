"""A collector whose rules change: between two lives of it, and at midnight, when one of them expires."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from mirror.collect.app import Collector, open_store
from mirror.core.path import PathPattern
from mirror.core.rules import Ignore, RuleSet, Scope
from mirror.store import Reader
from mirror.store.verdicts import run_facts
from tests.collect.process import CollectorProcess
from tests.collect.shop import batches
from tests.collect.test_collector import config, export, until

PRICE = {"type": "ignore", "path": "response.price", "reason": "the new tax library", "owner": "checkout"}


def collected(collector: CollectorProcess, ids: range) -> None:
    """Calls are sent, judged and stored, and the collector ends."""
    collector.export(*batches(ids))
    collector.until(lambda: collector.pairs() == ids.stop, "stored what it was sent")


def test_a_collector_that_starts_with_other_rules_starts_anew_what_they_cover(tmp_path: Path) -> None:
    """The price is wrong in every call; the id is noise, which is known as it was before."""
    with CollectorProcess(tmp_path) as collector:
        collected(collector, range(40))
        before = paths(collector)
        assert collector.get("/api/v1/verdict?run=checkout").json()["verdict"] == "fail"
        assert collector.end(signal.SIGTERM) == 0
    with CollectorProcess(tmp_path, rules=[PRICE]) as collector:
        collector.until(lambda: history(collector), "took over")
        verdict = collector.get("/api/v1/verdict?run=checkout").json()
        assert (verdict["verdict"], verdict["unexplained"], verdict["triples"]) == ("inconclusive", 0, 40)
        assert "response.price" in before
        assert paths(collector) == {"response.id": before["response.id"]}
        collected(collector, range(40, 60))
        verdict = collector.get("/api/v1/verdict?run=checkout").json()
        assert (verdict["verdict"], verdict["unexplained"], verdict["triples"]) == ("inconclusive", 0, 60)
        (change,) = history(collector)
        assert [(rule["what"], rule["id"]) for rule in change["rules"]] == [("added", "ignore response.price")]
        assert "the new tax library" in collector.get("/runs/checkout").text
        assert "started anew: shop.v1.Shop/GetProduct: 2 paths, bound recounted" in collector.log
        assert collector.end(signal.SIGTERM) == 0
        command = [sys.executable, "-m", "mirror", "report"]
        told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "rule changes (1)" in told
    with CollectorProcess(tmp_path, rules=[PRICE]) as collector:
        collected(collector, range(60, 61))
        assert len(history(collector)) == 1


def test_what_was_judged_before_a_rule_expired_does_not_count_beside_what_comes_after(tmp_path: Path) -> None:
    """At midnight comparisons wait to be stored: they go in under the rules that they were made by."""
    last = date(2030, 1, 31)
    rule = Ignore(scope=Scope(PathPattern.parse("response.price")), id="price", expires=last)
    settings = config(tmp_path).model_copy(update={"rules": RuleSet((rule,))})
    now_s = datetime(2030, 1, 31, 23, 59, 59, tzinfo=UTC).timestamp()

    async def over_midnight(reader: Reader) -> None:
        nonlocal now_s
        collector = Collector(settings, store, clock=lambda: now_s)
        addresses = await collector.start()
        await until(lambda: collector.counters.value("mirror_commits_total"))
        await export(addresses, *batches(range(12)))
        await until(lambda: collector.counters.value("mirror_triples_total") == 12)
        assert reader.runs() == []  # judged, and not yet stored: the clock stands still
        now_s += 2
        await until(lambda: reader.rule_changes(1))
        await export(addresses, *batches(range(12, 20)))
        await until(lambda: collector.counters.value("mirror_triples_total") == 20)
        assert await collector.stop()

    with open_store(settings) as store:
        reader = store.reader()
        asyncio.run(over_midnight(reader))
        (epoch,) = reader.epochs("checkout")
        (change,) = reader.rule_changes(epoch.id)
        assert [(one.what, one.id) for one in change.rules] == [("expired", "price")]
        assert [(one.bound, one.triples) for one in change.restarts] == [("restarted", 12)]
        (method,) = run_facts(reader, epoch.id, settings.policy, now_s).methods
        assert (method.counts.triples, method.judged(has_secondary=True), method.unexplained) == (20, 8, 8)
        price = next(h for h in reader.hypotheses(epoch.id) if h.hypothesis.pattern == "response.price")
        assert (price.b, price.n) == (8, 8)


def paths(collector: CollectorProcess) -> dict[str, Any]:
    """The path patterns with what is known of each."""
    found = collector.get("/api/v1/runs/checkout/paths").json()["paths"]
    return {one["pattern"]: one for one in found if one["kind"] != "any"}


def history(collector: CollectorProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = collector.get("/api/v1/runs/checkout/rule-changes").json()["changes"]
    return found
