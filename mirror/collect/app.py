"""The collector: builds its parts from the configuration, starts them in order and stops them so that nothing is lost.

Start: pipeline, then listeners. Stop: listeners, then the queue drains, open groups are judged, everything is committed, and what
is to be forwarded is flushed. It runs in one event loop; the web application is put beside it by the command line.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from mirror.collect.addresses import Address, bind, port_of
from mirror.collect.counters import Counters
from mirror.collect.forward import Forwarder
from mirror.collect.forward_spans import ForwardOptions
from mirror.collect.forward_transport import transport_for
from mirror.collect.guard import Guard, watch
from mirror.collect.hosting import Host
from mirror.collect.intake import Intake
from mirror.collect.journal import Journal, JournalLimits
from mirror.collect.judge import Judge
from mirror.collect.lane import Lane
from mirror.collect.library import Library
from mirror.collect.lookup import LookupHandler
from mirror.collect.otlp_grpc import GrpcListener
from mirror.collect.otlp_http import http_app
from mirror.collect.parts import Parts
from mirror.collect.pipeline import Inlet, Pipeline
from mirror.collect.receive import Receiver, settle
from mirror.collect.recordings import Recordings
from mirror.collect.rule_watch import RuleWatch
from mirror.collect.schema_watch import SchemaWatch
from mirror.collect.slices import Slicer
from mirror.collect.waiting import WaitingRoom
from mirror.collect.webhooks import Webhooks, targets
from mirror.collect.writer import Writer
from mirror.config import Config
from mirror.config.options import compare_options
from mirror.core.model import EpochKey, Kind, Resource
from mirror.core.pair import Pairer
from mirror.core.schemas import SCHEMAS_MAX, SchemaBook
from mirror.store import Claim, JudgeOptions, Limits, Store, StoreError

EXPLAINED_AGAIN_S: Final = 5.0  # after a store gave no answer
LISTENER_GRACE_S: Final = 3.0
DRAIN_S: Final = 20.0  # for judging and committing what is left
FORWARD_FLUSH_S: Final = 5.0
SCHEMAS_PRELOADED: Final = SCHEMAS_MAX  # newest of the store; others are fetched when a pair needs them
ACTIVE_S: Final = 60.0  # who wrote into the store within this time is taken to be running
WAITING_SHARE: Final = 4  # groups that wait for a schema may take this part of pairing.open_max_bytes
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the collector really listens."""

    otlp_grpc: Address
    otlp_http: Address


def deadline_s(config: Config) -> float:
    """How long a group waits from its first arrival: the longest stream, two batches' age, the exporter's retry."""
    pairing = config.pairing
    return pairing.max_stream_duration_s + 2 * pairing.batch_age_s + pairing.retry_margin_s


def open_store(config: Config, *, shared: bool = False) -> Store:
    """The store of the configuration, judging by its policy; `shared` with other writers. Raises StoreError."""
    judge = JudgeOptions(
        alpha=config.policy.alpha_fail, vote_by=config.policy.vote_by, deadline_s=deadline_s(config) + 5.0
    )
    limits = Limits(
        keep_per_minute=config.store.payload_keep_per_minute,
        kept_max_age_s=config.store.payload_max_age_s,
        kept_max_bytes=config.store.payload_max_bytes,
        **({} if config.store.request_samples else {"samples_of_method": 0, "samples_of_set": 0}),
    )
    return Store.open(config.store.url, judge=judge, limits=limits, shared=shared)


