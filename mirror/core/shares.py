"""What share of a method's calls each role captures with their messages, as far as its captures show it. Pure, but for what it remembers.

A service says nothing of its share (`grpc_mirror.sampling`): it says of each call whether it is in. All that are in stand below a bound, all
others at or above it, so each capture that says otherwise than the bound known so far moves it. What it is for: a call that a shadow did not answer
has no capture that could say whether it would have been in. Were it judged whatever the share, calls that are not answered would
weigh more than those that are, and more for the shadow with the smaller share.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from grpc_mirror.v1.sampling import ALL, place_of

from mirror.core.model import PairKey, Role

METHODS_MAX: Final = 4096  # (run, method) that are remembered: those of which not all calls are in


class Shares:
    """One owner."""

    def __init__(self) -> None:
        self._below: OrderedDict[tuple[str, str], dict[Role, int]] = OrderedDict()

    def knows(self, key: PairKey) -> bool:
        """Whether some call of this method was not in: else there is nothing to learn of one that is."""
        return key[:2] in self._below

    def learn(self, key: PairKey, role: Role, *, sampled: bool) -> None:
        """A role captured this call with its messages (`sampled`) or without."""
        bounds = self._below.get(key[:2])
        if bounds is None:
            if sampled:
                return
            bounds = self._below[key[:2]] = {}
            if len(self._below) > METHODS_MAX:
                self._below.popitem(last=False)
        place = place_of(key.mirror_id)
        below = bounds.get(role, ALL)
        if sampled != (place < below):
            bounds[role] = place + 1 if sampled else place

    def takes(self, key: PairKey, role: Role) -> bool:
        """Whether the role would have captured this call with its messages. Of one that was never seen: yes."""
        bounds = self._below.get(key[:2])
        return bounds is None or role not in bounds or place_of(key.mirror_id) < bounds[role]
