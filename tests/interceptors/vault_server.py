"""Serves `vault.Vault/Put` on a real server with our interceptor, and calls it with something private everywhere.

Run as a module it prints, for the protobuf that is installed, the leaves of one call as JSON; it fails where a secret shows.
"""

# ruff: noqa: N802 - gRPC names handlers after their methods

import json
import sys

import google.protobuf
import grpc
import grpc_mirror
from google.protobuf import any_pb2
from grpc_mirror.wire import bytes_field, int_field

from tests.interceptors.receiver import Receiver
from tests.interceptors.servers import serving
from tests.interceptors.vault import Card, Plain, Safe, old, safe

METHOD = "/vault.Vault/Put"
KEY = "a key for the tests"
SECRET = "s3cret"
PLANTED = SECRET.encode()
TRAILING = (("x-user", SECRET), ("x-open", "open"), ("x-raw-bin", PLANTED))
ENDINGS = ("return", "abort", "abort_with_status", "raise")


class Rich(grpc.Status):
    def __init__(self, details):
        self.code = grpc.StatusCode.NOT_FOUND
        self.details = f"no {SECRET}"
        self.trailing_metadata = (("grpc-status-details-bin", details), *TRAILING, ("x-user", SECRET + "2"))


def packed(message):
    made = any_pb2.Any()
    made.Pack(message)
    return made


def rich():
    """A serialised google.rpc.Status: known details, one of an unknown type, one of an unusual one, an unknown field."""
    details = [
        packed(Card(p_number=SECRET, note="open")),
        packed(Plain(text="open")),
        any_pb2.Any(type_url="type.googleapis.com/no.Such", value=PLANTED),
        any_pb2.Any(type_url=f"{SECRET}/no.Such", value=PLANTED),
    ]
    parts = [int_field(1, 5), bytes_field(2, f"no {SECRET}".encode())]
    parts += [bytes_field(3, detail.SerializeToString()) for detail in details]
    return b"".join([*parts, bytes_field(9, PLANTED)])


class SecretError(Exception):
    """Says a secret."""


def end(request, context):
    context.set_trailing_metadata(TRAILING)
    if request.text == "raise":
        raise SecretError(f"no {SECRET}")
    return {"abort": (grpc.StatusCode.NOT_FOUND, f"no {SECRET}")}.get(request.text)


class Vault:
    def Put(self, request, context):
        if abort := end(request, context):
            context.abort(*abort)
        if request.text == "abort_with_status":
            context.abort_with_status(Rich(rich()))
        return safe(SECRET, "open")


class AioVault:
    async def Put(self, request, context):
        if abort := end(request, context):
            await context.abort(*abort)
        if request.text == "abort_with_status":
            await context.abort_with_status(Rich(rich()))
        return safe(SECRET, "open")


def call(settings, ending, mirror_id, *, aio=False, request=None):
    """One call; returns when its capture was delivered. The client got its answer in plain."""
    echo = AioVault() if aio else Vault()
    make = grpc_mirror.aio_server_interceptor if aio else grpc_mirror.server_interceptor
    handler = grpc.unary_unary_rpc_method_handler(echo.Put, Safe.FromString, Safe.SerializeToString)
    generic = grpc.method_handlers_generic_handler("vault.Vault", {"Put": handler})
    metadata = (("x-mirror-id", mirror_id), ("x-token", SECRET), ("x-lang", "open"), ("x-hidden", SECRET))
    with serving(generic, [make(settings)], aio=aio) as port:
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        put = channel.unary_unary(METHOD, Safe.SerializeToString, Safe.FromString)
        try:
            got = put(request or safe(SECRET, ending), metadata=metadata, timeout=30)
            assert got == safe(SECRET, "open")
        except grpc.RpcError as error:
            assert SECRET in error.details()  # noqa: PT017 - some endings have a status and some have none
        channel.close()
    assert grpc_mirror.flush(20)


def settings_for(receiver, **more):
    private = ('request_metadata["x-token"]',)
    more = {"redaction_key": KEY, "metadata": ("x-lang", "x-token", "x-open"), "private": private, **more}
    return grpc_mirror.Settings(
        endpoint=receiver.endpoint,
        service_name="vault",
        batch_age_s=0.01,
        flush_on_sigterm=False,
        **more,
    )


def leaves_of(capture):
    """All leaves of a call by their place."""
    found = {leaf.path: leaf.hmac.hex() for leaf in capture.private_leaves}
    for message in capture.messages:
        found |= {f"{message.direction}.{leaf.path}": leaf.hmac.hex() for leaf in message.private_leaves}
    return found


def proto2():
    """A request with an Any that holds a message with a group and extensions."""
    made = Safe()
    made.payload.Pack(old(SECRET, "open"))
    assert PLANTED in made.payload.value
    return made


def main():
    found = {}
    with Receiver() as receiver:
        for sink in ("direct", "tracer"):
            for ending in ENDINGS:
                call(settings_for(receiver, sink=sink), ending, f"{sink} {ending}")
                capture = receiver.call(f"{sink} {ending}").capture
                assert not any(message.omission for message in capture.messages), ending
                found[ending] = leaves_of(capture)
            call(settings_for(receiver, sink=sink), "return", f"{sink} proto2", request=proto2())
            found["proto2"] = leaves_of(receiver.call(f"{sink} proto2").capture)
        assert not any(PLANTED in request for request in receiver.requests)
        assert grpc_mirror.shutdown()
    json.dump({"version": google.protobuf.__version__, "leaves": found}, sys.stdout, sort_keys=True)


if __name__ == "__main__":
    main()