class Collector:
    """One collector over one store, which it writes alone. `clock`: unix seconds. `web_url`: of the page, for links.

    `guard`: of the configuration, where it was made already. Raises FilesError as Guard and webhooks' targets do.
    """

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
        self._intake = Intake(config.intake.queue_max_bytes)
        self._forwarder = forwarder_of(config, self.counters, web_url)
        kept = config.journal.enabled
        self._writer = Writer(store, self.counters, policy=config.policy, clock=clock, kept=kept)
        self._journal = _journal(config, self._intake, self.counters, clock)
        inlet = _inlet(config, store, self._intake, self._journal, keep_spans=self._forwarder is not None, clock=clock)
        parts = parts_of(config, store, self.counters, self._forwarder, self._writer)
        self._pipeline = Pipeline(inlet, parts, clock=clock)
        slicer = Slicer(keep_spans=self._forwarder is not None)
        told = config.recordings
        recordings = Recordings(config.runs, max_bytes=told.max_bytes, max_age_s=told.max_age_s)
        self._receiver = Receiver(
            slicer, self._intake, self.counters, clock=clock, recordings=recordings, journal=self._journal
        )
        lookup = LookupHandler(recordings, self.counters, clock=clock).handler()
        self._grpc = GrpcListener(
            self._receiver,
            message_max_bytes=config.intake.message_max_bytes,
            reading_max_bytes=config.intake.queue_max_bytes,
            more=(lookup,),
            guard=self.guard,
        )
        self._webhooks = Webhooks(targets(config.webhooks), store.engine, self.counters, web_url=web_url, clock=clock)
        self._http: Host | None = None
        self._watching: asyncio.Task[None] | None = None
        self._started = False

    async def start(self) -> Addresses:
        """Start everything. Raises PortInUseError, JournalError and StoreError; then nothing listens."""
        listen, max_bytes = self._config.listen, self._config.intake.message_max_bytes
        bound = bind("otlp_http", Address.parse(listen.otlp_http))
        try:
            await asyncio.to_thread(self._pipeline.prepare)
            grpc_address = await self._grpc.start(Address.parse(listen.otlp_grpc))
        except BaseException:
            bound.close()
            self._close_journal()
            raise
        self._pipeline.start()
        self._webhooks.start()
        if self._forwarder is not None:
            self._forwarder.start()
        http = http_app(
            self._receiver,
            message_max_bytes=max_bytes,
            reading_max_bytes=self._config.intake.queue_max_bytes,
            guard=self.guard,
        )
        context = self.guard.http_context("otlp_http", self.counters)
        self._http = Host(http, bound, context, closed=self.counters.closed("otlp_http"))
        await self._http.start()
        self._watching = asyncio.create_task(watch(self.guard, self.counters))
        self._started = True
        self.counters.set("mirror_ready", 1)
        return Addresses(grpc_address, Address.parse(listen.otlp_http).with_port(port_of(bound)))

    async def stop(self) -> bool:
        """Stop taking, then judge, commit and forward what was taken. False: it could not all be committed in time."""
        self._started = False
        self.counters.set("mirror_ready", 0)
        if self._watching is not None:
            self._watching.cancel()
        self._intake.close()  # whoever still sends is told to come again, to the next collector
        stops = [self._grpc.stop(LISTENER_GRACE_S)]
        if self._http is not None:
            stops.append(self._http.stop())
        await asyncio.gather(*stops)
        self._writer.give_up_in(DRAIN_S / 2)
        ended = await asyncio.to_thread(self._pipeline.join, DRAIN_S)
        if not ended:
            fate = "lost" if self._journal is None else "in the journal for the next start"
            _log.error("the pipeline did not end within %.0f s; what it had not committed is %s", DRAIN_S, fate)
        else:
            await asyncio.to_thread(self._close_journal)
        await asyncio.to_thread(self._webhooks.stop)
        if self._forwarder is not None:
            await asyncio.to_thread(self._forwarder.stop, FORWARD_FLUSH_S)
        return ended and not self._writer.ended and not self.counters.value("mirror_uncommitted_lost_total")

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def health(self) -> list[str]:
        """What keeps the collector from being ready, in words; empty: it is."""
        problems = []
        if not self._started:
            problems.append("starting or stopping")
        elif not self._pipeline.alive:
            problems.append("the pipeline has ended; the log says why")
        if self._journal is not None and self._journal.problem:
            problems.append(self._journal.problem)
        if self._writer.ended:
            problems.append(self._writer.ended)
        elif self._writer.failing:
            problems.append("the store does not take what was judged; the log says why")
        self.counters.set("mirror_ready", 0 if problems else 1)
        return problems


def forwarder_of(config: Config, counters: Counters, web_url: str) -> Forwarder | None:
    """As the configuration says; None: nothing is forwarded."""
    forward = config.forward
    if not forward.endpoint:
        return None
    options = ForwardOptions(matched=forward.matched, values=forward.values, web_url=web_url.rstrip("/"))
    return Forwarder(transport_for(forward.endpoint), options, counters)


def _inlet(  # noqa: PLR0913 - it wires everything, once
    config: Config,
    store: Store,
    intake: Intake,
    journal: Journal | None,
    *,
    keep_spans: bool,
    clock: Callable[[], float],
) -> Inlet:
    pairing = config.pairing
    return Inlet(
        intake=intake,
        journal=journal,
        slicer=Slicer(keep_spans=keep_spans),
        claim=lambda source, partition: _claim(store, source, partition, clock()),
        new_lane=lambda claim: new_lane(config, claim),
        grace_s=2 * pairing.batch_age_s + pairing.retry_margin_s,
    )


