"""What the tests of the interceptors share: a receiver, and settings that send at once and leave signals alone."""

import socket

import grpc_mirror
import pytest
from grpc_mirror import aio_server, capture, codecs, native, seen, server, sync_calls
from grpc_mirror.aio_calls import AioUnaryCall
from grpc_mirror.counters import Counters
from grpc_mirror.propagation import is_mirrored
from grpc_mirror.sinks.direct import DirectTransport
from grpc_mirror.sinks.sender import Sender
from grpc_mirror.sync_calls import SyncUnaryCall

from tests.conftest import require
from tests.interceptors.receiver import Receiver


@pytest.fixture
def receiver():
    with Receiver() as one:
        yield one
        grpc_mirror.shutdown(5)


@pytest.fixture
def settings(receiver):
    return grpc_mirror.Settings(
        endpoint=receiver.endpoint,
        service_name="echo",
        resource=(("service.version", "1"),),
        batch_age_s=0.01,
        flush_on_sigterm=False,
    )


@pytest.fixture
def sending():
    """Makes senders and stops them at the end."""
    made = []

    def make(settings, connect=DirectTransport):
        counters = Counters()
        sender = Sender(settings, counters, connect)
        made.append(sender)
        return sender, counters

    yield make
    for sender in made:
        sender.shutdown(0.1)


@pytest.fixture
def silent():
    """The endpoint of a listener that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="session")
def compiled():
    """Skips where the compiled parts are not there."""
    there = all(native.part(name) is not None for name in ("calls", "encoding", "queueing"))
    require("native", "grpc-mirror-native is not installed (needs a C compiler), or MIRROR_NATIVE=0", present=there)


@pytest.fixture(scope="module", params=["compiled", "python"])
def calls(request):
    """Calls in both ways, where both are there: what users see of them is the same."""
    if request.param == "compiled":
        request.getfixturevalue("compiled")
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "SYNC_UNARY", SyncUnaryCall)
        patch.setattr(aio_server, "AIO_UNARY", AioUnaryCall)
        patch.setattr(sync_calls, "watched", sync_calls.Responses)
        patch.setattr(seen, "TALLY", seen.Tally)
        for module in (codecs, capture):
            patch.setattr(module, "_NATIVE", None)
        for module in (server, aio_server):
            patch.setattr(module, "mirrored", is_mirrored)
        yield
