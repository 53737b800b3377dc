"""One partition of what is read: what of it is open, the groups in which that waits, and up to when it was read.

Embedded there is one lane, for the journal; a worker has one for each partition that it owns. One owner, the pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mirror.collect.batch import Batch
from mirror.collect.waiting import WaitingRoom
from mirror.core.ledger import Ledger, Progress
from mirror.core.model import CallRecord, Group, OutboundRecord
from mirror.core.pair import Pairer
from mirror.store import Checkpoint, Claim

SET_BACK_S: Final = 10.0  # more than that earlier than before, and the clock was set back


class Lane:
    """`claim`: as which the partition is ours in the store; None: nothing is stored, and a restart reads nothing again."""

    def __init__(self, pairer: Pairer, waiting: WaitingRoom, claim: Claim | None = None) -> None:
        self.pairer = pairer
        self.waiting = waiting
        self.claim = claim
        self.seen_s = 0.0  # the arrival up to which everything has been added to the pairer
        self._ledger = Ledger(claim.progress if claim else None)

    def see(self, arrived_s: float) -> None:
        """Everything up to this arrival was added.

        A clock that was set back takes the lane's time along: else all that comes would be over at once for so long. Nor is
        anything longer kept waiting for what the start allowed, which lies in the future now.
        """
        if arrived_s < self.seen_s - SET_BACK_S:
            self.pairer.wait_until(0.0)
        self.seen_s = arrived_s

    def read(self, batch: Batch) -> None:
        """A request was read for the first time: all of its records are open."""
        if batch.origin.position >= 0:
            self.reread(batch.origin.position, (*batch.calls, *batch.outbound))

    def reread(self, position: int, open_: Iterable[CallRecord | OutboundRecord]) -> None:
        """A request was read; these of its records are open."""
        self._ledger.read(position, (record.span_index for record in open_))

    def close(self, record: CallRecord | OutboundRecord) -> None:
        """A record was counted, or could not be."""
        if record.origin.position >= 0:
            self._ledger.close(record.origin.position, record.span_index)

    def close_group(self, group: Group) -> None:
        """All records of a group were."""
        for call in group.calls.values():
            self.close(call)
            for outbound in call.outbound:
                self.close(outbound)

    def checkpoint(self) -> Checkpoint | None:
        """How far it was read, to be committed with what came of it."""
        return Checkpoint(self.claim, self._ledger.progress()) if self.claim else None

    def abandon(self) -> int:
        """Everything there is was read again: open spans that were not among it are gone. How many those are."""
        return self._ledger.abandon()

    @property
    def partition(self) -> int:
        """Which partition of its source it is."""
        return self.claim.partition if self.claim else 0

    @property
    def progress(self) -> Progress:
        """As claimed: what recovery goes by."""
        return self.claim.progress if self.claim else Progress()
