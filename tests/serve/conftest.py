"""One filled store for all tests of the read side, and the web application over it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from fastapi.testclient import TestClient

from mirror.collect.counters import Counters
from mirror.config import Config
from mirror.core.path import PathPattern
from mirror.core.rules import RuleSet, Scope, Tolerance, UnorderedList
from mirror.serve.app import web_app
from mirror.store import Reader, Store
from mirror.store.increments import RuleUse
from tests.serve.shopdata import NOW_S, fill, store_url

RULES = RuleSet(
    (
        Tolerance(
            scope=Scope(PathPattern.parse("response.total")),
            id="tolerance response.total",
            absolute=0.005,
            reason="sums of floats",
            owner="anna",
            link="javascript:alert(1)",
        ),
        UnorderedList(
            scope=Scope(
                PathPattern.parse("response.tags"), runs=("checkout-rewrite",), methods=("shop.v1.Shop/List*",)
            ),
            id="unordered response.tags",
        ),
    )
)


@dataclass
class Served:
    """A client of the web application, and what the test may change behind it."""

    client: TestClient
    reader: Reader
    counters: Counters
    problems: list[str] = field(default_factory=list)


def serve(reader: Reader, config: Config | None = None) -> Served:
    """The web application over `reader`, at a fixed time."""
    counters, problems = Counters(), []
    config = config or Config(runs=("checkout-rewrite", "java-21"), rules=RULES)
    app = web_app(reader, config, counters.snapshot, lambda: problems, clock=lambda: NOW_S + 20)
    return Served(
        TestClient(app, base_url="http://localhost", raise_server_exceptions=False), reader, counters, problems
    )


@pytest.fixture(scope="session")
def filled_url(tmp_path_factory) -> str:
    """A store with a plausible run, filled once."""
    url = store_url(tmp_path_factory.mktemp("store"))
    fill(url)
    unused = RULES.rules[1]
    with Store.open(url) as store:
        changes = store.changes()
        changes.rule_uses = {("checkout-rewrite", unused.id): RuleUse(unused.digest, 3_000, 0)}
        store.commit(changes, NOW_S)
    return url


@pytest.fixture
def served(filled_url):
    """The web application over the filled store."""
    reader = Reader.open(filled_url)
    yield serve(reader)
    reader.close()


@pytest.fixture
def empty(tmp_path):
    """The web application over a store in which nothing has happened."""
    with Store.open(store_url(tmp_path)) as store:
        yield serve(store.reader())
