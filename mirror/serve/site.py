"""What every page and endpoint works with: one frozen record, made once by `web_app`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeAlias

from google.protobuf.descriptor_pool import DescriptorPool
from grpc_mirror.v1.comparison_pb2 import Comparison
from sqlalchemy import Engine

from mirror.collect.counters import Sample
from mirror.config import Config
from mirror.core.schemas import SchemaBook, SchemaError
from mirror.core.verdict import Policy
from mirror.serve import epochs, models, warmups
from mirror.serve.epochs import NotFoundError
from mirror.serve.verdicts import Wanted, find
from mirror.store.queries import Reader
from mirror.store.views import RunView

Snapshot: TypeAlias = Callable[[], Sequence[Sample]]
Health: TypeAlias = Callable[[], Sequence[str]]  # what keeps the collector from being ready, in words; empty: ready


class Schemas:
    """The schemas of the store, parsed when first needed. Bounded by SchemaBook; requests share it behind a lock."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._book = SchemaBook()
        self._lock = threading.Lock()

    def pool(self, fingerprint: str) -> DescriptorPool | None:
        """The descriptor pool of a schema; None if the store has none, or one that cannot be used."""
        if not fingerprint:
            return None
        with self._lock:
            if not self._book.known(fingerprint):
                stored = self._reader.schema(fingerprint)
                try:
                    if stored is None or self._book.add(stored) != fingerprint:
                        return None
                except SchemaError:
                    return None
            return self._book.pool(fingerprint)


@dataclass(frozen=True, slots=True)
class Site:
    """The store's reader, the configuration and the collector's own figures, as all parts of the site share them."""

    reader: Reader
    config: Config
    policy: Policy
    counters: Snapshot
    health: Health
    clock: Callable[[], float]
    schemas: Schemas
    engine: Engine | None = None  # that writes decisions; None: only commands do

    def runs(self) -> list[RunView]:
        """All runs that were seen, those with the newest pairs first."""
        return sorted(self.reader.runs(), key=lambda run: max((e.last_s for e in run.epochs), default=0), reverse=True)

    def run(self, name: str) -> RunView:
        """One run; raises NotFoundError."""
        return epochs.find_run(self.reader, name, self.config.runs)

    def verdict(self, wanted: Wanted) -> models.RunVerdict:
        """The verdict that is meant; raises NotFoundError and UnclearError."""
        return find(self.reader, self.policy, self.config.runs, wanted, self.clock())

    def warmup(self, run: str, service: str | None) -> models.Warmup:
        """How an A/A run stands; raises NotFoundError and UnclearError."""
        return warmups.find(self.reader, self.policy, self.config.runs, run, service, self.clock())

    def comparison(self, comparison_id: str) -> Comparison:
        """One kept comparison; raises NotFoundError."""
        found = self.reader.comparison(comparison_id)
        if found is None:
            raise NotFoundError(
                "unknown_comparison",
                f"No comparison {comparison_id!r} is kept: its id is wrong, or it went over the caps or the age limit.",
            )
        return found

    def today(self) -> date:
        """The day by the site's clock, in UTC."""
        return datetime.fromtimestamp(self.clock(), UTC).date()
