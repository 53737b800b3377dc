"""What primaries were told, kept for shadows that ask: what is handed out, what is refused, and within which bounds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from grpc_mirror.v1 import capture_pb2, lookup_pb2

from mirror.collect import recordings
from mirror.collect.recordings import OVERHEAD_BYTES, Key, Recordings
from mirror.core.model import OutboundRecord, PairKey, Role

REQUEST, RESPONSE = capture_pb2.DIRECTION_REQUEST, capture_pb2.DIRECTION_RESPONSE
KEY = Key("run", "m1", "shop.v1.Shop/Buy", "pay.v1.Pay/Charge", b"hash", 0)
NAMES = lookup_pb2.LookupResult


def capture(*answers: bytes, **fields) -> capture_pb2.Capture:
    made = capture_pb2.Capture(response_type="pay.v1.Receipt", response_count=len(answers), **fields)
    made.messages.add(direction=REQUEST, body=b"asked")
    for answer in answers:
        made.messages.add(direction=RESPONSE, body=answer, offset_ns=5)
    return made


def record(
    made: capture_pb2.Capture | None = None, *, key: Key = KEY, at=0.0, span=b"12345678", **more
) -> OutboundRecord:
    fields = {"role": Role.PRIMARY, "sent": True} | more
    return OutboundRecord(
        key=PairKey(key.run, key.served_method, key.mirror_id),
        expect=frozenset(),
        served_span_id=b"s" * 8,
        method=key.method,
        index=0,
        after_end=False,
        capture=(made or capture(b"paid")).SerializeToString(),
        span_id=span,
        arrived_s=at,
        request_hash=key.request_hash,
        ordinal=key.ordinal,
        **fields,
    )


def kept(*records: OutboundRecord, max_bytes=1 << 20, max_age_s=60.0) -> Recordings:
    made = Recordings(["run"], max_bytes=max_bytes, max_age_s=max_age_s)
    made.see(records)
    return made


def asked(of: Recordings, key: Key = KEY, wait_s=0.0, now_s=1.0) -> lookup_pb2.LookupResponse:
    return asyncio.run(of.lookup(key, wait_s, now_s))


def result(of: Recordings, key: Key = KEY, now_s=1.0) -> str:
    return NAMES.Name(asked(of, key, now_s=now_s).result).removeprefix("LOOKUP_RESULT_")


def test_the_answer_is_handed_out_and_nothing_else_of_the_call():
    made = capture(
        b"one", b"two", status_code=5, status_message="gone", status_details=b"d", method="pay.v1.Pay/Charge"
    )
    found = asked(kept(record(made)))
    answer = capture_pb2.Capture.FromString(found.answer)
    assert [message.body for message in answer.messages] == [b"one", b"two"]
    assert (answer.response_type, answer.status_code, answer.status_message) == ("pay.v1.Receipt", 5, "gone")
    assert (answer.status_details, answer.method) == (b"d", "")


@pytest.mark.parametrize(
    "other",
    [
        KEY._replace(run="other"),
        KEY._replace(mirror_id="m2"),
        KEY._replace(served_method="shop.v1.Shop/Quote"),
        KEY._replace(method="pay.v1.Pay/Refund"),
        KEY._replace(request_hash=b"other"),
        KEY._replace(ordinal=1),
    ],
)
def test_only_the_very_same_call_gets_it(other):
    assert (result(kept(record())), result(kept(record()), other)) == ("FOUND", "NOT_FOUND")


@pytest.mark.parametrize(
    "not_told", [{"role": Role.CANDIDATE}, {"sent": False}, {"key": KEY._replace(run="unknown")}], ids=str
)
def test_only_what_a_primary_was_really_told_in_a_known_run_is_kept(not_told):
    assert kept(record(**not_told)).bytes == 0


def test_what_lost_private_values_is_no_answer():
    private = capture(b"paid")
    private.messages[1].private_leaves.add(path="card", hmac=b"h" * 32)
    left_out = capture()
    left_out.messages.add(direction=RESPONSE, omission=capture_pb2.OMISSION_PRIVATE)
    beside = capture(b"paid")
    beside.private_leaves.add(path="status.message", hmac=b"h" * 32)
    blind = capture(b"paid")
    blind.messages[0].private_leaves.add(path="card")
    assert [result(kept(record(made))) for made in (private, left_out, beside, blind)] == ["PRIVATE"] * 4
    told_apart = capture(b"paid")
    told_apart.messages[0].private_leaves.add(path="card", hmac=b"h" * 32)
    assert result(kept(record(told_apart))) == "FOUND"


def test_what_was_too_large_is_no_answer():
    large = capture()
    large.messages.add(direction=RESPONSE, omission=capture_pb2.OMISSION_MESSAGE_TOO_LARGE)
    many = capture(b"one")
    many.response_count = 2
    assert [result(kept(record(made))) for made in (large, many)] == ["LEFT_OUT"] * 2


def test_two_calls_that_nothing_tells_apart_have_no_answer_and_one_that_came_twice_has():
    assert result(kept(record(), record())) == "FOUND"
    assert result(kept(record(), record(span=b"retried!"))) == "AMBIGUOUS"


def test_who_asks_early_waits_for_it():
    async def both():
        of = kept()
        waiting = asyncio.ensure_future(of.lookup(KEY, 5.0, 0.0))
        await asyncio.sleep(0)  # it waits now
        assert not waiting.done()
        of.see([record()])
        return await waiting, of._waiting, of._waiters

    found, waiting, waiters = asyncio.run(both())
    assert found.result == lookup_pb2.LOOKUP_RESULT_FOUND
    assert (waiting, waiters) == ({}, 0)


def test_who_waits_for_what_never_comes_is_told_so_and_leaves_nothing_behind():
    of = kept()
    assert NAMES.Name(asked(of, wait_s=0.01).result) == "LOOKUP_RESULT_NOT_FOUND"
    assert (of._waiting, of._waiters) == ({}, 0)


def test_too_many_who_wait_are_sent_away(monkeypatch):
    monkeypatch.setattr(recordings, "WAITING_MAX", 1)

    async def two():
        of = kept()
        first = asyncio.ensure_future(of.lookup(KEY, 5.0, 0.0))
        await asyncio.sleep(0)
        second = await of.lookup(KEY, 5.0, 0.0)
        of.see([record()])
        return second.result, (await first).result

    assert asyncio.run(two()) == (lookup_pb2.LOOKUP_RESULT_BUSY, lookup_pb2.LOOKUP_RESULT_FOUND)


def test_bounded_by_age_and_by_bytes():
    old, new = record(), record(key=KEY._replace(mirror_id="m2"), at=61.0)
    of = kept(old, new)
    assert (result(of), result(of, KEY._replace(mirror_id="m2"), 62.0)) == ("NOT_FOUND", "FOUND")
    assert of.crowded == 0
    one = OVERHEAD_BYTES + len(old.capture)
    crowded = kept(old, replace(new, arrived_s=1.0), max_bytes=one)
    assert (result(crowded), crowded.bytes, crowded.crowded) == ("NOT_FOUND", one, 1)
    nothing = kept(old, max_bytes=0)
    assert (result(nothing), nothing.bytes, nothing.crowded) == ("NOT_FOUND", 0, 0)
