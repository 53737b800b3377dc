"""One real Kafka broker for all tests of this folder; each test uses topics of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.kafka import Broker, broker
from tests.live.postgres import Postgres, postgres_server


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A running broker, which must be left running."""
    with broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A throwaway PostgreSQL server, which must be left running."""
    with postgres_server() as running:
        yield running
