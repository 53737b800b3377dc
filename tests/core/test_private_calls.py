"""What the interceptors took out is compared by its hashes, in messages and beside them."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_mirror.call import Outcome
from grpc_mirror.capture import capture_of
from grpc_mirror.records import CallRecord as Record
from grpc_mirror.redact import Redactor
from grpc_mirror.schemas import Types, schema_of
from grpc_mirror.seen import Message
from grpc_mirror.settings import Settings
from grpc_mirror.v1 import capture_pb2, privacy_pb2

from mirror.core.calls import CallComparer
from mirror.core.compare import CompareOptions
from mirror.core.model import CallRecord, PairKey, Resource, Role, Verdict
from mirror.core.path import PathPattern, render
from mirror.core.rules import Ignore, RuleSet, Scope
from mirror.core.schemas import SchemaBook


def customer():
    """A message class whose file imports our option's, as a service's own would."""
    assert privacy_pb2.DESCRIPTOR.name == "grpc_mirror/v1/privacy.proto"
    file = descriptor_pb2.FileDescriptorProto(name="private_calls.proto", package="private_calls", syntax="proto3")
    file.dependency.append(privacy_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="Customer")
    for number, name in enumerate(("name", "email", "phones", "nick"), start=1):
        label = 3 if name == "phones" else 1
        field = message.field.add(name=name, number=number, type=9, label=label)
        field.options.Extensions[privacy_pb2.private] = name != "name"
    message.oneof_decl.add(name="_nick")
    message.field[3].proto3_optional = True
    message.field[3].oneof_index = 0
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("private_calls.Customer"))


Customer = customer()
SCHEMA = schema_of([Customer.DESCRIPTOR])


def captured(answer, *, code=0, text="", trailing=(), key="a key for the tests", **settings):
    """What a replica sends of a call that answered this."""
    chosen = Settings(endpoint="collector:4317", redaction_key=key, **settings)
    raw = answer.SerializeToString()
    outcome = Outcome(code, text, capture_pb2.ENDING_RETURNED)
    record = Record(
        metadata=(),
        method="s.S/M",
        kind=capture_pb2.CALL_KIND_UNARY,
        current=None,
        span_id=bytes(8),
        outcome=outcome,
        requests=(),
        responses=(Message(0, len(raw), raw),),
        request_type=Customer,
        response_type=Customer,
        request_count=1,
        response_count=1,
        omitted=(),
        initial_metadata=None,
        trailing_metadata=tuple(trailing),
        deadline_ns=0,
        start_unix_ns=0,
        duration_ns=0,
        size=0,
    )
    kind = Customer.DESCRIPTOR
    types = Types(kind.full_name, kind.full_name, SCHEMA.fingerprint, kind, kind)
    parts = capture_of(record, 0, types, chosen, Redactor(chosen, lambda _: None)).parts
    return capture_pb2.Capture.FromString(b"".join(parts))


def outcome(left, right, *rules, **options):
    book = SchemaBook()
    book.add(SCHEMA.SerializeToString())
    records = [
        CallRecord(
            key=PairKey("run", "s.S/M", "id"),
            role=role,
            expect=frozenset({Role.CANDIDATE}),
            attempt=1,
            status="OK",
            resource=Resource("s", "1", "a"),
            trace_id=b"",
            span_id=b"",
            capture=capture.SerializeToString(),
            arrived_s=0.0,
        )
        for role, capture in ((Role.PRIMARY, left), (Role.CANDIDATE, right))
    ]
    return CallComparer(book, RuleSet(rules), CompareOptions(**options)).compare(*records)


def found(left, right, *rules, **options):
    result = outcome(left, right, *rules, **options)
    assert result.verdict in (Verdict.MATCHED, Verdict.MISMATCHED)
    return [f"{render(difference.path)} {difference.kind}" for difference in result.differences]


ANN = Customer(name="Ann", email="ann@example.org", phones=["1", "2"], nick="a")


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (ANN, []),
        (Customer(name="Ann", email="ann@example.com", phones=["1", "2"], nick="a"), ["response.email value"]),
        (Customer(name="Ann", phones=["1", "2"], nick="a"), ["response.email missing"]),
        (Customer(name="Ann", email="ann@example.org", phones=["2", "1"], nick="a"), ["response.phones value"]),
        (Customer(name="Ann", email="ann@example.org", phones=["1", "2"], nick=""), ["response.nick value"]),
        (Customer(name="Ann", email="ann@example.org", phones=["1", "2"]), ["response.nick missing"]),
        (
            Customer(name="Bob", email="bob@example.org", phones=["1", "2"], nick="a"),
            ["response.name value", "response.email value"],
        ),
    ],
)
def test_private_fields_of_answers(other, expected):
    assert found(captured(ANN), captured(other)) == expected
    assert b"example" not in captured(other).SerializeToString()


def test_without_keys_only_presence_and_emptiness_can_be_told():
    def blind(**fields):
        return captured(Customer(**fields), key="")

    assert found(blind(email="a"), blind(email="b")) == []
    assert found(blind(email="a"), blind()) == ["response.email missing"]
    assert found(blind(nick="a"), blind(nick="")) == ["response.nick value"]
    assert found(blind(nick=""), blind(nick="")) == []


def test_other_keys_cannot_be_compared():
    result = outcome(captured(ANN), captured(ANN, key="another key of tests"))
    assert (result.verdict, result.reason) == (Verdict.INCOMPARABLE, "redaction_key")
    silent = Customer(name="Ann")
    left, right = (
        captured(silent, text="no", code=5, key=key) for key in ("a key for the tests", "another key of tests")
    )
    assert outcome(left, right).reason == "redaction_key"


def test_the_status_text_counts_where_it_is_asked_for():
    left, right = (captured(ANN, code=5, text=text) for text in ("no ann", "no bob"))
    assert found(left, right) == []
    assert found(left, right, status_message=True) == ["status.message value"]
    assert found(left, left, status_message=True) == []


def test_trailing_metadata_by_key():
    left = captured(ANN, trailing=[("x-user", "1"), ("x-user", "2"), ("date", "1")])
    assert found(left, captured(ANN, trailing=[("x-user", "2"), ("x-user", "1"), ("date", "1")])) == []
    right = captured(ANN, trailing=[("x-user", "1"), ("date", "2")])
    expected = ['trailing_metadata["date"] value', 'trailing_metadata["x-user"] value']
    assert found(left, right, trailing_metadata_ignore=()) == expected
    assert found(left, right, trailing_metadata_ignore=("d*",)) == expected[1:]
    scope = Scope(path=PathPattern.parse('trailing_metadata["x-user"]'))
    rule = Ignore(id="r", scope=scope)
    assert outcome(left, right, rule, trailing_metadata_ignore=("d*",)).verdict is Verdict.IGNORED


def test_bodies_that_redaction_left_out_are_incomparable_unless_they_are_the_same():
    one, other = (captured(Customer(name=name), private=("response",)) for name in ("Ann", "Bob"))
    assert outcome(one, one).verdict is Verdict.MATCHED
    result = outcome(one, other)
    assert (result.verdict, result.reason) == (Verdict.INCOMPARABLE, "private")


def test_an_ignore_rule_covers_a_private_field():
    rule = Ignore(id="r", scope=Scope(path=PathPattern.parse("response.email")))
    result = outcome(captured(ANN), captured(Customer(name="Ann", phones=["1", "2"], nick="a")), rule)
    assert result.verdict is Verdict.IGNORED
