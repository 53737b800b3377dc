"""The topics: looked at, and created where they are missing and may be."""

from __future__ import annotations

import logging
from typing import Any, Final

from mirror.config.sections import Kafka
from mirror.kafka import clients
from mirror.kafka.clients import KafkaError

ASK_S: Final = 10.0
_log: Final = logging.getLogger(__name__)


def problem_of(client: Any, topic: str, timeout_s: float) -> str:
    """What keeps `topic` from being used, in words; empty: nothing. `client`: any client of the library."""
    kafka = clients.library()
    try:
        found = client.list_topics(topic, timeout=timeout_s).topics[topic]
    except kafka.KafkaException as error:
        return f"no broker answers: {error.args[0].str()}"
    if found.error is not None:
        return f"topic {topic}: {found.error.str()}"
    leaderless = sorted(number for number, one in found.partitions.items() if one.leader < 0)
    return f"topic {topic}: no broker leads the partitions {leaderless}" if leaderless else ""


def ensure(settings: Kafka, topic: str, *, partitions: int) -> None:
    """Create `topic` where it is missing and `partitions` is not 0.

    Its records get the broker's time: one clock a partition, whoever wrote them. Raises KafkaError where no broker answers or
    it cannot be created.
    """
    kafka, client = clients.library(), clients.admin(settings)
    try:
        there = topic in client.list_topics(timeout=ASK_S).topics
    except kafka.KafkaException as error:
        raise KafkaError(
            f"kafka.brokers: no broker answers at {', '.join(settings.brokers)}: {error.args[0].str()}"
        ) from error
    if there:
        return
    if not partitions:
        raise KafkaError(f"kafka.topic: there is no topic {topic}; create it, or say with how many kafka.partitions")
    config = {
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(settings.message_max_bytes + clients.FRAMING),
        "cleanup.policy": "delete",
    }
    made = kafka.admin.NewTopic(topic, partitions, config=config)
    try:
        client.create_topics([made], operation_timeout=ASK_S)[topic].result(2 * ASK_S)
    except kafka.KafkaException as error:
        if error.args[0].code() != kafka.KafkaError.TOPIC_ALREADY_EXISTS:  # another process was quicker
            raise KafkaError(f"kafka.topic: {topic} cannot be created: {error.args[0].str()}") from error
    else:
        _log.info("created the topic %s, partitions: %d", topic, partitions)


def message_max_bytes(settings: Kafka) -> int:
    """The most that a message's value may have: the setting's, or the topic's where that is less."""
    kafka, client = clients.library(), clients.admin(settings)
    asked = kafka.admin.ConfigResource(kafka.admin.ConfigResource.Type.TOPIC, settings.topic)
    try:
        entry = client.describe_configs([asked])[asked].result(ASK_S)["max.message.bytes"]
        return min(settings.message_max_bytes, int(entry.value) - clients.FRAMING)
    except (kafka.KafkaException, KeyError, ValueError) as error:
        _log.info("the topic's max.message.bytes cannot be read, and is taken to be enough: %s", error)
        return settings.message_max_bytes


def source_name(settings: Kafka) -> str:
    """What the topic is called in the store: a topic of the same name that was made anew is another log.

    Raises KafkaError where no broker answers.
    """
    kafka, client = clients.library(), clients.admin(settings)
    asked = kafka.TopicCollection([settings.topic])
    try:
        found = client.describe_topics(asked, request_timeout=ASK_S)[settings.topic].result(2 * ASK_S)
    except kafka.KafkaException as error:
        raise KafkaError(f"kafka.topic: {settings.topic} cannot be described: {error.args[0].str()}") from error
    return f"kafka:{settings.topic}:{found.topic_id}"


def partition_count(settings: Kafka) -> int:
    """How many partitions the topic has. Raises KafkaError where no broker answers."""
    kafka, client = clients.library(), clients.admin(settings)
    try:
        return len(client.list_topics(settings.topic, timeout=ASK_S).topics[settings.topic].partitions)
    except kafka.KafkaException as error:
        raise KafkaError(f"kafka.brokers: no broker answers: {error.args[0].str()}") from error
