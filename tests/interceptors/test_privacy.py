"""Nothing private leaves the process: real servers, a real receiver, every place that bytes or words come out of."""

import logging
from dataclasses import replace

import grpc_mirror
import pytest
from google.protobuf.json_format import MessageToJson
from grpc_mirror import redact
from grpc_mirror.v1 import attributes, capture_pb2
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.interceptors import vault, vault_server
from tests.interceptors.vault_server import ENDINGS, PLANTED, SECRET, call, leaves_of, settings_for

OPEN = b"open"


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.parametrize("aio", [False, True], ids=["sync", "aio"])
@pytest.mark.parametrize("sink", ["direct", "tracer"])
def test_no_ending_lets_anything_private_out(receiver, logged, sink, aio):
    settings = settings_for(receiver, sink=sink)
    for ending in ENDINGS:
        call(settings, ending, ending, aio=aio)
    assert all(receiver.call(ending).capture.messages for ending in ENDINGS)
    for exported in receiver.requests:
        assert PLANTED not in exported
    # What the service's own libraries say of its exception is theirs; ours say nothing of it.
    ours = [record.getMessage() for record in logged.records if record.name.startswith("grpc_mirror")]
    assert not any(SECRET in line or vault_server.KEY in line for line in ours)
    assert b"open" in receiver.requests[-1], "what is public is there"


def test_a_users_exporter_gets_nothing_private(receiver, logged):
    exporter = InMemorySpanExporter()
    settings = settings_for(receiver, sink="tracer", exporter=exporter)
    for ending in ENDINGS:
        call(settings, ending, ending)
    spans = exporter.get_finished_spans()
    assert len([span for span in spans if span.name == "vault.Vault/Put"]) == len(ENDINGS)
    for span in spans:
        assert SECRET not in repr(
            (span.name, span.attributes, span.events, span.status.description, span.resource.attributes)
        )
        assert not any(PLANTED in value for value in span.attributes.values() if isinstance(value, bytes))
    assert not any(SECRET in record.getMessage() for record in logged.records if record.name.startswith("grpc_mirror"))


def test_what_a_redacted_call_shows(receiver):
    call(settings_for(receiver), "abort_with_status", "one")
    capture = receiver.call("one").capture
    assert capture.status_message == ""
    found = leaves_of(capture)
    outside = {path for path in found if path[0] not in "12"}
    assert outside == {
        "status.message",
        "status.details[0].(vault.Card).p_number",
        "status.details[2].(no.Such)",
        "status.details[3]",
        'request_metadata["x-token"]',
        'trailing_metadata["x-raw-bin"]',
        'trailing_metadata["x-user"]',
    }
    assert all(found[path] for path in outside)
    assert {(entry.key, entry.value) for entry in capture.request_metadata} == {("x-lang", OPEN)}
    assert {(entry.key, entry.value) for entry in capture.trailing_metadata} == {("x-open", OPEN)}
    assert OPEN in capture.status_details
    assert {leaf.key_id for leaf in capture.private_leaves} == {redact.canonical.KeyedHash(vault_server.KEY).key_id}


def test_of_an_exception_only_the_type_is_told(receiver):
    call(settings_for(receiver), "raise", "one")
    capture = receiver.call("one").capture
    assert capture.exception_type.endswith("SecretError")
    assert SECRET not in MessageToJson(capture)


def test_both_replicas_of_a_call_have_the_same_leaves(receiver):
    for aio in (False, True):
        call(settings_for(receiver), "return", str(aio), aio=aio)
    assert leaves_of(receiver.call("False").capture) == leaves_of(receiver.call("True").capture)


def test_without_a_key_nothing_is_hashed_and_one_line_says_so(receiver, logged):
    settings = settings_for(receiver, redaction_key="")
    for ending in ENDINGS:
        call(settings, ending, ending)
        assert not any(leaves_of(receiver.call(ending).capture).values())
    assert not any(PLANTED in exported for exported in receiver.requests)
    lines = [record.getMessage() for record in logged.records if "MIRROR_REDACTION_KEY" in record.getMessage()]
    assert len(lines) == 1


