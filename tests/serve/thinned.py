"""A store with a method of which a share of the calls is captured with their messages, as replicas of unlike limits leave it."""

from __future__ import annotations

import random
from dataclasses import replace

from grpc_mirror.v1 import capture_pb2

from mirror.collect.comparisons import comparison_of
from mirror.core.calls import CallComparer
from mirror.core.compare.options import CompareOptions
from mirror.core.model import CallRecord, Group, Judged, Release, Role
from mirror.core.rules import RuleSet
from mirror.core.schemas import SchemaBook
from mirror.core.triples import judge_group
from mirror.store import JudgeOptions, Store
from tests.serve import shopdata
from tests.serve.shopdata import METHODS, NOW_S, ROLES, request

RUN = "checkout-rewrite"
LARGE = METHODS[1]
CALLS, WHOLE, MORE, SILENT = (
    300,
    45,
    30,
    6,
)  # all; whole everywhere; by primary and secondary beside; of the rest not answered
LOOKED_AT = WHOLE
CAPTURE_BYTES = 120_000


def thin(call: CallRecord) -> CallRecord:
    """As the interceptor captures a call that is not in its share: all but the messages."""
    made = capture_pb2.Capture.FromString(call.capture)
    for message in made.messages:
        made.omitted.add(
            direction=message.direction,
            messages=1,
            bytes=CAPTURE_BYTES,
            reason=capture_pb2.OMISSION_NOT_SAMPLED,
        )
    del made.messages[:]
    made.not_sampled = True
    return replace(call, capture=made.SerializeToString())


def judged(number: int, whole: frozenset[Role], *, absent: frozenset[Role] = frozenset()) -> Judged:
    """One request; `whole` have captured it with its messages. It is judged as the collector does it."""
    asked = replace(request(3 * number + 1, random.Random(number)), absent=absent, method=LARGE)
    at_s = NOW_S - 300 + number
    calls = {}
    for role in (one for one in ROLES if one not in absent):
        call = shopdata.record(asked, role, number, at_s, run=RUN, version="2.0.0")
        calls[role] = call if role in whole else thin(call)
    book = SchemaBook()
    book.add(shopdata.SCHEMA)
    primary = calls[Role.PRIMARY]
    return judge_group(
        Group(primary.key, calls, primary.expect, Release.DEADLINE if absent else Release.COMPLETE, at_s),
        CallComparer(book, RuleSet(()), CompareOptions()).compare,
        explained=lambda _method: frozenset(),
        candidate_version_last_seen="2.0.0",
        now_s=at_s + 1,
    )


def fill(url: str) -> None:
    """The calls above of `LARGE`, and as many of another method, all whole."""
    every, control = frozenset(ROLES), frozenset({Role.PRIMARY, Role.SECONDARY})
    with Store.open(url, judge=JudgeOptions()) as store:
        changes = store.changes()
        changes.schema(shopdata.FINGERPRINT, shopdata.SCHEMA)
        for number in range(CALLS):
            none, silent = frozenset(), number >= CALLS - SILENT
            whole = every if number < WHOLE else control if number < WHOLE + MORE else none
            one = judged(number, whole, absent=frozenset({Role.CANDIDATE}) if silent else none)
            kept = comparison_of(one).SerializeToString() if changes.wants(one) else None
            changes.add(one, kept)
        for number in range(CALLS, 2 * CALLS):
            asked = replace(request(3 * number + 1, random.Random(number)), absent=frozenset(), method=METHODS[2])
            shopdata.add(changes, store, number, NOW_S - 100, run=RUN, version="2.0.0", asked=asked)
        store.commit(changes, NOW_S)
