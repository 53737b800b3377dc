"""The worker's membership in its group: which partitions it owns, and reading them. One thread.

Rebalances are cooperative: a partition that stays is read on. `given` and `taken` are called within `poll`, before anybody else
reads what was taken. Kafka's committed offsets are a hint only, of where to begin to read; the truth stands in the store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from mirror.config.sections import Kafka
from mirror.kafka import clients

ASK_S: Final = 5.0
BATCH: Final = 500  # messages at a time
_log: Final = logging.getLogger(__name__)


class Partitions:
    """`given(partition)` says where to begin to read; `taken(partitions, lost)` is told which are another's, or may be (`lost`).

    `on_error`: told what the library says of the cluster. Raises KafkaError as clients.consumer does, and `poll` where a callback failed.
    """

    def __init__(
        self,
        settings: Kafka,
        *,
        given: Callable[[int], int],
        taken: Callable[[Sequence[int], bool], None],
        on_error: Callable[[Any], None],
        queue_max_bytes: int,
    ) -> None:
        self._topic = settings.topic
        self._given = given
        self._taken = taken
        self._kafka = clients.library()
        self.client = clients.consumer(settings, on_error, queue_max_bytes=queue_max_bytes)
        self.client.subscribe(
            [settings.topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def poll(self, timeout_s: float) -> list[Any]:
        """The next messages; waits for some. What `given` and `taken` raise comes out here."""
        found: list[Any] = self.client.consume(BATCH, timeout_s)
        return found

    def bounds(self, partition: int) -> tuple[int, int]:
        """Of what the partition holds now, by asking the broker: the first position, and the one after the last.

        Raises KafkaException.
        """
        low, high = self.client.get_watermark_offsets(self._of(partition), timeout=ASK_S)
        return low, high

    def known_end(self, partition: int) -> int:
        """The position after the last message, as the last fetch told; 0 where none has."""
        found = self.client.get_watermark_offsets(self._of(partition), cached=True)
        return max(0, found[1]) if found else 0

    def hint(self, partition: int) -> int | None:
        """What was committed last; None: nothing. Raises KafkaException."""
        (found,) = self.client.committed([self._of(partition)], timeout=ASK_S)
        return found.offset if found.offset >= 0 else None

    def skip_to(self, partition: int, position: int) -> None:
        """Read on from there. Raises KafkaException."""
        self.client.seek(self._of(partition, position))

    def commit(self, hints: dict[int, int]) -> None:
        """Commit hints; not done, the next ones will be."""
        offsets = [self._of(partition, position) for partition, position in hints.items()]
        try:
            self.client.commit(offsets=offsets, asynchronous=True)
        except self._kafka.KafkaException as error:
            _log.info("offsets could not be committed, which is no harm: %s", error)

    def close(self) -> None:
        """Leave the group; `taken` is called for what is owned."""
        self.client.close()

    def _of(self, partition: int, offset: int | None = None) -> Any:
        if offset is None:
            return self._kafka.TopicPartition(self._topic, partition)
        return self._kafka.TopicPartition(self._topic, partition, offset)

    def _on_assign(self, client: Any, partitions: Sequence[Any]) -> None:
        with self._told():
            client.incremental_assign([self._of(one.partition, self._given(one.partition)) for one in partitions])

    def _on_revoke(self, client: Any, partitions: Sequence[Any]) -> None:
        with self._told():
            self._taken([one.partition for one in partitions], False)  # noqa: FBT003 - its callback's second
            client.incremental_unassign(partitions)

    def _on_lost(self, client: Any, partitions: Sequence[Any]) -> None:
        with self._told():
            self._taken([one.partition for one in partitions], True)  # noqa: FBT003
            client.incremental_unassign(partitions)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The library's exceptions as ours: out of a callback its own come as what no `except Exception` catches."""
        try:
            yield
        except self._kafka.KafkaException as error:
            raise clients.KafkaError(f"the partitions given cannot be used yet: {error.args[0].str()}") from None
