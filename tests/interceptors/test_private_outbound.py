"""Nothing private leaves by the captures of outbound calls: their bodies, status and hashes are made of what is left."""

# ruff: noqa: N802 - gRPC names handlers after their methods

import contextlib

import grpc
import grpc_mirror
import pytest
from grpc_mirror.outbound_span import request_hash
from grpc_mirror.v1 import capture_pb2

from tests.interceptors.calling import FLAVOURS, outbound_spans
from tests.interceptors.servers import serving
from tests.interceptors.vault import Safe, safe
from tests.interceptors.vault_server import ENDINGS, METHOD, PLANTED, SECRET, Vault, leaves_of, settings_for

OPEN = safe("", "open")


def vault(servicer):
    handler = grpc.unary_unary_rpc_method_handler(servicer.Put, Safe.FromString, Safe.SerializeToString)
    return grpc.method_handlers_generic_handler("vault.Vault", {"Put": handler})


def put(channel):
    return channel.unary_unary(METHOD, Safe.SerializeToString, Safe.FromString)


class Front:
    def __init__(self, target, requests, effects):
        self.target, self.requests, self.effects = target, requests, effects

    def Put(self, request, context):
        plain = grpc.insecure_channel(self.target)
        channel = grpc.intercept_channel(plain, grpc_mirror.client_interceptor())
        for one in self.requests:
            with contextlib.suppress(grpc.RpcError):
                put(channel)(one)
        plain.close()
        self.effects()
        return OPEN


class AioFront(Front):
    async def Put(self, request, context):
        ours = grpc_mirror.aio_client_interceptors()
        async with grpc.aio.insecure_channel(self.target, interceptors=ours) as channel:
            for one in self.requests:
                with contextlib.suppress(grpc.RpcError):
                    await put(channel)(one)
        self.effects()
        return OPEN


def mirrored(receiver, requests, *, flavour="sync", effects=lambda: None, spans=None, mirror_id="one", **settings):
    """A mirrored call whose handler sends these on and then does the effects: the captures of what it called."""
    settings = settings_for(receiver, **settings)
    aio = flavour != "sync"
    with serving(vault(Vault()), [], aio=False) as back:
        front = (AioFront if aio else Front)(f"127.0.0.1:{back}", requests, effects)
        make = grpc_mirror.aio_server_interceptor if aio else grpc_mirror.server_interceptor
        with serving(vault(front), [make(settings)], aio=aio) as port:
            channel = grpc.insecure_channel(f"127.0.0.1:{port}")
            put(channel)(OPEN, metadata=(("x-mirror-id", mirror_id),), timeout=30)
            channel.close()
    assert grpc_mirror.flush(20)
    found = outbound_spans(receiver, spans or len(requests))
    return [one.capture for one in found if one.attributes["mirror.id"] == mirror_id]


@pytest.mark.parametrize("sink", ["direct", "tracer"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_no_outbound_call_lets_anything_private_out(receiver, flavour, sink):
    """However it ends; messages, status text, rich details and trailing metadata leave their leaves instead."""
    requests = [safe(SECRET, ending) for ending in ENDINGS]
    assert all(PLANTED in request.SerializeToString() for request in requests)
    captures = mirrored(receiver, requests, flavour=flavour, sink=sink)
    assert not any(PLANTED in exported for exported in receiver.requests)
    assert len(captures) == len(ENDINGS)
    for capture in captures:
        assert not any(message.omission for message in capture.messages)
        assert b"open" in capture.SerializeToString() or capture.status_code, "what is public is there"
    by_ending = dict(zip(ENDINGS, map(leaves_of, captures), strict=True))
    assert all("1.card.p_number" in found for found in by_ending.values())
    assert "2.card.p_number" in by_ending["return"]
    assert "status.message" in by_ending["abort"]
    assert any(path.startswith("status.details") for path in by_ending["abort_with_status"])


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_no_effect_lets_anything_private_out(receiver, flavour):
    """Messages by their fields, mappings by a pattern, bytes because a pattern could have named something in them."""

    def effects():
        for payload in (safe(SECRET, "open"), {"card": SECRET, "amount": 10}, PLANTED):
            with grpc_mirror.outbound("stripe.charge", request=payload) as call:
                call.response(payload)

    with_patterns = {"private": ('**.fields["card"]',)}
    found = mirrored(receiver, (), flavour=flavour, effects=effects, spans=3, **with_patterns)
    assert not any(PLANTED in exported for exported in receiver.requests)
    message, mapping, raw = found
    assert b"open" in message.messages[0].body
    assert '1.fields["card"]' in leaves_of(mapping)
    assert b"amount" in mapping.messages[0].body
    assert [one.omission for one in raw.messages] == [capture_pb2.OMISSION_PRIVATE] * 2


def test_an_outbound_calls_hash_is_of_what_is_left(receiver):
    """So that it tells nothing that can be tried out; with a key it tells private values apart, else it does not."""
    requests = [safe(SECRET, "open"), safe(SECRET + "2", "open"), safe(SECRET, "other"), safe(SECRET, "open")]
    keyed = mirrored(receiver, requests)
    for capture in keyed:
        assert capture.outbound.request_hash == request_hash(capture.messages)
    hashes = [capture.outbound.request_hash for capture in keyed]
    assert hashes[0] == hashes[3]
    assert len(set(hashes)) == 3
    again = mirrored(receiver, requests, mirror_id="again", spans=8)
    assert [capture.outbound.request_hash for capture in again] == hashes, "the same in every replica"
    grpc_mirror.shutdown()
    keyless = mirrored(receiver, requests, mirror_id="keyless", spans=12, redaction_key="")
    hashes = [capture.outbound.request_hash for capture in keyless]
    assert hashes[0] == hashes[1] == hashes[3] != hashes[2]


def test_a_private_value_that_is_empty_is_in_the_hash():
    """Neither has an hmac: only `empty` tells it from one that went without a hash."""

    def of(**leaf):
        message = capture_pb2.CapturedMessage(direction=capture_pb2.DIRECTION_REQUEST)
        message.private_leaves.add(path="p", **leaf)
        return request_hash([message])

    assert len({of(), of(empty=True), of(hmac=b"x"), request_hash([])}) == 4
