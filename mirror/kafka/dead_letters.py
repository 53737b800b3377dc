"""The dead-letter topic: messages that cannot be read, as they were, with the reason and where they stood in their headers.

One owner, the pipeline. A position is only committed once everything that was put away before it has been acknowledged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from mirror.collect.counters import Counters
from mirror.config.sections import Kafka
from mirror.kafka import clients

REASON: Final = "mirror.reason"  # of a small fixed set: malformed, or why spans were rejected
TEXT: Final = "mirror.text"
TOPIC: Final = "mirror.topic"
PARTITION: Final = "mirror.partition"
OFFSET: Final = "mirror.offset"
_log: Final = logging.getLogger(__name__)


class DeadLetters:
    """Raises KafkaError as clients.producer does. The topic must be there."""

    def __init__(self, settings: Kafka, counters: Counters, *, queue_max_bytes: int) -> None:
        self._topic = settings.dead_letter_topic
        self._source = settings.topic
        self._counters = counters
        self._producer = clients.producer(settings, lambda _error: None, queue_max_bytes=queue_max_bytes, patient=True)

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

        def told(error: Any, _message: Any) -> None:
            if error is not None:
                self._counters.inc("mirror_dead_letters_lost_total")
                _log.error("message of %s could not be put into %s: %s", where, self._topic, error.str())

        kept = [(name, value.encode()) for name, value in headers.items()]
        try:
            while not self._queued(message, kept, told):
                self._producer.poll(0.1)
        except clients.library().KafkaException as error:
            told(error.args[0], None)

    def _queued(self, message: Any, headers: list[tuple[str, bytes]], told: Callable[[Any, Any], None]) -> bool:
        try:
            self._producer.produce(self._topic, message.value(), message.key(), headers=headers, on_delivery=told)
        except BufferError:
            return False
        return True

    def settled(self, timeout_s: float) -> bool:
        """Whether all that was put away is acknowledged, or was counted as lost; waits for that."""
        return not len(self._producer) or not self._producer.flush(timeout_s)
