"""`mirror doctor` and Kafka: a broker that is not there, and a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.cli.doctor import beyond
from mirror.cli.doctor.findings import State
from mirror.cli.doctor.listening import Client, Prober
from mirror.config import load
from tests.cli.test_doctor import http

pytest.importorskip("confluent_kafka")
kafka = pytest.importorskip("tests.live.kafka", reason="this tree has no Kafka yet")


def told(**env: str) -> list[tuple[State, str]]:
    config = load(None, {f"MIRROR_KAFKA_{name}": value for name, value in env.items()})
    return [(one.state, one.text) for one in beyond.kafka(config, limit_s=10)]


def test_where_kafka_is_not_configured_nothing_is_said() -> None:
    assert told() == []


def test_a_broker_that_is_not_there() -> None:
    ((state, text),) = told(BROKERS="127.0.0.1:1")
    assert state is State.WRONG
    assert text.startswith("127.0.0.1:1: cannot be reached")


def test_an_ingest_has_no_api_and_nothing_is_wrong_with_that() -> None:
    """It answers 404 there. Where Kafka is not configured that is no collector of this configuration."""
    with http({"/readyz": (200, b"ready\n")}) as address:
        settings = {"MIRROR_LISTEN_WEB": address}
        for more, state in ({"MIRROR_KAFKA_TOPIC": "spans"}, State.OK), ({}, State.WRONG):
            (found,) = Prober(load(None, settings | more), client=Client(), limit_s=5).web()
            assert (found.state, found.about) == (state, "listen.web")


@pytest.mark.live
def test_a_broker_whose_topic_is_made_or_missing(tmp_path: Path) -> None:
    with kafka.broker(tmp_path) as broker:
        assert [state for state, _ in told(BROKERS=broker.address)] == [State.OK, State.OK]
        assert [state for state, _ in told(BROKERS=broker.address, PARTITIONS="0")] == [State.OK, State.WRONG]