def test_the_status_text_is_kept_where_a_setting_says_so(receiver):
    call(settings_for(receiver, keep_status_message=True), "abort", "one")
    assert receiver.call("one").capture.status_message == f"no {SECRET}"


def test_large_bodies_leave_a_keyed_hash(receiver):
    settings = settings_for(receiver, message_max_bytes=100)
    call(settings, "return", "one")
    request, response = receiver.call("one").capture.messages
    for message in (request, response):
        assert message.omission == capture_pb2.OMISSION_MESSAGE_TOO_LARGE
        assert (len(message.hash), len(message.key_id)) == (32, 16)
    call(settings_for(receiver, message_max_bytes=100, redaction_key=""), "return", "two")
    assert [(m.hash, m.key_id) for m in receiver.call("two").capture.messages] == [(b"", "")] * 2


def test_a_body_that_cannot_be_redacted_is_dropped_and_reported(receiver, monkeypatch, logged):
    def broken(*_):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(redact.Redactor, "walk", broken)
    call(settings_for(receiver), "abort_with_status", "one")
    capture = receiver.call("one").capture
    assert [m.omission for m in capture.messages] == [capture_pb2.OMISSION_REDACTION_FAILED]
    assert not any(PLANTED in exported for exported in receiver.requests)
    receiver.wait_for(lambda: any(report.conditions.get("redaction_failed", 0) >= 1 for report in receiver.reports))
    assert not any(SECRET in record.getMessage() for record in logged.records if record.name.startswith("grpc_mirror"))


def test_a_pattern_that_named_nothing_is_logged_at_the_end(receiver, logged):
    settings = replace(settings_for(receiver), private=("request.txet",))
    call(settings, "return", "one")
    grpc_mirror.shutdown(10)
    assert any(record.getMessage().count("request.txet") for record in logged.records if record.name == "grpc_mirror")


def test_switched_off_it_says_so_and_sends_what_it_sees(receiver, logged):
    settings = grpc_mirror.Settings(
        endpoint=receiver.endpoint, redact="off", batch_age_s=0.01, flush_on_sigterm=False, metadata=("x-token",)
    )
    call(settings, "return", "one")
    assert any(PLANTED in exported for exported in receiver.requests)
    assert any("redaction is off" in record.getMessage() for record in logged.records)


def test_a_service_that_declares_nothing_private_is_captured_as_it_is(receiver):
    settings = grpc_mirror.Settings(endpoint=receiver.endpoint, batch_age_s=0.01, flush_on_sigterm=False)
    from tests.interceptors.servers import RICH, Client, SyncEcho, handlers, notes, serving  # noqa: PLC0415

    with serving(handlers(SyncEcho()), [grpc_mirror.server_interceptor(settings)], aio=False) as port:
        client = Client(port)
        client.call("Unary", notes("abort_with_status"), "one")
        client.close()
    one = receiver.call("one")
    assert (one.capture.status_message, one.capture.status_details) == ("none", RICH)
    assert {entry.key for entry in one.capture.trailing_metadata} == {"t", "raw-bin"}
    assert not one.capture.private_leaves
    assert attributes.CAPTURE in one.attributes


def test_the_vault_is_full():
    """The secret stands in every private place, so that a test that does not find it has looked for it."""
    made = vault.safe(SECRET, "open", depth=0)
    private = {field.name for field in made.DESCRIPTOR.fields if field.name.startswith("p_")}
    assert private - {field.name for field, _ in made.ListFields()} == set()
    for name in ("p_string", "p_bytes", "p_plain", "p_texts", "p_labels", "p_any", "p_way", "p_maybe"):
        one = type(made)()
        value = getattr(made, name)
        if hasattr(value, "CopyFrom"):
            getattr(one, name).CopyFrom(value)
        elif isinstance(value, (str, bytes)):
            setattr(one, name, value)
        else:
            getattr(one, name).MergeFrom(value)
        assert PLANTED in one.SerializeToString(), name
    assert PLANTED in vault_server.rich()
