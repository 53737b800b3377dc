"""The schemas at hand: those in memory, and behind them those that the store keeps. One owner, the pipeline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

from grpc_mirror.v1 import schema_pb2

from mirror.core.schemas import SchemaBook, SchemaError

ABSENT_MAX: Final = 1000  # fingerprints remembered as not in the store
ABSENT_FOR_S: Final = 5.0  # after that the store is asked again: another process may have brought it
_log: Final = logging.getLogger(__name__)


class Library:
    """`fetch(fingerprint)` reads a serialised mirror.v1.Schema from the store, or None."""

    def __init__(self, book: SchemaBook, fetch: Callable[[str], bytes | None]) -> None:
        self.book = book
        self._fetch = fetch
        self._absent: dict[str, float] = {}

    def learn(self, raw: bytes) -> str | None:
        """Take a serialised Schema; its fingerprint if it is new, None if it is known. Raises SchemaError.

        A known one is not verified again: processes repeat theirs every few minutes, and the one at hand stays.
        """
        if self.book.known(schema_pb2.Schema.FromString(raw).fingerprint):
            return None
        fingerprint = self.book.add(raw)
        self._absent.pop(fingerprint, None)
        return fingerprint

    def preload(self, stored: Iterable[tuple[str, bytes]]) -> None:
        """Put schemas of the store in memory, the newest first given; where memory is short, the newest stay."""
        for fingerprint, raw in reversed(list(stored)):
            if not self._shelve(fingerprint, raw):
                _log.warning("the stored schema %s cannot be used", fingerprint)

    def find(self, fingerprints: Iterable[str], now_s: float) -> bool:
        """Look for missing schemas in the store; whether all of them are at hand now. `now_s`: unix seconds."""
        found = [self._find(fingerprint, now_s) for fingerprint in fingerprints]
        return all(found)

    def _find(self, fingerprint: str, now_s: float) -> bool:
        if self.book.known(fingerprint):
            return True
        if now_s < self._absent.get(fingerprint, 0.0):
            return False
        raw = self._fetch(fingerprint)
        if raw is not None and self._shelve(fingerprint, raw):
            return True  # else it is as if it were not there: its process sends it again
        if len(self._absent) >= ABSENT_MAX:
            self._absent.clear()
        self._absent[fingerprint] = now_s + ABSENT_FOR_S
        return False

    def _shelve(self, fingerprint: str, raw: bytes) -> bool:
        try:
            return self.book.add(raw) == fingerprint
        except SchemaError:
            return False
