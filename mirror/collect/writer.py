"""The changes since the last commit, and how they get into the store: tried again until they are in.

One owner, the pipeline's thread, except for `give_up_in`. What fails for reasons outside (a full disk, a locked or unreachable
database) is tried until it works; what fails by a fault of ours a few times only, lest it block everything behind it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from mirror.collect.counters import Counters
from mirror.collect.faults import log_fault
from mirror.core.policy import Policy
from mirror.store import Checkpoint, FencedError, InForce, Store, StoreError
from mirror.store.views import RuleChangeView

BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
FAULT_ATTEMPTS: Final = 3
LOOK_INTERVAL_S: Final = 60.0  # between two decisions of every run, whose fails are kept
EMPTY_INTERVAL_S: Final = 5.0  # minutes close, and are judged, also when nothing comes
_log: Final = logging.getLogger(__name__)


class Writer:
    """Holds `changes`, to which the pipeline adds. `clock`: unix seconds; `policy` decides which fails are kept.

    `kept`: what is not committed is in a journal, and will be read again.
    """

    def __init__(
        self,
        store: Store,
        counters: Counters,
        *,
        policy: Policy,
        clock: Callable[[], float],
        kept: bool = False,
    ) -> None:
        self._store = store
        self._counters = counters
        self._clock = clock
        self._wake = threading.Event()
        self._give_up_at_s: float | None = None  # monotonic
        self._policy = policy
        self._committed_s = 0.0
        self._looked_s = 0.0
        self._in_force: InForce | None = None
        self._kept = kept
        self.changes = store.changes()
        self.failing = False
        self.ended = ""  # why nothing is committed any more; "": it is

    def use(self, in_force: InForce) -> None:
        """What is added from now on was judged by these rules; what they judge otherwise starts anew in the store.

        Flush before: nothing that was judged by other rules may be left in `changes`.
        """
        self._in_force = in_force
        self.changes = self._store.changes(in_force, takes_over=True)
        self.flush()

    def flush(self, checkpoints: Sequence[Checkpoint] = ()) -> bool:
        """Commit the changes and what was read for them, however long that takes; then begin new ones.

        False: nothing was committed, since there was nothing, or it cannot be.
        """
        now_s = self._clock()
        if self.ended or (self.changes.empty and 0 <= now_s - self._committed_s < EMPTY_INTERVAL_S):
            return False
        attempts, backoff_s, committed = 0, BACKOFF_FIRST_S, True
        while not self._commit(checkpoints):
            attempts += 1
            if self.ended:
                return False
            if self._hopeless(attempts):
                self._lose()
                committed = False
                break
            self._wake.wait(min(backoff_s, self._left_s()))
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
        self._committed_s = now_s
        # Rules that could not take over are tried again with what comes next.
        self.changes = self._store.changes(self._in_force, takes_over=self.changes.takes_over and not committed)
        if not 0 <= now_s - self._looked_s < LOOK_INTERVAL_S:
            self._looked_s = now_s
            self._look(now_s)
        return committed

    def give_up_in(self, seconds: float) -> None:
        """The collector is stopping: a store that still fails then is given up, and what was not committed is counted lost."""
        self._give_up_at_s = time.monotonic() + seconds
        self._wake.set()

    def _commit(self, checkpoints: Sequence[Checkpoint]) -> bool:
        began_s = time.perf_counter()
        self._fault = False
        try:
            restarted = self._store.commit(self.changes, self._clock(), checkpoints)
        except FencedError as problem:
            self._end(str(problem))
            return False
        except StoreError as problem:
            self._fault = problem.lasting
            self._failed(str(problem))
            return False
        except Exception as fault:  # noqa: BLE001 - counted and logged; tried again a few times
            self._fault = True
            log_fault(_log, "writing to the store", fault)
            self._counters.inc("mirror_internal_errors_total", stage="commit")
            self._failed(type(fault).__name__)
            return False
        for change in restarted:
            _tell(change)
        self._counters.inc("mirror_commits_total")
        self._counters.inc("mirror_commit_seconds_total", time.perf_counter() - began_s)
        if self.failing:
            self.failing = False
            _log.warning("the store works again")
        return True

    def _look(self, now_s: float) -> None:
        """Keep a fail that could sink again; not done now, it is done at the next look."""
        try:
            self._store.look(self._policy, now_s)
        except StoreError as problem:
            self._counters.inc("mirror_internal_errors_total", stage="look")
            _log.warning("the runs could not be looked at: %s", problem)

    def _failed(self, why: str) -> None:
        self._counters.inc("mirror_commit_failures_total")
        if not self.failing:  # once, until it works again
            self.failing = True
            _log.error("the store does not take what was judged; trying again until it does: %s", why)

    def _left_s(self) -> float:
        """How long a pause may be at most, so that giving up comes in time."""
        return BACKOFF_MAX_S if self._give_up_at_s is None else max(0.05, self._give_up_at_s - time.monotonic())

    def _hopeless(self, attempts: int) -> bool:
        if self._fault and attempts >= FAULT_ATTEMPTS:
            return True
        if self._give_up_at_s is None:
            return False
        self._wake.clear()  # from here on the pauses are real ones again
        return time.monotonic() >= self._give_up_at_s

    def _end(self, why: str) -> None:
        """Whatever was committed from here on would leave out what was not."""
        self.ended = why
        self.changes = self._store.changes(self._in_force)
        _log.error("nothing more is committed: %s", why)

    def _lose(self) -> None:
        if self._kept and not self._fault:
            self._end("the store did not take it until the end; what was received is in the journal for the next start")
            return
        self._counters.inc("mirror_uncommitted_lost_total", self.changes.groups)
        _log.error("%d judged groups could not be stored and are lost", self.changes.groups)


def _tell(change: RuleChangeView) -> None:
    """The line of an audit. Paths and names only."""
    rules = ", ".join(f"{rule.what} {rule.id!r}" for rule in change.rules)
    done = ", ".join(f"{one.method}: {one.path_count} paths, bound {one.bound}" for one in change.restarts)
    _log.warning("run %s, service %s: other rules: %s; started anew: %s", change.run, change.service, rules, done)
