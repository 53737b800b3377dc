"""`mirror worker`'s parts: Kafka in, judged counts into the store. Any number of them share a topic as one consumer group.

Stop: what was judged is committed, the group is left, and the others go on where it stood; what is open stays for them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from mirror.collect.app import DRAIN_S, FORWARD_FLUSH_S, deadline_s, forwarder_of, new_lane, owner, parts_of
from mirror.collect.counters import Counters
from mirror.collect.guard import Guard, watch
from mirror.collect.slices import Slicer
from mirror.collect.writer import Writer
from mirror.config import Config
from mirror.kafka import topics
from mirror.kafka.clients import library
from mirror.kafka.dead_letters import DeadLetters, ensure_topic
from mirror.kafka.pipeline import Inlet, WorkerPipeline
from mirror.kafka.watching import Watch
from mirror.store import Claim, Store

_log: Final = logging.getLogger(__name__)


class Worker:
    """One worker over a store that others write to too. `web_url`: of the page, for links. Raises FilesError and KafkaError."""

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        guard: Guard | None = None,
        web_url: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.counters = Counters()
        self.guard = guard or Guard(config)
        self._config = config
        self._store = store
        self._clock = clock
        self._forwarder = forwarder_of(config, self.counters, web_url)
        self._writer = Writer(store, self.counters, policy=config.policy, clock=clock, kept=True)
        self._pipeline: WorkerPipeline | None = None
        self._watch = Watch(lambda: self._pipeline and self._pipeline.client, config.kafka.topic, self.counters)
        self._watching: asyncio.Task[None] | None = None
        self._told = ""
        self._started = False

    async def start(self) -> None:
        """Look at the topics, which are made where they are missing, and join the group. Raises KafkaError and StoreError."""
        kafka = self._config.kafka
        await asyncio.to_thread(topics.ensure, kafka, kafka.topic, partitions=kafka.partitions)
        await asyncio.to_thread(ensure_topic, kafka)
        source = await asyncio.to_thread(topics.source_name, kafka)
        count = await asyncio.to_thread(topics.partition_count, kafka)
        inlet = self._inlet(source, count)
        parts = parts_of(self._config, self._store, self.counters, self._forwarder, self._writer)
        self._pipeline = WorkerPipeline(inlet, parts, clock=self._clock)
        if self._forwarder is not None:
            self._forwarder.start()
        self._pipeline.start()
        await asyncio.to_thread(self._watch.start)
        self._watching = asyncio.create_task(watch(self.guard, self.counters, listeners=("web",)))
        self._started = True

    async def stop(self) -> bool:
        """Commit what was judged and leave the group. False: not in time; then the next owners judge it again."""
        self._started = False
        self.counters.set("mirror_ready", 0)
        if self._watching is not None:
            self._watching.cancel()
        self._writer.give_up_in(DRAIN_S / 2)
        ended = self._pipeline is None or await asyncio.to_thread(self._pipeline.stop, DRAIN_S)
        if not ended:
            _log.error("the worker did not end within %.0f s; others read again what it had not committed", DRAIN_S)
        await asyncio.to_thread(self._watch.stop)
        if self._forwarder is not None:
            await asyncio.to_thread(self._forwarder.stop, FORWARD_FLUSH_S)
        return ended and not self._writer.ended

    def health(self) -> list[str]:
        """What keeps it from being ready, in words; empty: it is."""
        problems = []
        if not self._started or self._pipeline is None:
            problems.append("starting or stopping")
        elif not self._pipeline.alive:
            problems.append("the pipeline has ended; the log says why")
        elif self._pipeline.problem:
            problems.append(self._pipeline.problem)
        if self._started and self._watch.problem:
            problems.append(f"Kafka: {self._watch.problem}")
        if self._writer.failing:
            problems.append("the store does not take what was judged; the log says why")
        self.counters.set("mirror_ready", 0 if problems else 1)
        return problems

    def _inlet(self, source: str, partitions: int) -> Inlet:
        config = self._config
        queue_max_bytes = config.intake.queue_max_bytes
        return Inlet(
            settings=config.kafka,
            slicer=Slicer(keep_spans=self._forwarder is not None),
            dead_letters=DeadLetters(config.kafka, self.counters, queue_max_bytes=queue_max_bytes),
            claim=partial(self._claim, source),
            new_lane=lambda claim: new_lane(config, claim, lanes=max(1, partitions)),
            wait_s=deadline_s(config),
            queue_max_bytes=queue_max_bytes,
            on_error=self._on_error,
        )

    def _claim(self, source: str, partition: int) -> Claim:
        return self._store.claim(source, partition, owner=owner(), now_s=self._clock())

    def _on_error(self, error: Any) -> None:
        """What the watch will say is not said twice."""
        away = {library().KafkaError._TRANSPORT, library().KafkaError._ALL_BROKERS_DOWN}  # noqa: SLF001 - so they are called
        if error.code() not in away and error.str() != self._told:  # once, however often it is tried again
            self._told = error.str()
            _log.warning("Kafka: %s", self._told)
        self._watch.soon()
