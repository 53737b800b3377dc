"""Small stores with a verdict of each kind, under the building blocks of tests/store, and the web application over one."""

from __future__ import annotations

from fastapi.testclient import TestClient

from mirror.collect.counters import Counters
from mirror.collect.guard import Guard
from mirror.config import load
from mirror.core.verdict import Policy
from mirror.serve.app import web_app
from mirror.serve.gate import Gate
from mirror.store import JudgeOptions, Store
from tests.store.building import RUN, START_S, A, commit, several

NOW_S = START_S + 600
POLICY = Policy(vote_by="call", min_duration_s=0, min_triples=1, budget=0.01)
FAILING = several(60, candidate=[A]) + several(3000, named="same")
PASSING = several(1000)
UNDECIDED = several(10)
SUSPECT = several(3, candidate=[A]) + several(30_000, named="same")


def filled(url: str, groups) -> Store:
    """A store at `url` in which each call is a vote, with these groups."""
    store = Store.open(url, judge=JudgeOptions(vote_by="call"))
    if groups:
        commit(store, groups)
    return store


def client_of(store: Store, env: dict[str, str] | None = None, *, writes: bool = True, policy: Policy = POLICY):
    """A client of the web application as the collector makes it, gate included, at NOW_S."""
    config = load(None, {"MIRROR_RUNS": f"{RUN},planned"} | (env or {})).model_copy(update={"policy": policy})
    counters = Counters()
    app = web_app(
        store.reader(),
        config,
        counters.snapshot,
        lambda: (),
        gate=Gate(Guard(config), counters),
        clock=lambda: NOW_S,
        engine=store.engine if writes else None,
    )
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
