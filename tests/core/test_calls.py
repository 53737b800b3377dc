"""What comes of a pair of calls: which end decides, what is compared, and what cannot be."""

from __future__ import annotations

import hashlib

import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_mirror.v1 import capture_pb2
from grpc_mirror.v1.capture_pb2 import Capture
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.calls import MESSAGES_MAX, CallComparer
from mirror.core.compare import CompareOptions
from mirror.core.model import CallRecord, Kind, PairKey, Resource, Role, Verdict
from mirror.core.path import render
from mirror.core.rules import Ignore, RuleSet, Scope, UnorderedList
from mirror.core.schemas import SchemaBook
from tests.core.compare.shapes import SHOP, order, rule, schema

FINGERPRINT, SCHEMA = schema(SHOP)
UNARY, STREAM = capture_pb2.CALL_KIND_UNARY, capture_pb2.CALL_KIND_SERVER_STREAM


def capture(*responses, kind=UNARY, fingerprint=FINGERPRINT, type_name="shop.Order", metadata=(), **fields) -> Capture:
    """A call that answered these: text of an Order, bytes, or a CapturedMessage."""
    made = Capture(
        method="shop.Shop/Get",
        kind=kind,
        response_type=type_name,
        schema_fingerprint=fingerprint,
        initial_metadata_unobserved=True,
        ending=fields.pop("ending", capture_pb2.ENDING_RETURNED),
        request_count=fields.pop("request_count", 1),
        response_count=fields.pop("response_count", len(responses)),
        trailing_metadata=[{"key": key, "value": value} for key, value in metadata],
        **fields,
    )
    for response in responses:
        if isinstance(response, capture_pb2.CapturedMessage):
            made.messages.append(response)
        else:
            body = response if isinstance(response, bytes) else order(response).SerializeToString()
            made.messages.add(body=body, original_size=len(body))
        made.messages[-1].direction = capture_pb2.DIRECTION_RESPONSE
    return made


def record(made: Capture | bytes, role: Role = Role.PRIMARY) -> CallRecord:
    raw = made if isinstance(made, bytes) else made.SerializeToString()
    return CallRecord(
        key=PairKey("run", "shop.Shop/Get", "id"),
        role=role,
        expect=frozenset({Role.CANDIDATE}),
        attempt=1,
        status="OK",
        resource=Resource("shop", "1", "a"),
        trace_id=b"",
        span_id=b"",
        capture=raw,
        arrived_s=0.0,
    )


def comparer(*rules, book=(SCHEMA,), **options) -> CallComparer:
    schemas = SchemaBook()
    for each in book:
        schemas.add(each)
    return CallComparer(schemas, RuleSet(rules), CompareOptions(**options))


def outcome(primary, shadow, *rules, **more):
    return comparer(*rules, **more).compare(record(primary), record(shadow, Role.CANDIDATE))


def found(primary, shadow, *rules, **more) -> list[str]:
    """Each difference as `path kind`; the verdict is checked beside."""
    result = outcome(primary, shadow, *rules, **more)
    expected = Verdict.MISMATCHED if result.differences else Verdict.IGNORED if result.ignored else Verdict.MATCHED
    assert result.verdict is expected
    assert result.difference_count == len(result.differences)
    return [f"{render(d.path)} {d.kind}" for d in result.differences]


def status(*details, code=5) -> bytes:
    made = status_pb2.Status(code=code)
    for detail in details:
        made.details.add().Pack(detail)
    return made.SerializeToString()


def test_unary_answers():
    assert found(capture('id: "1"'), capture('id: "1"')) == []
    assert found(capture('id: "1"'), capture('id: "2"')) == ["response.id value"]
    assert found(capture('id: "1"'), capture()) == ["response missing"]
    assert found(capture(), capture('id: "1"')) == ["response added"]


def test_what_a_rule_excuses_is_no_match():
    result = outcome(capture('id: "1"'), capture('id: "2"'), rule(Ignore, "response.id"))
    assert result.verdict is Verdict.IGNORED
    assert [d.rule for d in result.ignored] == ["r"]


def test_rules_apply_in_their_scope_only():
    elsewhere = Ignore(id="x", scope=Scope(path=rule(Ignore, "response.id").scope.path, methods=("shop.Shop/List",)))
    assert found(capture('id: "1"'), capture('id: "2"'), elsewhere) == ["response.id value"]


