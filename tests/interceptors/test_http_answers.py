"""OTLP over HTTP, the pure of it: what an answer means, what is put together, and by which protocol one goes where."""

import pytest
from grpc_mirror.settings import Settings, SettingsError
from grpc_mirror.sinks.http_answers import plain_ok, result_of
from grpc_mirror.sinks.over_http import JOIN_BYTES, joined
from hypothesis import given
from hypothesis import strategies as st

KIB = 1024
HTTP = "http/protobuf"


@given(st.binary(max_size=60).map(lambda noise: b"HTTP/1.1 200 " + noise) | st.binary(max_size=80))
def test_what_is_taken_for_a_plain_answer_is_one(answer):
    """Whatever else it may be, http.client decides."""
    body = plain_ok(answer)
    if body is not None:
        head = answer.removesuffix(body)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"content-length: %d" % len(body) in head.lower().replace(b":", b": ").replace(b":  ", b": ")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 1\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nab",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nab",
    ],
)
def test_what_is_no_plain_answer(answer):
    assert plain_ok(answer) is None
    assert plain_ok(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab") == b"ab"


def test_an_address_that_takes_no_otlp_is_told_as_such():
    """The collector's page, say: not a page of HTML in the log."""
    assert result_of(404, None, b"<html>...", "Not Found").words == "no OTLP is taken at this address"


@given(st.lists(st.one_of(st.integers(0, 40), st.integers(0, 200 * KIB)), max_size=30))
def test_pieces_are_put_together_and_large_ones_are_not_copied(sizes):
    pieces = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    found = list(joined(pieces))
    assert b"".join(found) == b"".join(pieces)
    assert all(any(one is piece for piece in pieces) for one in found if len(one) > JOIN_BYTES)
    assert len(found) <= 2 * sum(len(piece) >= 16 * KIB for piece in pieces) + 1 + sum(sizes) // (JOIN_BYTES // 2)


@pytest.mark.parametrize(
    ("status", "retryable", "too_large"),
    [(400, False, False), (403, False, False), (413, False, True), (500, False, False)]
    + [(status, True, False) for status in (408, 429, 502, 503, 504)],
)
def test_statuses(status, retryable, too_large):
    result = result_of(status, "7", b"<html>", "Phrase")
    assert (result.ok, result.retryable, result.too_large) == (False, retryable, too_large)
    assert result.retry_after_s == (7 if retryable else None)
    assert (result.reason, result.words) == (f"HTTP {status}", "<html>")
    assert result_of(status, "soon", b"", "Phrase").words == "Phrase"


def test_an_ok_that_is_not_understood_is_one():
    assert result_of(200, None, b"\xff", "OK").ok


@pytest.mark.parametrize(
    ("endpoint", "protocol", "over_http", "lookups"),
    [
        ("c:4317", "", False, ("c:4317",)),
        ("c:4318", "", True, ("c:4317",)),
        ("https://[::1]:4318", "", True, ("https://[::1]:4317",)),
        ("a:4318,b:4318", "", True, ("a:4317", "b:4317")),
        ("c:4318", "grpc", False, ("c:4318",)),
        ("c:9000", HTTP, True, ("",)),
        ("", "", False, ()),
    ],
)
def test_the_protocol_is_as_said_or_by_the_port(endpoint, protocol, over_http, lookups):
    settings = Settings(endpoint=endpoint, protocol=protocol)
    assert (settings.over_http, settings.lookups) == (over_http, lookups)


def test_the_place_for_questions_may_be_another():
    settings = Settings(endpoint="a:4318,b:4318", lookup_endpoint="a:1, b:2")
    assert settings.lookups == ("a:1", "b:2")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"protocol": "http/protobof"}, "did you mean 'http/protobuf'?"),
        ({"endpoint": "a:4317,b:4318"}, "some have port 4318"),
        ({"endpoint": "unix:/a", "protocol": HTTP}, "sockets of this kind are for protocol=grpc"),
        ({"lookup_endpoint": "b:1,c:1"}, "lookup_endpoint: 2 of them, but 1 in endpoint"),
        ({"lookup_endpoint": "b"}, "lookup_endpoint='b': not host:port"),
    ],
)
def test_what_does_not_go_together(wrong, told):
    with pytest.raises(SettingsError) as error:
        Settings(**{"endpoint": "a:4317", **wrong})
    assert told in str(error.value)
