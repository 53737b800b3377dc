"""Delivery, on librdkafka's mock cluster: what is acknowledged, what is turned away, and what is never to be repeated."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mirror.collect.counters import Counters
from mirror.collect.receive import Accepted, Busy, Malformed
from mirror.config.sections import Kafka
from mirror.kafka import clients, topics
from mirror.kafka.clients import KafkaError
from mirror.kafka.delivery import Delivery, NotDeliveredError
from mirror.kafka.messages import Message
from mirror.kafka.receiver import KafkaReceiver
from tests.collect.otlp import call_span, request
from tests.conftest import require
from tests.live.mesh import wait_until

LIMIT = 100_000


@pytest.fixture
def made(monkeypatch):
    """Makes Deliveries whose cluster is in this process; `properties` go over ours."""
    try:
        library = clients.library()
    except KafkaError as error:
        require("kafka", str(error), present=False)
    running = []

    def make(**properties: Any) -> Delivery:
        def producer(settings: Kafka, on_error: Any, **_: Any) -> Any:
            mock = {"test.mock.num.brokers": 1, "error_cb": on_error, "linger.ms": 5, "log_level": 0}
            return library.Producer(mock | {key.replace("__", "."): value for key, value in properties.items()})

        monkeypatch.setattr(clients, "producer", producer)
        delivery = Delivery(Kafka(topic="t"), Counters(), queue_max_bytes=LIMIT)
        delivery.start()
        running.append(delivery)
        return delivery

    yield make
    for delivery in running:
        delivery.stop(5)


def messages(n: int, size: int = 100) -> list[Message]:
    return [Message(b"%032x" % number, b"x" * size, 1) for number in range(n)]


def counter(delivery: Delivery, name: str, **labels: str) -> float:
    return delivery._counters.value(name, **labels)


def test_it_returns_once_all_is_acknowledged(made):
    delivery = made()
    assert asyncio.run(delivery.deliver(messages(50))) == 0
    assert counter(delivery, "mirror_kafka_messages_total") == 50
    assert counter(delivery, "mirror_kafka_up", topic="t") == 1
    assert delivery.problem == ""


def test_a_message_too_large_for_the_client_is_said_and_the_others_are_delivered(made):
    """Should ours and the library's limit ever differ: an error, and never a hang."""
    delivery = made(message__max__bytes=1000)
    with pytest.raises(NotDeliveredError, match="too large"):
        asyncio.run(delivery.deliver([*messages(3), *messages(1, 5000)]))
    assert counter(delivery, "mirror_kafka_messages_total") == 3


def test_a_full_queue_turns_away_and_takes_again(made):
    delivery = made(queue__buffering__max__messages=10, linger__ms=300)
    with pytest.raises(NotDeliveredError, match="full"):
        asyncio.run(delivery.deliver(messages(11)))
    wait_until(lambda: len(delivery._producer) == 0, "room")  # reports are given before their room is
    assert asyncio.run(delivery.deliver(messages(10))) == 0


def test_a_receiver_says_what_came_of_a_request(made):
    delivery = made()
    receiver = KafkaReceiver(delivery, delivery._counters, message_max_bytes=10_000)

    async def receive(body: bytes) -> Any:
        return await receiver.receive(body, "grpc")

    assert asyncio.run(receive(request(call_span()).SerializeToString())) == Accepted()
    assert isinstance(asyncio.run(receive(b"\xff")), Malformed)
    large = asyncio.run(receive(request(call_span("m1"), call_span("m2", data=bytes(20_000))).SerializeToString()))
    assert (large.rejected_spans, "too_large" in large.message) == (1, True)
    assert delivery.room.bytes == 0


def test_a_receiver_takes_no_more_than_there_is_room_for(made):
    """Reserved before any work is done, and given back after."""
    delivery = made()
    receiver = KafkaReceiver(delivery, delivery._counters, message_max_bytes=LIMIT)
    body = request(call_span(data=bytes(LIMIT // 2 + 1))).SerializeToString()

    async def two() -> list[Any]:
        return await asyncio.gather(*(receiver.receive(body, "grpc") for _ in range(2)))

    replies = asyncio.run(two())
    assert [type(reply) for reply in replies] == [Accepted, Busy]
    assert replies[1].full
    assert delivery.room.bytes == 0


def test_while_the_cluster_is_away_requests_are_turned_away_at_once(made, monkeypatch):
    delivery = made()
    monkeypatch.setattr(topics, "problem_of", lambda *_: "no broker answers")
    delivery._watch._look()
    with pytest.raises(NotDeliveredError, match="no broker answers"):
        asyncio.run(delivery.deliver(messages(1)))
    assert counter(delivery, "mirror_kafka_up", topic="t") == 0
