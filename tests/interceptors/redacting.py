"""Redaction of one message, for the tests."""

from google.protobuf import any_pb2
from grpc_mirror.redact import Redactor
from grpc_mirror.settings import Settings
from grpc_mirror.v1 import capture_pb2

from tests.interceptors.vault import Safe

REQUEST, RESPONSE = capture_pb2.DIRECTION_REQUEST, capture_pb2.DIRECTION_RESPONSE
KEY = "a key for the tests"
SECRET = "s3cret"


def redactor(*private, notices=None, **more):
    more.setdefault("redaction_key", KEY)
    return Redactor(Settings(private=private, **more), (notices if notices is not None else []).append)


def redact(message, *private, raw=None, direction=REQUEST, **more):
    call = redactor(*private, **more).call(message.DESCRIPTOR, message.DESCRIPTOR)
    return call.body(message.SerializePartialToString() if raw is None else raw, direction)


def left(message, *private, **more):
    """The message as it may leave."""
    body = redact(message, *private, **more)
    assert not body.omission
    return type(message).FromString(body.body)


def leaves(message, *private, **more):
    return {leaf.path: leaf for leaf in redact(message, *private, **more).leaves}


def nested(raw, times):
    """A serialised Safe within so many others."""
    for _ in range(times):
        outer = Safe()
        outer.child.MergeFromString(raw)
        raw = outer.SerializeToString()
    return raw


def holder(packed, prefix="type.googleapis.com/"):
    made = any_pb2.Any()
    made.Pack(packed, type_url_prefix=prefix)
    return made
