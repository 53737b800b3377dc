"""What the sender says of odd calls, of drops and of itself: in the log once, in the counters as often as it happens. No payload.

One owner: the sender's thread.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from grpc_mirror.counters import Counters
from grpc_mirror.settings import Settings

_LOG = logging.getLogger("grpc_mirror")

TOLD_MAX = 100  # kinds of things that are said
_NOT_SAMPLED = "not_sampled"
_FULL = "queue_full"
_TEXTS = {  # of conditions that somebody should know of
    "role_unset": "calls come here as a shadow's (x-mirror-role), and MIRROR_ROLE is not set: this process takes itself for a "
    "primary, so nothing that it does is blocked; set MIRROR_ROLE=candidate or secondary on this deployment",
    "role_conflict": "calls come here with another role (x-mirror-role) than MIRROR_ROLE says, which wins: see whether "
    "Envoy's cluster and MIRROR_ROLE mean the same deployment",
}


class Telling:
    """Counts and says what somebody should know of."""

    def __init__(self, counters: Counters, settings: Settings) -> None:
        self._counters = counters
        self._settings = settings
        self._noticed: Counter[str] = Counter()  # and not counted yet
        self._told: set[str] = set()
        self._full = 0  # calls that had found no room when it was last looked

    def odd(self, conditions: Sequence[str], method: str = "", *, calls: int = 1) -> None:
        """So many calls were odd in these ways. `method`: of the call; empty: not at hand, though said before."""
        for condition in conditions:
            self._noticed[condition] += calls
            if condition in _TEXTS:
                self.once(condition, _TEXTS[condition])
            elif condition == _NOT_SAMPLED and method:
                self.once(f"{condition} {method}", self._not_sampled(method))

    def count(self) -> None:
        """Hand what was noticed since the last time to the counters."""
        for condition, calls in self._noticed.items():
            self._counters.notice(condition, calls)
        self._noticed.clear()

    def dropped(self, dropped: Mapping[str, int]) -> None:
        """Totals of what was dropped, by reason. Those that delivery drops it says itself."""
        if dropped.get(_FULL, 0) > self._full:
            self._full = dropped[_FULL]
            self.once(
                _FULL,
                f"{self._full} calls found no room in the queue (queue_full) and are not compared: they come faster than they can be sent, "
                "or the collector takes none. Larger: MIRROR_QUEUE_MAX_BYTES, MIRROR_QUEUE_MAX_CALLS; fewer: a smaller share of mirrored "
                "calls. More are counted, not told",
            )

    def fault(self, error: Exception) -> None:
        """The sender's own code failed."""
        self._counters.notice("internal_error")
        # Only the type: the text of an error may hold a payload value.
        self.once(type(error).__name__, f"internal error in the sender: {type(error).__name__}")

    def once(self, kind: str, text: str) -> None:
        """Log once of each kind."""
        if kind not in self._told and len(self._told) < TOLD_MAX:
            self._told.add(kind)
            with contextlib.suppress(Exception):  # a service's own handler of logs may raise
                _LOG.warning("grpc_mirror: %s (logged once)", text)

    def _not_sampled(self, method: str) -> str:
        return (
            f"messages of {method} come to more than MIRROR_METHOD_BYTES_PER_S ({self._settings.method_bytes_per_s} bytes a second of a "
            "method and process): they are captured of a share of its calls only, the same calls on all replicas of the same limit; the "
            "others are not compared (not sampled, on the run's page)"
        )
