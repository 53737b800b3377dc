"""`mirror ingest`'s parts: OTLP in, Kafka out; it holds nothing but what is under way.

Start: the cluster is looked at, and must answer, then listeners. Stop: listeners end what is under way, then the producer is
flushed. A cluster that goes away later stops nothing: the listeners tell senders to come again, and readiness says why.
"""

from __future__ import annotations

import asyncio
from typing import Final

from mirror.collect.addresses import Address, bind, port_of
from mirror.collect.app import LISTENER_GRACE_S, Addresses
from mirror.collect.counters import Counters
from mirror.collect.guard import Guard, watch
from mirror.collect.hosting import Host
from mirror.collect.otlp_grpc import GrpcListener
from mirror.collect.otlp_http import http_app
from mirror.config import Config
from mirror.kafka import topics
from mirror.kafka.delivery import Delivery
from mirror.kafka.receiver import KafkaReceiver

FLUSH_S: Final = 10.0


class Ingest:
    """One entrance; any number of them may write to a topic. Raises FilesError and KafkaError."""

    def __init__(self, config: Config, *, guard: Guard | None = None) -> None:
        self.counters = Counters()
        self.guard = guard or Guard(config)
        self._config = config
        self._delivery = Delivery(config.kafka, self.counters, queue_max_bytes=config.intake.queue_max_bytes)
        self._grpc: GrpcListener | None = None
        self._http: Host | None = None
        self._watching: asyncio.Task[None] | None = None
        self._started = False

    async def start(self) -> Addresses:
        """Start everything. Raises PortInUseError and, where the topic cannot be used or made, KafkaError."""
        kafka, listen, intake = self._config.kafka, self._config.listen, self._config.intake
        await asyncio.to_thread(topics.ensure, kafka, kafka.topic, partitions=kafka.partitions)
        most = await asyncio.to_thread(topics.message_max_bytes, kafka)
        receiver = KafkaReceiver(self._delivery, self.counters, message_max_bytes=most)
        self._grpc = GrpcListener(
            receiver,
            message_max_bytes=intake.message_max_bytes,
            reading_max_bytes=intake.queue_max_bytes,
            guard=self.guard,
        )
        bound = bind("otlp_http", Address.parse(listen.otlp_http))
        try:
            grpc_address = await self._grpc.start(Address.parse(listen.otlp_grpc))
        except BaseException:
            bound.close()
            raise
        await asyncio.to_thread(self._delivery.start)
        http = http_app(
            receiver,
            message_max_bytes=intake.message_max_bytes,
            reading_max_bytes=intake.queue_max_bytes,
            guard=self.guard,
        )
        context = self.guard.http_context("otlp_http", self.counters)
        self._http = Host(http, bound, context, closed=self.counters.closed("otlp_http"))
        await self._http.start()
        self._watching = asyncio.create_task(watch(self.guard, self.counters))
        self._started = True
        return Addresses(grpc_address, Address.parse(listen.otlp_http).with_port(port_of(bound)))

    async def stop(self) -> bool:
        """Take no more and deliver what is under way. False: not all of it was acknowledged; its senders were told."""
        self._started = False
        self.counters.set("mirror_ready", 0)
        if self._watching is not None:
            self._watching.cancel()
        self._delivery.room.close()
        stops = [] if self._grpc is None else [self._grpc.stop(LISTENER_GRACE_S)]
        if self._http is not None:
            stops.append(self._http.stop())
        await asyncio.gather(*stops)
        return not await asyncio.to_thread(self._delivery.stop, FLUSH_S)

    def health(self) -> list[str]:
        """What keeps it from being ready, in words; empty: it is."""
        problems = [] if self._started else ["starting or stopping"]
        if self._delivery.problem:
            problems.append(f"Kafka: {self._delivery.problem}")
        self.counters.set("mirror_ready", 0 if problems else 1)
        self.counters.set("mirror_queue_bytes", self._delivery.room.bytes)
        return problems
