"""Several collectors: each trace goes to one of them, the same from every replica, so that its calls are compared there.

By rendezvous hashing: of all endpoints the one whose keyed hash of the trace id is highest. No state is shared, the order of
the list does not matter, and where an endpoint is added or taken away only its own share of the traces moves. The names must be
spelt alike on all replicas, since they are what is hashed. Each endpoint has a sender, a queue and counts of its own: one that
is dead costs the others nothing. No endpoint stands in for another, since the call's other halves would not come there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from grpc_mirror.counters import Counters, Counts
from grpc_mirror.propagation import place, read_labels
from grpc_mirror.records import Finished
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.sender import Connect, Sender, flush_all


def keys_of(parts: Sequence[Settings]) -> tuple[bytes, ...]:
    """What stands for each endpoint in the hash: host and port, or the path of a socket."""
    return tuple(hashlib.sha256(part.target.encode()).digest() for part in parts)


def shard_of(trace_id: bytes, keys: Sequence[bytes]) -> int:
    """The index of the endpoint that a trace belongs to."""
    scores = [hashlib.blake2b(trace_id, digest_size=8, key=key).digest() for key in keys]
    return scores.index(max(scores))


def trace_id_of(record: Finished) -> bytes:
    """The trace id that the span of a call will have."""
    return place(read_labels(record.metadata), None).trace_id


class Shards:
    """The senders of one set of settings, one for each endpoint. Used like a sender."""

    def __init__(
        self, settings: Settings, process: Counters, connect: Connect, on_fork: Callable[[], None] = lambda: None
    ) -> None:
        """`process` counts the conditions that belong to no endpoint, which are reported to all. `on_fork` runs in children."""
        parts = shares(settings)
        self._endpoints = [part.endpoint for part in parts]
        self._keys = keys_of(parts)
        if len(parts) == 1:
            self.senders = [Sender(parts[0], process, connect, on_fork)]
            return

        def forked() -> None:
            process.reset()
            on_fork()

        self.senders = [Sender(part, Counters(process), connect, forked) for part in parts]

    @property
    def sink(self) -> Sender | Shards:
        """Where finished calls go: the one sender there is, or this."""
        return self.senders[0] if len(self.senders) == 1 else self

    def put(self, record: Finished) -> None:
        """Take a finished call. Never blocks; drops and counts where there is no room."""
        self.senders[shard_of(trace_id_of(record), self._keys)].put(record)

    def counts(self) -> dict[str, Counts]:
        """What came of the calls so far, by endpoint."""
        return {endpoint: sender.counts() for endpoint, sender in zip(self._endpoints, self.senders, strict=True)}

    def flush(self, timeout_s: float) -> bool:
        """Send what is queued, to all at once. Returns whether all of it was dealt with in time."""
        return flush_all(self.senders, timeout_s)

    def begin_shutdown(self, timeout_s: float) -> None:
        """Take no calls any more and have all senders end, within `timeout_s`; `end_all` waits for that."""
        for sender in self.senders:
            sender.begin_shutdown(timeout_s)


def shares(settings: Settings) -> list[Settings]:
    """The settings of each endpoint's sender, which hold its part of the queue."""
    if settings.exporter is not None:  # it goes where it goes
        return [settings]
    count = len(settings.endpoints)
    alike = replace(
        settings,
        protocol=settings.spoken,
        queue_max_bytes=settings.queue_max_bytes // count,
        queue_max_calls=max(1, settings.queue_max_calls // count),
    )
    pairs = zip(settings.endpoints, settings.lookups, strict=True)
    return [replace(alike, endpoint=endpoint, lookup_endpoint=lookup) for endpoint, lookup in pairs]
