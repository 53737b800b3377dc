"""The dead-letter topic: messages that cannot be read, as they were, with the reason and where they stood in their headers.

One owner, the pipeline. A position is only committed once everything that was put away before it has been acknowledged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from mirror.collect.counters import Counters
from mirror.config.sections import Kafka
from mirror.kafka import clients, topics
from mirror.kafka.clients import KafkaError

REASON: Final = "mirror.reason"  # of a small fixed set: malformed, or why spans were rejected
TEXT: Final = "mirror.text"
TOPIC: Final = "mirror.topic"
PARTITION: Final = "mirror.partition"
OFFSET: Final = "mirror.offset"
DEAD_LETTER_PARTITIONS: Final = 1
# How often a message is tried where there is no topic: brokers may say so for a moment of one that has just been made.
TRIES: Final = 5
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Letter:
    """What is put away, and where it stood."""

    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, bytes]]
    where: str
    tries_left: int = TRIES - 1


def ensure_topic(settings: Kafka) -> None:
    """Create the topic where it is missing and we may. Raises KafkaError."""
    topics.ensure(settings, settings.dead_letter_topic, partitions=DEAD_LETTER_PARTITIONS if settings.partitions else 0)


class DeadLetters:
    """Raises KafkaError as clients.producer does. The topic must be there; one that is deleted meanwhile is made anew."""

    def __init__(self, settings: Kafka, counters: Counters, *, queue_max_bytes: int) -> None:
        self._settings = settings
        self._topic = settings.dead_letter_topic
        self._source = settings.topic
        self._counters = counters
        self._queue_max_bytes = queue_max_bytes
        self._returned: list[_Letter] = []  # for want of the topic; they were in the producer's queue, which is bounded
        self._producer = self._new_producer()

    def _new_producer(self) -> Any:
        return clients.producer(
            self._settings, lambda _error: None, queue_max_bytes=self._queue_max_bytes, patient=True
        )

    def put(self, message: Any, reason: str, text: str) -> None:
        """Put a consumed message away. Waits where the queue is full."""
        headers = {
            REASON: reason,
            TEXT: text,
            TOPIC: self._source,
            PARTITION: str(message.partition()),
            OFFSET: str(message.offset()),
        }
        where = f"{self._source} {message.partition()} at {message.offset()}"
        self._counters.inc("mirror_dead_letters_total", reason=reason)
        _log.warning("message of %s goes to %s: %s", where, self._topic, text)
        kept = [(name, value.encode()) for name, value in headers.items()]
        self._send(_Letter(message.value(), message.key(), kept, where))

    def _send(self, letter: _Letter) -> None:
        """Hand it to the producer. It comes back where there is no topic; else, and after some tries, it is lost, and counted."""
        kafka = clients.library().KafkaError
        gone = {kafka.UNKNOWN_TOPIC_OR_PART, kafka._UNKNOWN_TOPIC, kafka._UNKNOWN_PARTITION}  # noqa: SLF001 - so they are called

        def told(error: Any, _message: Any) -> None:
            if error is not None and letter.tries_left and error.code() in gone:
                self._returned.append(replace(letter, tries_left=letter.tries_left - 1))
            elif error is not None:
                self._lost(letter, error.str())

        try:
            while not self._queued(letter, told):
                self._producer.poll(0.1)
        except clients.library().KafkaException as error:
            told(error.args[0], None)

    def _queued(self, letter: _Letter, told: Callable[[Any, Any], None]) -> bool:
        try:
            self._producer.produce(self._topic, letter.value, letter.key, headers=letter.headers, on_delivery=told)
        except BufferError:
            return False
        return True

    def _lost(self, letter: _Letter, why: str) -> None:
        self._counters.inc("mirror_dead_letters_lost_total")
        _log.error("message of %s could not be put into %s: %s", letter.where, self._topic, why)

    def settled(self, timeout_s: float) -> bool:
        """Whether all that was put away is acknowledged, or was counted as lost; waits for that."""
        if len(self._producer) and self._producer.flush(timeout_s):
            return False
        if not self._returned:
            return True
        self._send_again()
        return not self._producer.flush(timeout_s) and not self._returned

    def _send_again(self) -> None:
        """The topic is gone: make it anew, by a producer that does not remember that there was none."""
        returned, self._returned = self._returned, []
        _log.error("the topic %s is gone; messages to put away: %d", self._topic, len(returned))
        try:
            ensure_topic(self._settings)
            self._producer = self._new_producer()
        except KafkaError as problem:
            for letter in returned:
                self._lost(letter, str(problem))
            return
        for letter in returned:
            self._send(letter)
