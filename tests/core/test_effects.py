"""What a shadow did, held against what the primary did: the requests of the calls that both made."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf import struct_pb2
from grpc_mirror.v1 import capture_pb2
from grpc_mirror.v1.capture_pb2 import Capture

from mirror.core.model import CallRecord, Kind, OutboundRecord, Part, Role, Verdict
from mirror.core.path import Field, Key, pattern_of, render
from mirror.core.rules import Ignore, Tolerance, UnorderedList
from tests.core.compare.shapes import SHOP, order, rule, schema
from tests.core.test_calls import FINGERPRINT, SCHEMA, capture, comparer, record

CHARGE, MAIL = "pay.v1.Pay/Charge", "mail.send"
SENT, BLOCKED = capture_pb2.OUTBOUND_POLICY_SENT, capture_pb2.OUTBOUND_POLICY_BLOCKED
SAME = 'id: "1"'


def asked(
    *texts: str, kind=capture_pb2.CALL_KIND_UNARY, fingerprint=FINGERPRINT, type_name="shop.Order", **fields
) -> Capture:
    """One call that asked for these orders."""
    made = Capture(
        kind=kind,
        request_type=type_name,
        schema_fingerprint=fingerprint,
        request_count=fields.pop("request_count", len(texts)),
        **fields,
    )
    for text in texts:
        body = text if isinstance(text, bytes) else order(text).SerializeToString()
        made.messages.add(direction=capture_pb2.DIRECTION_REQUEST, body=body, original_size=len(body))
    return made


def side(
    *calls: tuple[str, Capture | str], role=Role.PRIMARY, counted: int | None = None, answer=SAME, **fields
) -> CallRecord:
    """A served call that made these, in this order."""
    served = record(capture(answer, outbound_calls=len(calls), **fields), role)
    made, begun = [], dict.fromkeys((method for method, _ in calls), 0)
    for method, call in calls:
        data = (asked(call) if isinstance(call, str) else call).SerializeToString()
        made.append(OutboundRecord(served.key, role, served.expect, b"", method, begun[method], False, data, b"", 0.0))
        begun[method] += 1
    count = len(calls) if counted is None else counted
    return replace(served, outbound=tuple(made), outbound_calls=count)


def outcome(primary: CallRecord, shadow: CallRecord, *rules, **more):
    return comparer(*rules, **more).compare(primary, shadow)


def found(primary: CallRecord, shadow: CallRecord, *rules, **more) -> list[str]:
    """Each difference as `path kind`."""
    return [f"{render(d.path)} {d.kind}" for d in outcome(primary, shadow, *rules, **more).differences]


def test_another_request_of_the_same_call():
    left, right = (side((CHARGE, f'id: "c" size: {size}')) for size in (10, 20))
    result = outcome(left, right)
    [difference] = result.differences
    assert (str(difference), difference.left, difference.right) == (
        f'outbound["{CHARGE}"][0].request.size: value',
        10,
        20,
    )
    assert difference.pattern == f'outbound["{CHARGE}"][*].request.size'
    assert (result.verdict, result.difference_count, result.outbound_compared) == (Verdict.MISMATCHED, 1, 2)


def test_the_same_calls_match():
    calls = ((CHARGE, "size: 10"), (MAIL, 'id: "a"'))
    assert outcome(side(*calls), side(*calls)).verdict is Verdict.MATCHED


def test_a_call_that_one_side_made():
    one, two = side((CHARGE, "size: 10")), side((CHARGE, "size: 10"), (CHARGE, "size: 10"))
    assert found(one, two) == [f'outbound["{CHARGE}"][1] added']
    assert found(two, one) == [f'outbound["{CHARGE}"][1] missing']
    assert found(side(), one) == [f'outbound["{CHARGE}"][0] added']


def test_the_order_of_calls_to_one_method_counts_and_to_different_ones_does_not():
    first, second = (CHARGE, 'id: "a" size: 1'), (CHARGE, 'id: "b" size: 2')
    mail = (MAIL, 'id: "m"')
    assert found(side(first, mail), side(mail, first)) == []
    assert found(side(first, second), side(second, first)) == [f'outbound["{CHARGE}"] order']
    unordered = rule(UnorderedList, f'outbound["{CHARGE}"]')
    result = outcome(side(first, second), side(second, first), unordered)
    assert (result.verdict, [d.rule for d in result.ignored]) == (Verdict.IGNORED, ["r"])


@pytest.mark.parametrize(
    "path",
    ["outbound", "outbound[*]", f'outbound["{CHARGE}"]', f'outbound["{CHARGE}"][0]', "outbound[*][*].request", "outbound[*][*].request.size", "outbound.**"],
)  # fmt: skip
def test_rules_reach_every_place(path):
    left, right = (side((CHARGE, f"size: {size}")) for size in (10, 20))
    result = outcome(left, right, rule(Ignore, path))
    assert (result.verdict, [d.rule for d in result.ignored]) == (Verdict.IGNORED, ["r"])


def test_a_rule_for_another_method_does_not_reach():
    left, right = (side((CHARGE, f"size: {size}")) for size in (10, 20))
    assert found(left, right, rule(Ignore, f'outbound["{MAIL}"]')) == [f'outbound["{CHARGE}"][0].request.size value']


def test_a_tolerance_holds_for_a_request():
    left, right = (side((CHARGE, f"total: {total}")) for total in (10.0, 10.004))
    within = rule(Tolerance, f'outbound["{CHARGE}"][*].request.total', absolute=0.01)
    assert outcome(left, right, within).verdict is Verdict.IGNORED
    assert len(found(left, right)) == 1


def test_streamed_requests():
    stream = capture_pb2.CALL_KIND_CLIENT_STREAM
    left = side((CHARGE, asked('id: "a"', 'id: "b"', kind=stream)))
    right = side((CHARGE, asked('id: "a"', 'id: "c"', kind=stream)))
    assert found(left, right) == [f'outbound["{CHARGE}"][0].requests[1].id value']


def test_what_the_service_was_told_is_not_compared():
    """Nor how it ended and who answered."""
    told, refused = asked("size: 1"), asked("size: 1", status_code=9)
    told.outbound.policy, refused.outbound.policy = SENT, BLOCKED
    told.messages.add(direction=capture_pb2.DIRECTION_RESPONSE, body=b"\x0a\x01x")
    assert outcome(side((CHARGE, told)), side((CHARGE, refused))).verdict is Verdict.MATCHED


def test_mappings_are_compared_by_their_keys():
    struct = schema(
        'syntax = "proto3"; import "google/protobuf/struct.proto"; message M { google.protobuf.Struct s = 1; }'
    )
    left, right = struct_pb2.Struct(), struct_pb2.Struct()
    left.update({"amount": 10, "to": "ann"})
    right.update({"amount": 20, "to": "ann"})
    given = {"fingerprint": struct[0], "type_name": "google.protobuf.Struct"}
    calls = [asked(message.SerializeToString(), **given) for message in (left, right)]
    [difference] = outcome(*(side((MAIL, call)) for call in calls), book=(SCHEMA, struct[1])).differences
    assert render(difference.path) == f'outbound["{MAIL}"][0].request.fields["amount"].number_value'


def test_a_call_that_never_came_is_not_taken_for_one_that_was_not_made():
    full, lacking = side((CHARGE, "size: 1")), side(counted=1)
    for result in (outcome(full, lacking), outcome(lacking, full)):
        assert (result.verdict, result.reason, result.differences) == (Verdict.INCOMPARABLE, "outbound_incomplete", ())
        assert (result.sees(Part.ANSWER), result.sees(Part.OUTBOUND)) == (True, False)
    limited = side((CHARGE, "size: 1"), outbound_omitted=3)
    assert outcome(limited, limited).reason == "outbound_incomplete"


def test_an_answer_that_differs_is_a_mismatch_though_the_calls_are_not_all_known():
    result = outcome(side(counted=1), side((CHARGE, "size: 1"), answer='id: "2"'))
    assert (result.verdict, result.partly) == (Verdict.MISMATCHED, ("outbound_incomplete",))


def test_a_schema_that_is_not_known_is_asked_for_and_then_incomparable():
    fingerprint, raw = schema(SHOP.replace("size", "weight"), "other.proto")
    left, right = (side((CHARGE, asked(f"size: {n}", fingerprint=fingerprint))) for n in (1, 2))
    known, lacking = comparer(book=(SCHEMA, raw)), comparer()
    assert lacking.missing_schemas(left, right) == {fingerprint}
    assert lacking.compare(left, right).reason == "outbound_schema"
    assert known.missing_schemas(left, right) == frozenset()
    assert [render(d.path) for d in known.compare(left, right).differences] == [
        f'outbound["{CHARGE}"][0].request.weight'
    ]
    assert lacking.missing_schemas(left, left) == frozenset()


def test_requests_left_out_are_compared_by_hash():
    def large(digest: bytes) -> Capture:
        made = asked(request_count=1)
        made.messages.add(
            direction=capture_pb2.DIRECTION_REQUEST, omission=capture_pb2.OMISSION_MESSAGE_TOO_LARGE, hash=digest
        )
        return made

    assert outcome(side((CHARGE, large(b"1"))), side((CHARGE, large(b"1")))).verdict is Verdict.MATCHED
    assert outcome(side((CHARGE, large(b"1"))), side((CHARGE, large(b"2")))).reason == "outbound_too_large"


def test_private_leaves_of_requests_are_compared_by_their_hashes():
    def private(digest: bytes) -> Capture:
        made = asked("size: 1")
        made.messages[0].private_leaves.add(path="card.number", hmac=digest, key_id="k")
        return made

    left, right = side((CHARGE, private(b"1" * 32))), side((CHARGE, private(b"2" * 32)))
    assert found(left, right) == [f'outbound["{CHARGE}"][0].request.card.number value']
    assert found(left, left) == []


def test_how_an_answer_differs_after_a_blocked_call_is_not_judged():
    result = outcome(side((CHARGE, "size: 1")), side((CHARGE, "size: 1"), answer='id: "2"', blocked_calls=1))
    assert (result.verdict, result.reason, result.differences) == (Verdict.INCOMPARABLE, "blocked", ())
    assert [str(d) for d in result.unjudged] == ["response.id: value"]
    assert (result.sees(Part.ANSWER), result.sees(Part.OUTBOUND)) == (False, True)


def test_what_it_would_have_sent_is_judged():
    result = outcome(side((CHARGE, "size: 1")), side((CHARGE, "size: 2"), answer='id: "2"', blocked_calls=1))
    assert (result.verdict, result.partly) == (Verdict.MISMATCHED, ("blocked",))
    assert [str(d) for d in result.differences] == [f'outbound["{CHARGE}"][0].request.size: value']


def test_a_blocked_call_whose_answer_is_the_same_is_a_match():
    made = (CHARGE, "size: 1")
    assert outcome(side(made), side(made, blocked_calls=1)).verdict is Verdict.MATCHED


def test_what_a_shadow_did_not_do_after_a_blocked_call_ended_it_is_not_judged():
    """Its mail is missing since it stopped at the charge; what it would have charged was seen."""
    primary = side((CHARGE, "size: 1"), (MAIL, 'id: "m"'))
    shadow = side((CHARGE, "size: 2"), blocked_calls=1, status_code=2)
    result = outcome(primary, shadow)
    assert [str(d) for d in result.differences] == [f'outbound["{CHARGE}"][0].request.size: value']
    assert [str(d) for d in result.unjudged] == ["status.code: status", f'outbound["{MAIL}"][0]: missing']


def test_a_shadow_that_goes_on_after_a_blocked_call_and_does_less_is_judged():
    primary = side((CHARGE, "size: 1"), (MAIL, 'id: "m"'))
    assert found(primary, side((CHARGE, "size: 1"), blocked_calls=1)) == [f'outbound["{MAIL}"][0] missing']


def test_of_the_pattern_of_an_outbound_call_the_name_stays():
    path = (Field("outbound"), Key(CHARGE), *rule(Ignore, "x[2].y").scope.path.steps[1:])
    assert pattern_of(path) == f'outbound["{CHARGE}"][*].y'


def test_kinds_of_calls_that_are_compared_are_those_of_lists():
    left = side((CHARGE, 'id: "a" size: 1'), (CHARGE, 'id: "b" size: 2'), (CHARGE, 'id: "c" size: 3'))
    right = side((CHARGE, 'id: "a" size: 1'), (CHARGE, 'id: "c" size: 3'))
    [difference] = outcome(left, right).differences
    assert (render(difference.path), difference.kind, difference.left.id) == (
        f'outbound["{CHARGE}"][1]',
        Kind.MISSING,
        "b",
    )