def test_streamed_answers():
    a, b, c = ('id: "a" size: 1', 'id: "b" size: 2', 'id: "c" size: 3')
    assert found(capture(a, b, c, kind=STREAM), capture(a, c, kind=STREAM)) == ["responses[1] missing"]
    assert found(capture(a, b, c, kind=STREAM), capture(b, a, c, kind=STREAM)) == ["responses order"]
    unordered = rule(UnorderedList, "responses")
    assert found(capture(a, b, kind=STREAM), capture(b, a, kind=STREAM), unordered) == []
    ignored = outcome(capture(a, kind=STREAM), capture(b, kind=STREAM), rule(Ignore, "responses"))
    assert [str(d) for d in ignored.ignored] == ["responses: value"]


def test_another_status_is_the_only_difference():
    """Messages, details and metadata of two different outcomes are not held against each other."""
    failed = capture(status_code=5, status_details=status(), exception_type="KeyError", metadata=[("x", b"1")])
    result = outcome(capture('id: "1"'), failed)
    (difference,) = result.differences
    assert (str(difference), difference.left, difference.right) == ("status.code: status", "OK", "NOT_FOUND")
    assert difference.note == "raised KeyError"
    assert outcome(capture(), failed, rule(Ignore, "status.code")).verdict is Verdict.IGNORED
    assert outcome(capture(), failed, rule(Ignore, "status")).verdict is Verdict.IGNORED
    assert outcome(capture(), capture(status_code=99)).differences[0].right == "CODE_99"


def test_the_status_message_counts_only_where_asked():
    left, right = (capture(status_code=5, status_message=text) for text in ("no 1", "no 2"))
    assert found(left, right) == []
    assert found(left, right, status_message=True) == ["status.message value"]


def test_status_details_are_decoded():
    info = error_details_pb2.ErrorInfo
    left = capture(status_code=5, status_details=status(info(reason="A"), order('id: "1"')))
    right = capture(status_code=5, status_details=status(info(reason="B"), order('id: "2"')))
    assert found(left, right) == [
        "status.details[0].(google.rpc.ErrorInfo).reason value",
        "status.details[1].(shop.Order).id value",
    ]
    assert found(left, capture(status_code=5)) == ["status.details[0] missing", "status.details[1] missing"]
    assert found(left, capture(status_code=5, status_details=b"\xff")) == ["status.details value"]
    assert found(left, right, rule(Ignore, "status.details")) == []
    one = rule(Ignore, "status.details[*].(google.rpc.ErrorInfo).reason")
    assert found(left, right, one) == ["status.details[1].(shop.Order).id value"]


def test_status_details_of_another_type():
    left = capture(status_code=5, status_details=status(error_details_pb2.ErrorInfo(reason="A")))
    right = capture(status_code=5, status_details=status(error_details_pb2.RetryInfo()))
    (difference,) = outcome(left, right).differences
    assert (str(difference), difference.left) == ("status.details[0]: value", "google.rpc.ErrorInfo")


def test_trailing_metadata():
    """By key, values sorted; what always differs is left out."""
    left = capture(metadata=[("a", b"1"), ("m", b"1"), ("m", b"2"), ("cost", b"5"), ("date", b"x")])
    right = capture(metadata=[("m", b"2"), ("m", b"1"), ("cost", b"6"), ("new", b"1"), ("grpc-x", b"y")])
    assert found(left, right) == [
        'trailing_metadata["a"] missing',
        'trailing_metadata["cost"] value',
        'trailing_metadata["new"] added',
    ]
    assert outcome(left, right).differences[1].pattern == 'trailing_metadata["cost"]'
    assert (
        found(left, right, rule(Ignore, 'trailing_metadata["cost"]'), trailing_metadata_ignore=("a", "n*", "d*", "g*"))
        == []
    )
    right.metadata_truncated = True
    assert found(left, right) == ['trailing_metadata["cost"] value']


def test_initial_metadata_only_where_both_saw_it():
    left, right = (capture(initial_metadata=[{"key": "a", "value": value}]) for value in (b"1", b"2"))
    assert found(left, right) == []
    left.initial_metadata_unobserved = right.initial_metadata_unobserved = False
    assert found(left, right) == ['initial_metadata["a"] value']


