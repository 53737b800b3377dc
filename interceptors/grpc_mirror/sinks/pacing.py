"""When the sender's thread sleeps, and what wakes it. Waking up costs the handlers, and so does a thread that never sleeps.

Between slices of encoding it breathes. Once the queue is empty it sleeps until calls have gathered; after a while without any, until
the next one comes. An outbound call is worth waking up for at once: a shadow may ask for its answer.
"""

from __future__ import annotations

import time

from grpc_mirror.recorder import OVERHEAD_BYTES
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.batch import BATCH_BYTES, Batch
from grpc_mirror.sinks.delivery import Control
from grpc_mirror.sinks.queue import ANY_BYTES, NEVER_BYTES, BoundedQueue

YIELD_S = 0.001
YIELD_FULL_S = 0.0005  # where the queue is filling up
FILLING = 0.25  # of its room
TICK_S = 0.2  # how long calls gather in the queue; less where batches are to be younger
IDLE_S = 1.0  # how often it is looked whether there is something to tell while no calls come


class Pace:
    """How the sender's thread sleeps."""

    def __init__(self, settings: Settings, queue: BoundedQueue, control: Control) -> None:
        self._queue = queue
        self._control = control
        self._tick_s = min(TICK_S, settings.batch_age_s)
        room_bytes = min(settings.queue_max_bytes, settings.queue_max_calls * OVERHEAD_BYTES)
        self._enough_bytes = min(BATCH_BYTES, int(FILLING * room_bytes))  # to wake up for

    def breathe(self) -> None:
        """Between two slices: the handlers have the GIL."""
        if self._control.stop_by is None:
            hurry = self._control.urgent or self._queue.filled > FILLING
            time.sleep(YIELD_FULL_S if hurry else YIELD_S)

    def rest(self) -> None:
        """For a tick, or until somebody wakes it: a step has failed."""
        self._control.wake.clear()
        self._control.wake.wait(self._tick_s)

    def idle(self, batch: Batch) -> bool:
        """Until a call comes, the batch is due, or IDLE_S are over. Returns whether calls have come that may gather now."""
        control, queue, sleep_s = self._control, self._queue, IDLE_S
        if batch:
            sleep_s = max(0.0, batch.due - time.monotonic())
        queue.rouse_at = ANY_BYTES
        if not queue:  # asked once it is to rouse, as `put` does it the other way round
            control.wake.wait(sleep_s)
        queue.rouse_at = NEVER_BYTES
        control.wake.clear()
        return bool(queue) and not control.urgent

    def gather(self, batch: Batch, *, all_written: bool) -> None:
        """For a tick, or until a batch is due that is in a hurry or whose calls came written: with these there is nothing to do before.

        An outbound call is worth waking up for, and so is a queue that fills a batch.
        """
        control, queue, sleep_s = self._control, self._queue, self._tick_s
        if batch.hurried and batch:
            sleep_s = min(sleep_s, max(0.0005, batch.due - time.monotonic()))
        else:
            if batch and all_written:
                sleep_s = max(sleep_s, min(IDLE_S, batch.due - time.monotonic()))
                queue.rouse_at = max(ANY_BYTES, min(self._enough_bytes, BATCH_BYTES - batch.bytes))
            control.watching = True
            if control.outbound:
                sleep_s = 0.0
        control.wake.wait(sleep_s)
        control.watching = False
        queue.rouse_at = NEVER_BYTES
        control.wake.clear()
