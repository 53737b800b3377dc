"""Which calls of a method are captured with their messages, where these are large and many. Pure, but for its own counts.

To keep a body and to send it costs as much as a fair part of the call itself, whoever does it. So what is sent of one method
has a limit in bytes a second. Beyond it a share of its calls is captured with their messages; of the others all is told but
those. Who is in the share follows from the mirror ID alone, so the replicas choose the same calls though each sets its share by itself:
of two shares the smaller one lies within the larger. Calls with small messages cost the same either way, and do not count.

The share is steered once a second, by what went out in it, or as soon as that is all there was to give; what was not used is saved
up, for bursts.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import Any, Final

from grpc_mirror.v1 import attributes
from grpc_mirror.v1.sampling import ALL, place_of

LARGE_BYTES: Final = 16 * 1024  # a call that holds no more does not count
BURST_S: Final = 16.0  # so many seconds' bytes can be saved up
SPEND_S: Final = 4.0  # and are given out over so many seconds
TICK_S: Final = 1.0
METHODS_MAX: Final = 1024
_STEP_MAX, _STEP_MIN = 2.0, 1 / 16  # how far a share moves: up in a second, down in one step
_STEPS_MAX = 64.0
_STEP_MIN_S = 0.001


class MethodShare:
    """The share of one method. Called from all threads: a race may lose the bytes of a call, which steers no worse."""

    def __init__(self, bytes_per_s: int, now: float) -> None:
        """`now`: monotonic, seconds."""
        self.share = 1.0  # of calls that are captured with their messages
        self._allowed = float(bytes_per_s)
        self._saved = bytes_per_s * BURST_S  # below zero: too much went out
        self._below = ALL  # the places of the calls that are in
        self._bytes = 0  # of this step
        self._since = now

    def add(self, size: int) -> None:
        """A call was captured with its messages, of so many bytes."""
        self._bytes += size

    def takes(self, metadata: Iterable[tuple[str, Any]], now: float) -> bool:
        """Whether the messages of a call with this metadata are captured. `now`: monotonic, seconds."""
        if now - self._since >= TICK_S or self._bytes > max(self._saved, self._allowed):
            self._steer(now)
        if self._below == ALL:
            return True
        for key, value in metadata:
            if key == attributes.HEADER_ID:
                return place_of(value) < self._below
        return True  # it will have no capture at all

    def _steer(self, now: float) -> None:
        spent_s, spent = max(now - self._since, _STEP_MIN_S), self._bytes
        self._since, self._bytes = now, 0
        most = self._allowed * BURST_S
        self._saved = min(most, max(-2 * self._allowed, self._saved + self._allowed * spent_s - spent))
        step = _STEP_MAX ** min(spent_s, _STEPS_MAX)
        if spent:
            wanted = self._allowed + self._saved / SPEND_S
            found = wanted * spent_s / spent
            # Near enough: half the way, since a second tells little of few calls.
            step = min(step, max(_STEP_MIN, found if found < 0.5 or spent_s > 2 * TICK_S else found**0.5))
        self.share = min(1.0, self.share * step)
        self._below = ALL if self.share >= 1.0 else int(self.share * ALL)


class Sampling:
    """The shares of the methods of one interceptor that have large messages."""

    def __init__(self, bytes_per_s: int) -> None:
        """`bytes_per_s`: of one method; 0: no limit."""
        self.heavy: dict[str, MethodShare] = {}
        self.large_bytes = LARGE_BYTES if bytes_per_s else ALL - 1  # a call that holds more is to be told to `add`
        self._bytes_per_s = bytes_per_s

    def add(self, method: str, size: int) -> None:
        """A call with large messages was captured, of so many bytes in all."""
        share = self.heavy.get(method)
        if share is None:
            if len(self.heavy) >= METHODS_MAX:
                return
            share = self.heavy.setdefault(method, MethodShare(self._bytes_per_s, monotonic()))
        share.add(size)