def _claim(store: Store, source: str, partition: int, now_s: float) -> Claim:
    """The journal's place in the store. What another journal held, where this is a new one, is missed now or never."""
    claim = store.claim(source, partition, owner=owner(), now_s=now_s)
    if claim.generation == 1:
        for other, spans in store.open_elsewhere(source).items():
            text = "this journal is new to the store, and %d spans of another one (%s) were acknowledged and never counted: stop, and put its file back, or they are lost"
            _log.error(text, spans, other)
    for other, at_s in store.active_elsewhere(source, since_s=now_s - ACTIVE_S).items():
        text = "another collector (%s) wrote into this store %.0f s ago, by a journal of its own: what is sent to both counts twice"
        _log.warning(text, other, max(0.0, now_s - at_s))
    return claim


def parts_of(config: Config, store: Store, counters: Counters, forwarder: Forwarder | None, writer: Writer) -> Parts:
    """What the stages of judging work with, over one store."""
    library = Library(SchemaBook(), _fetch(store))
    library.preload(islice(store.schemas(), SCHEMAS_PRELOADED))
    book = library.book
    judge = Judge(book, config.rules, compare_options(config), _explained(store, counters))
    _remember_versions(judge, store)
    return Parts(
        counters=counters,
        forwarder=forwarder,
        runs=frozenset(config.runs),
        judge=judge,
        library=library,
        watch=RuleWatch(config.rules, book),
        schema_watch=SchemaWatch(book),
        writer=writer,
    )


def new_lane(config: Config, claim: Claim | None, *, lanes: int = 1) -> Lane:
    """The lane of a partition, by the configuration's pairing; one of at most `lanes` that share its limits."""
    pairing, wait_s = config.pairing, deadline_s(config)
    open_max_bytes = max(1, pairing.open_max_bytes // lanes)
    pairer = Pairer(
        wait_s,
        pairing.retry_margin_s,
        open_max_bytes=open_max_bytes,
        tombstones_max=pairing.tombstones_max // lanes,
    )
    return Lane(pairer, WaitingRoom(wait_s, max_bytes=max(1, open_max_bytes // WAITING_SHARE)), claim)


def journal_path(config: Config) -> Path:
    """Where the journal is, by its setting or else beside the store."""
    if config.journal.path:
        return Path(config.journal.path)
    url = make_url(config.store.url)
    beside = url.get_backend_name() == "sqlite" and url.database
    return Path(url.database).with_suffix(".journal") if beside and url.database else Path("mirror.journal")


def _journal(config: Config, intake: Intake, counters: Counters, clock: Callable[[], float]) -> Journal | None:
    settings = config.journal
    if not settings.enabled:
        return None
    return Journal(
        journal_path(config),
        counters,
        limits=JournalLimits(settings.max_bytes, settings.keep_s),
        clock=clock,
        settle=partial(settle, intake),
    )


def owner() -> str:
    """Who claims partitions, for people."""
    return f"{socket.gethostname()} process {os.getpid()}"


def _remember_versions(judge: Judge, store: Store) -> None:
    """The versions seen last in each run, so that a pair without candidate goes to its epoch after a restart too."""
    for run in store.reader().runs():
        for epoch in run.epochs:
            judge.primaries.start_with(run.name, Resource(epoch.key.service, epoch.key.primary_version, ""))
            if epoch.key.candidate_version:
                judge.candidates.start_with(run.name, Resource(epoch.key.service, epoch.key.candidate_version, ""))


def _explained(store: Store, counters: Counters) -> Callable[[EpochKey, str], frozenset[tuple[str, Kind]]]:
    again_s = 0.0  # monotonic

    def explained(epoch: EpochKey, method: str) -> frozenset[tuple[str, Kind]]:
        nonlocal again_s
        # Nothing is left out of the signature without an answer: it costs rows, and changes no figure. A store that answers
        # nothing until a timeout must not be waited for once a group.
        if time.monotonic() >= again_s:
            try:
                return store.explained(epoch, method)
            except StoreError:
                again_s = time.monotonic() + EXPLAINED_AGAIN_S
        counters.inc("mirror_internal_errors_total", stage="explained")
        return frozenset()

    return explained


def _fetch(store: Store) -> Callable[[str], bytes | None]:
    def fetch(fingerprint: str) -> bytes | None:
        try:
            return store.schema(fingerprint)
        except StoreError:
            return None  # asked again in a few seconds

    return fetch
