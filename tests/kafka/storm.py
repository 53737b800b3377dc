"""Workers on a topic, and exporters that send to it while things befall them; not a test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

from mirror.core.model import Kind
from mirror.store import Reader, StoreError
from mirror.store.checking import check_store
from mirror.store.limits import Limits
from tests.kafka.process import MirrorProcess
from tests.live.chaos import WRONG_EVERY, Sent, export, requests
from tests.live.kafka import Broker
from tests.live.mesh import wait_until

PATIENT = {"max_stream_duration_s": 90, "batch_age_s": 0.5, "retry_margin_s": 5}
BATCH = 8  # spans in a request: small ones, so that something is always under way
SEED = 7


def settings(kafka: Broker, topic: str, url: str, **more: Any) -> dict[str, Any]:
    """Of ingest and workers, for a topic with a group of its own."""
    own = {"topic": topic, "dead_letter_topic": f"{topic}-dead", "group": f"{topic}-workers"}
    return {
        "kafka": {"brokers": [kafka.address], "session_timeout_s": 3, "partitions": 6, "delivery_timeout_s": 3, **own},
        "store": {"url": url},
        "pairing": PATIENT,
        "policy": {"vote_by": "call"},
        **more,
    }


def counts(url: str) -> list[Any]:
    """Of all epochs; none while the store cannot be read."""
    try:
        reader = Reader.open(url)
    except StoreError:
        return []
    try:
        return [epoch.counts for run in reader.runs() for epoch in run.epochs]
    except StoreError:
        return []
    finally:
        reader.close()


def pairs(url: str) -> int:
    return sum(one.pairs for one in counts(url))


class Storm:
    """One ingest, workers by name, and three exporters that send `pairs` requests' calls, each until it is acknowledged."""

    def __init__(self, folder: Path, sets: dict[str, Any], *, pairs: int) -> None:
        self._folder = folder
        self._sets = sets
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.pairs = pairs
        self.url: str = sets["store"]["url"]
        self.sent = {role: Sent() for role in ("primary", "candidate", "secondary")}
        self.ingest = MirrorProcess(folder, "ingest", "ingest", **sets)
        self.workers: dict[str, MirrorProcess] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
        for one in (self.ingest, *self.workers.values()):
            one.stop()

    def join(self, *names: str) -> None:
        """Start workers; they are in the group a moment later."""
        for name in names:
            self.workers[name] = MirrorProcess(self._folder, "worker", name, **self._sets)
        for name in names:
            self.workers[name].ready()

    def owned(self) -> dict[str, float]:
        """How many partitions each living worker has."""
        living = {name: worker for name, worker in self.workers.items() if worker.exit_code is None}
        return {name: worker.metric("mirror_kafka_partitions") for name, worker in living.items()}

    def balanced(self) -> bool:
        """Whether all partitions have an owner, and all living workers have some."""
        try:
            owned = self.owned()
        except httpx.HTTPError:
            return False  # without a store there is no page
        return bool(owned) and all(owned.values()) and sum(owned.values()) == self._sets["kafka"]["partitions"]

    def send(self) -> None:
        """Begin to send."""
        endpoint = self.ingest.ready().addresses["otlp_grpc"]
        for role, sent in self.sent.items():
            work = list(requests(role, self.pairs, BATCH, SEED))
            self._threads.append(threading.Thread(target=export, args=(endpoint, work, sent, self._stop, lambda: 1.0)))
            self._threads[-1].start()

    def _sending(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def when(self, share: float, *befalls: Callable[[], Any]) -> None:
        """Do these things once that share of all was acknowledged, and the workers are at work."""
        least = share * self.pairs
        acknowledged = lambda: min(sent.acknowledged for sent in self.sent.values()) >= least  # noqa: E731
        wait_until(lambda: acknowledged() or not self._sending(), f"{least} sent", timeout_s=600)
        assert acknowledged(), f"the exporters have ended: {self.sent}"
        wait_until(self.balanced, "balance", timeout_s=120)
        before = pairs(self.url)
        wait_until(lambda: pairs(self.url) > before or before == self.pairs, "commit", timeout_s=120)
        for befall in befalls:
            befall()

    def log(self) -> str:
        """What all processes said."""
        named = {"ingest": self.ingest, **self.workers}
        return "\n".join(f"--- {name}\n{one.log[-6000:]}" for name, one in named.items())

    def check(self, *, timeout_s: float = 120) -> None:
        """Each pair was counted once, as what it is, by the store's own figures."""
        for thread in self._threads:
            thread.join(600)
        problems = {role: sent.problems for role, sent in self.sent.items() if sent.problems}
        assert not problems, f"{problems}\n{self.log()}"
        try:
            wait_until(lambda: pairs(self.url) >= self.pairs, f"{self.pairs} pairs", timeout_s=timeout_s)
        except AssertionError as late:
            raise AssertionError(f"{late}: {counts(self.url)}\n{self.log()}") from None
        for name, worker in self.workers.items():
            assert worker.exit_code is not None or worker.stop() == 0, f"{name}\n{self.log()}"
        reader = Reader.open(self.url)
        (epoch,) = reader.epochs("checkout")
        found, wrong = epoch.counts, len(range(0, self.pairs, WRONG_EVERY))
        told = f"{found}\n{self.log()}"
        assert (found.pairs, found.matched, found.mismatched) == (self.pairs, self.pairs - wrong, wrong), told
        assert (found.triples, found.incomplete, found.incomparable) == (self.pairs, 0, 0), told
        (price,) = (h for h in reader.hypotheses(epoch.id) if h.hypothesis.kind is Kind.VALUE)
        assert (price.b, price.c, price.d) == (wrong, 0, 0), told
        reader.close()
        checked = check_store(self.url, Limits(), now_s=0)
        assert checked.ok, checked.findings
