"""Stores to test with: a file of SQLite, and a real PostgreSQL where one can be started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.store import JudgeOptions, Reader, Store
from tests.live.postgres import Postgres, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A throwaway PostgreSQL server."""
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that does not exist yet, of each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/mirror.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.database(f"t{abs(hash(request.node.nodeid)):x}")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store that counts votes by minute, which close 10 s after their end."""
    with Store.open(url, judge=JudgeOptions(deadline_s=10)) as opened:
        yield opened


@pytest.fixture
def by_call(url: str) -> Iterator[Store]:
    """A store in which each triple is a vote."""
    with Store.open(url, judge=JudgeOptions(vote_by="call")) as opened:
        yield opened


@pytest.fixture
def reader(url: str, request: pytest.FixtureRequest) -> Iterator[Reader]:
    """A reader with connections of its own; ask for a store first."""
    opened = Reader.open(url)
    yield opened
    opened.close()
