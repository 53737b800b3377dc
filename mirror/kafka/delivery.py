"""Delivery to Kafka: what was handed over is either acknowledged by all replicas, or said not to be.

Bounded by bytes, before anything is queued. Where no broker answers, requests are turned away at once, and a thread keeps
asking; what is under way then fails when `kafka.delivery_timeout_s` is over. One event loop hands over; one thread polls.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Sequence
from typing import Any, Final

from mirror.collect.counters import Counters
from mirror.collect.intake import Intake
from mirror.config.sections import Kafka
from mirror.kafka import clients
from mirror.kafka.messages import Message
from mirror.kafka.watching import Watch

STOP_S: Final = 2.0
_log: Final = logging.getLogger(__name__)


class _Request:
    """The messages of one request under way. Any thread may settle them."""

    def __init__(self, count: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = count
        self._lock = threading.Lock()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self.refused = 0  # spans that Kafka will never take: too large
        self.failed = ""

    def settle(self, spans: int, *, refused: bool, failed: str) -> None:
        with self._lock:
            self._left -= 1
            self.refused += spans if refused else 0
            self.failed = self.failed or failed
            last = not self._left
        if last:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class NotDeliveredError(Exception):
    """Kafka did not acknowledge: the sender should come again. The text says why."""


class Delivery:
    """A producer with its threads. Raises KafkaError as clients.producer does."""

    def __init__(self, settings: Kafka, counters: Counters, *, queue_max_bytes: int) -> None:
        self._settings = settings
        self._counters = counters
        self._queue_max_bytes = queue_max_bytes
        self._too_large = clients.library().KafkaError.MSG_SIZE_TOO_LARGE
        self._producer = self._make()
        self._fatal = ""
        self._ended = threading.Event()
        self._polling = threading.Thread(target=self._poll, name="mirror-kafka-poll", daemon=True)
        self._watch = Watch(lambda: self._producer, settings.topic, counters)
        self.room = Intake(queue_max_bytes)

    @property
    def problem(self) -> str:
        """What keeps Kafka from taking anything, in words; empty: nothing that is known."""
        return self._watch.problem

    def start(self) -> None:
        """Start the threads, and look at the cluster once."""
        self._watch.start()
        self._polling.start()

    async def deliver(self, messages: Sequence[Message]) -> int:
        """Return once Kafka has acknowledged all of them: how many spans were too large for it.

        Raises NotDeliveredError; some may have been written then, and come twice when the sender repeats them.
        """
        if self.problem:
            raise NotDeliveredError(self.problem)
        request = _Request(len(messages))
        for place, message in enumerate(messages):
            if why := self._produce(request, message):
                for left in messages[place:]:
                    request.settle(left.spans, refused=False, failed=why)
                break
        await request.done
        if request.failed:
            raise NotDeliveredError(request.failed)
        return request.refused

    def stop(self, timeout_s: float) -> int:
        """Wait for what is under way, at most `timeout_s`; how many messages were left."""
        left: int = self._producer.flush(timeout_s)
        self._ended.set()
        self._watch.stop()
        if self._polling.is_alive():
            self._polling.join(STOP_S)
        return left

    def _produce(self, request: _Request, message: Message) -> str:
        """Hand one message to the producer; why that cannot be, or nothing."""
        spans = message.spans

        def told(error: Any, _message: Any) -> None:
            refused = error is not None and error.code() == self._too_large
            failed = "" if error is None or refused else str(error.str())
            if failed:
                self._counters.inc("mirror_kafka_failures_total")
                self._watch.soon()
            elif not refused:
                self._counters.inc("mirror_kafka_messages_total")
            request.settle(spans, refused=refused, failed=failed)

        try:
            self._producer.produce(self._settings.topic, message.value, message.key, on_delivery=told)
        except BufferError:
            return "the queue to Kafka is full"
        except clients.library().KafkaException as error:
            return str(error)
        return ""

    def _make(self) -> Any:
        return clients.producer(self._settings, self._on_error, queue_max_bytes=self._queue_max_bytes)

    def _on_error(self, error: Any) -> None:
        if error.fatal():
            self._fatal = str(error.str())
        self._watch.soon()

    def _poll(self) -> None:
        while not self._ended.is_set():
            self._producer.poll(0.1)
            if self._fatal:
                self._renew()

    def _renew(self) -> None:
        """A producer whose sequence the cluster has lost takes nothing more: what it holds fails, and another one goes on."""
        _log.error("the producer has failed for good and is made anew: %s", self._fatal)
        failed, self._fatal = self._producer, ""
        self._producer = self._make()
        failed.purge()
        failed.flush(1)  # its reports
