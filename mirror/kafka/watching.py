"""Looks at the cluster now and then: whether a broker answers and the topic can be used. One thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from mirror.collect.counters import Counters
from mirror.collect.faults import log_fault
from mirror.kafka import topics

PROBE_S: Final = 1.0  # between two looks at a cluster that does not answer
LOOK_S: Final = 15.0  # and at one that does
PAUSE_S: Final = 0.2  # however often something fails
TIMEOUT_S: Final = 2.0
_log: Final = logging.getLogger(__name__)


class Watch:
    """`client()`: the client to ask with, any of the library's; None: there is none at the moment."""

    def __init__(self, client: Callable[[], Any], topic: str, counters: Counters) -> None:
        self._client = client
        self._topic = topic
        self._counters = counters
        self._problem = "no broker has answered yet"
        self._ended = threading.Event()
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror-kafka-look", daemon=True)

    @property
    def problem(self) -> str:
        """What keeps Kafka from being used, in words; empty: nothing that is known."""
        return self._problem

    def start(self) -> None:
        """Look once, and then in a thread."""
        self._look()
        self._thread.start()

    def soon(self) -> None:
        """Something failed: look now. Any thread may say so."""
        self._wanted.set()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(2 * TIMEOUT_S)

    def _run(self) -> None:
        """Soon again while it does not answer, and at once when something failed."""
        while not self._ended.is_set():
            self._wanted.wait(PROBE_S if self._problem else LOOK_S)
            self._wanted.clear()
            if not self._ended.is_set():
                self._look()
                self._ended.wait(PAUSE_S)

    def _look(self) -> None:
        client = self._client()
        if client is None:
            return
        try:
            problem = topics.problem_of(client, self._topic, TIMEOUT_S)
        except RuntimeError:
            return  # this client was closed meanwhile
        except Exception as fault:  # noqa: BLE001 - it must go on looking
            log_fault(_log, "looking at Kafka", fault)
            return
        if problem and not self._problem:
            _log.error("Kafka cannot be used, until it can again: %s", problem)
        elif self._problem and not problem:
            _log.info("Kafka answers")
        self._problem = problem
        self._counters.set("mirror_kafka_up", 0 if problem else 1, topic=self._topic)
