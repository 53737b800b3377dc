"""Messages that are put away while brokers say that there is no topic. A producer of our own: no broker can be made to say so for a while."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mirror.collect.counters import Counters
from mirror.config.sections import Kafka
from mirror.kafka import clients, dead_letters
from mirror.kafka.dead_letters import TRIES, DeadLetters

UNKNOWN = clients.library().KafkaError(clients.library().KafkaError.UNKNOWN_TOPIC_OR_PART)


class Producer:
    """Answers when it is flushed: that there is no topic, as often as it is told; then that it was taken."""

    def __init__(self, refusals: list[int]) -> None:
        self._refusals = refusals
        self._told: list[Any] = []

    def produce(self, _topic: str, _value: bytes, _key: bytes, *, headers: Any, on_delivery: Any) -> None:
        self._told.append(on_delivery)

    def flush(self, _timeout_s: float) -> int:
        told, self._told = self._told, []
        for one in told:
            self._refusals[0] -= 1
            one(UNKNOWN if self._refusals[0] >= 0 else None, None)
        return 0

    def __len__(self) -> int:
        return len(self._told)


@pytest.mark.parametrize(("refusals", "lost"), [(0, 0), (1, 0), (TRIES - 1, 0), (TRIES, 1)])
def test_it_is_tried_again_some_times_before_it_is_lost(monkeypatch, refusals, lost):
    left = [refusals]
    monkeypatch.setattr(clients, "producer", lambda *_args, **_named: Producer(left))
    monkeypatch.setattr(dead_letters, "ensure_topic", lambda _settings: None)
    counters = Counters()
    letters = DeadLetters(Kafka(topic="calls"), counters, queue_max_bytes=1 << 20)
    message = SimpleNamespace(
        value=lambda: b"\xff", key=lambda: b"k", partition=lambda: 0, offset=lambda: 7, topic=lambda: "calls"
    )
    letters.put(message, "malformed", "no OTLP")
    looks = 1
    while not letters.settled(1.0):
        looks += 1
        assert looks <= TRIES
    assert counters.value("mirror_dead_letters_lost_total") == lost