CANCELLED, LATE = capture_pb2.ENDING_CLIENT_CANCELLED, capture_pb2.ENDING_DEADLINE_EXCEEDED
CLIENT_STREAM = capture_pb2.CALL_KIND_CLIENT_STREAM


@pytest.mark.parametrize("ending", [CANCELLED, LATE])
def test_a_primary_ended_by_its_client_says_nothing(ending):
    result = outcome(capture(ending=ending, status_code=1), capture('id: "1"'))
    assert (result.verdict, result.reason) == (Verdict.INCOMPARABLE, "client_ended")


@pytest.mark.parametrize("ending", [CANCELLED, LATE])
def test_a_shadow_cut_off_alone_gave_no_answer(ending):
    result = outcome(capture('id: "1"'), capture(ending=ending, status_code=4))
    assert [(str(d), d.kind) for d in result.differences] == [("status.no_answer: no_answer", Kind.NO_ANSWER)]


def test_a_request_that_was_cut_short_says_nothing():
    left, right = (capture(kind=CLIENT_STREAM, request_count=count) for count in (3, 2))
    assert outcome(left, right).reason == "request_cut_short"
    assert outcome(right, left).verdict is Verdict.MATCHED
    unary = capture(request_count=0, status_code=13, ending=capture_pb2.ENDING_MALFORMED_REQUEST)
    assert found(capture(), unary) == ["status.code status"]


def omitted(content: bytes, key_id: str = "", reason=capture_pb2.OMISSION_MESSAGE_TOO_LARGE):
    digest = hashlib.sha256(content).digest() if content else b""
    return capture_pb2.CapturedMessage(omission=reason, hash=digest, key_id=key_id, original_size=1_000_000)


def test_messages_left_out_match_by_their_hash():
    assert found(capture(omitted(b"x")), capture(omitted(b"x"))) == []
    assert found(capture(omitted(b"x"), 'id: "1"', kind=STREAM), capture(omitted(b"x"), 'id: "2"', kind=STREAM)) == [
        "responses[1].id value"
    ]


@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        (capture(omitted(b"x")), capture(omitted(b"y")), "too_large"),
        (capture(omitted(b"x")), capture('id: "1"'), "too_large"),
        (capture(omitted(b"")), capture(omitted(b"")), "too_large"),
        (capture(omitted(b"x", "k1")), capture(omitted(b"x", "k2")), "redaction_key"),
        (capture(response_count=3, kind=STREAM), capture(response_count=3, kind=STREAM), "too_large"),
        (capture(omitted(b"", reason=capture_pb2.OMISSION_NOT_SERIALIZABLE)), capture(), "not_serializable"),
    ],
)
def test_what_cannot_be_compared_has_its_reason(left, right, reason):
    result = outcome(left, right)
    assert (result.verdict, result.reason) == (Verdict.INCOMPARABLE, reason)


def test_private_leaves_of_other_keys_cannot_be_compared():
    left, right = capture('id: "1"'), capture('id: "1"')
    for made, hmac, key in ((left, b"1", "k1"), (right, b"2", "k1")):
        made.messages[0].private_leaves.add(path="card.number", hmac=hmac, key_id=key)
    assert found(left, right) == ["response.card.number value"]
    right.messages[0].private_leaves[0].key_id = "k2"
    assert outcome(left, right).reason == "redaction_key"


def test_a_message_that_cannot_be_decoded_is_a_difference():
    """Unless both sides sent the same bytes."""
    assert found(capture(b"\xff"), capture(b"\xff")) == []
    for left, right in ((b"\xff", ""), ("", b"\xff"), (b"\xff", b"\xfe")):
        (difference,) = outcome(capture(left), capture(right)).differences
        assert str(difference) == "response: value"
        assert difference.note.startswith("cannot be decoded as shop.Order: ")
    assert found(capture("", b"\xff", kind=STREAM), capture("", b"\xfe", kind=STREAM)) == ["responses[1] value"]


def test_without_a_schema_only_equal_bytes_match():
    left, right = capture('id: "1"'), capture('id: "2"')
    engine = comparer(book=())
    pair = record(left), record(right, Role.CANDIDATE)
    assert engine.compare(*pair).reason == "schema"
    assert engine.missing_schemas(*pair) == {FINGERPRINT}
    assert engine.compare(record(left), record(left)).verdict is Verdict.MATCHED
    assert engine.missing_schemas(record(left), record(left)) == frozenset()
    assert comparer().missing_schemas(*pair) == frozenset()


def test_metadata_and_status_need_no_schema():
    left, right = capture('id: "1"'), capture('id: "1"', metadata=[("a", b"1")])
    assert found(left, right, book=()) == ['trailing_metadata["a"] added']
    assert found(left, capture(status_code=5), book=()) == ["status.code status"]


def test_messages_that_are_no_protobuf_compare_by_their_bytes():
    left, right = (capture(body, type_name="", fingerprint="") for body in (b'{"a":1}', b'{"a":2}'))
    assert found(left, left) == []
    assert found(left, right) == ["response value"]


def test_types_inside_an_any_come_from_the_schema():
    left, right = (capture(f'detail {{[x/shop.Card] {{number: "{n}"}}}}') for n in "12")
    assert found(left, right) == ["response.detail.(shop.Card).number value"]
    unknown = any_pb2.Any(type_url="x/other.T", value=b"1")
    assert found(
        capture(order().SerializeToString() + b"b" + bytes([unknown.ByteSize()]) + unknown.SerializeToString()),
        capture(),
    ) == ["response missing"]


def test_an_answer_of_another_type():
    """Fields meet by number whatever the types are called."""
    left = capture('id: "1"')
    right = capture(order('number: "1"', "shop.Card").SerializeToString(), type_name="shop.Card")
    assert found(left, right) == []


def test_a_capture_that_is_none_is_incomparable():
    assert comparer().compare(record(b"\xff"), record(capture())).reason == "capture"
    assert comparer().missing_schemas(record(b"\xff"), record(capture())) == frozenset()


@given(st.binary(max_size=200), st.binary(max_size=200), st.sampled_from([UNARY, STREAM, 0, 9]))
def test_no_bytes_raise(one, other, kind):
    """As bodies, as status details, and as whole captures."""
    left = capture(one, other, kind=kind, status_details=one)
    right = capture(other, kind=kind, status_details=other)
    for primary, shadow in ((left, right), (one, right), (left, other)):
        assert comparer().compare(record(primary), record(shadow)).verdict in Verdict


def test_a_stream_beyond_all_measure_is_not_compared():
    messages = [capture_pb2.CapturedMessage()] * (MESSAGES_MAX + 1)
    stream = capture(*messages, kind=STREAM)
    assert outcome(stream, stream).reason == "too_large"


def test_a_large_loss_is_one_hypothesis():
    """However many messages a stream lost."""
    texts = [f'id: "{n}" size: {n}' for n in range(500)]
    result = outcome(capture(*texts, kind=STREAM), capture(*texts[:20], kind=STREAM))
    assert result.hypotheses == {("responses[*]", Kind.MISSING)}
    assert result.difference_count == 480
    late = outcome(capture(*texts[:20], kind=STREAM), capture(*texts, kind=STREAM))
    assert late.hypotheses == {("responses[*]", Kind.ADDED)}


def test_sizes_of_what_was_compared():
    """All responses, those left out of the capture included."""
    left, right = capture('id: "1"', kind=STREAM), capture('id: "1"', 'id: "22"', kind=STREAM)
    assert outcome(left, right).sizes == (3, 7)
    big = outcome(capture(omitted(b"x")), capture(omitted(b"x")))
    assert big.sizes == (1_000_000, 1_000_000)
    assert outcome(left, capture(status_code=5)).sizes is None


def test_leaves_hashed_with_a_second_key_cannot_be_compared():
    """The key changed in the middle of a stream: not even the same sets of keys say that each leaf has the same one."""
    left, right = (capture('id: "1"', 'id: "2"', kind=STREAM) for _ in range(2))
    for made, keys in ((left, ("k1", "k2")), (right, ("k2", "k1"))):
        for message, key in zip(made.messages, keys, strict=True):
            message.private_leaves.add(path="card.number", hmac=key.encode(), key_id=key)
    assert outcome(left, right).reason == "redaction_key"


def test_a_private_leaf_under_an_ignored_response_is_ignored_and_no_match():
    left, right = capture('id: "1"'), capture('id: "1"')
    for made, hmac in ((left, b"1"), (right, b"2")):
        made.messages[0].private_leaves.add(path="card.number", hmac=hmac, key_id="k")
    assert outcome(left, right, rule(Ignore, "response")).verdict is Verdict.IGNORED
