"""grpc-go's interop client passes the same cases with our interceptors as without, and the captures hold what it checked.

The client checks sizes, statuses and metadata itself; here the captures are held against the same numbers, which are those of
grpc/doc/interop-test-descriptions.md. `make interop` installs it (Go); elsewhere skipped with that reason.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import grpc_mirror
import pytest
from grpc_mirror.v1 import attributes, capture_pb2

from tests.conftest import SHARED, require
from tests.interceptors.receiver import Receiver
from tests.interceptors.servers import serving

pytestmark = pytest.mark.live
CLIENT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grpc-mirror/interop-v1.85.0/client"
CASES = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
    "rpc_soak",
    "channel_soak",
)
SENT, ANSWERED = [27182, 8, 1828, 45904], [31415, 9, 2653, 58979]
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
OK = (0, "")
# case: a sorted list of (method, sizes of request payloads, sizes of response payloads, (code, message)); None: not known
# The client gives up at once, perhaps before the server has looked at the call.
MAY_NOT_ARRIVE = ("timeout_on_sleeping_server", "cancel_after_begin")
CAPTURED = {
    "empty_unary": [("EmptyCall", [0], [0], OK)],
    "large_unary": [("UnaryCall", [271828], [314159], OK)],
    "client_streaming": [("StreamingInputCall", SENT, [0], OK)],
    "server_streaming": [("StreamingOutputCall", [0], ANSWERED, OK)],
    "ping_pong": [("FullDuplexCall", SENT, ANSWERED, OK)],
    "empty_stream": [("FullDuplexCall", [], [], OK)],
    "timeout_on_sleeping_server": [("FullDuplexCall", None, None, (4, ""))],
    "cancel_after_begin": [("StreamingInputCall", [], [], (1, ""))],
    # To an aio handler a client that leaves looks like the end of its requests: it returns, and grpc sends its OK to nobody.
    "cancel_after_first_response": [("FullDuplexCall", [27182], [31415], None)],
    "status_code_and_message": [
        ("FullDuplexCall", [0], [], (2, "test status message")),
        ("UnaryCall", [0], [], (2, "test status message")),
    ],
    "special_status_message": [("UnaryCall", [0], [], (2, SPECIAL))],
    "custom_metadata": [("FullDuplexCall", [1], [1], OK), ("UnaryCall", [1], [1], OK)],
    "unimplemented_method": [],
    "unimplemented_service": [],
    "rpc_soak": [("UnaryCall", [271828], [314159], OK)] * 10,
    "channel_soak": [("UnaryCall", [271828], [314159], OK)] * 10,
}


def run(port, case):
    """What came of one case: exit code and what it printed."""
    command = [CLIENT, "--server_host=127.0.0.1", f"--server_port={port}", f"--test_case={case}"]
    command += [
        f"--additional_metadata=x-mirror-id:{case}",
        "--soak_iterations=10",
        "--soak_overall_timeout_seconds=60",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def seen(one):
    """A capture in the terms of CAPTURED."""
    from tests.live.interop import message  # noqa: PLC0415 - it loads what may not be there

    capture = one.capture
    method = capture.method.rpartition("/")[2]
    kinds = {
        capture_pb2.DIRECTION_REQUEST: capture.request_type,
        capture_pb2.DIRECTION_RESPONSE: capture.response_type,
    }
    sizes = {direction: [] for direction in kinds}
    for held in capture.messages:
        if held.omission:
            sizes[held.direction].append(held.original_size - 12)  # tags and lengths around a large payload
            continue
        name = kinds[held.direction].rpartition(".")[2]
        read = message(name).FromString(held.body) if name else None
        sizes[held.direction].append(len(read.payload.body) if hasattr(read, "payload") else 0)
    return method, *sizes.values(), (capture.status_code, capture.status_message)


def cancelled_as_sync_servers_tell(flavour, receiver):
    """Whether the status of the call cancelled after a response is what the client reports; an aio server cannot know."""
    (one,) = (one for one in receiver.calls if one.attributes[attributes.ID] == "cancel_after_first_response")
    return flavour == "aio" or one.capture.status_code == 1


def comparable(found, expected):
    """What was found, without what the case leaves open."""
    return [
        tuple(None if want is None else have for have, want in zip(one, wanted, strict=True))
        for one, wanted in zip(found, expected, strict=True)
    ]


@pytest.fixture(params=["sync", "aio"])
def flavour(request):
    require("interop-client", "not installed; `make interop` does it where Go is", present=CLIENT.exists())
    require(
        "interop-client", "../shared/components/interop is not here", present=(SHARED / "components/interop").is_dir()
    )
    return request.param


def generic(flavour):
    from tests.live import interop_service  # noqa: PLC0415 - it loads what may not be there

    return interop_service.handlers(interop_service.Sync() if flavour == "sync" else interop_service.Aio())


def test_all_cases_pass_as_without_us_and_are_captured_as_checked(flavour):
    aio = flavour == "aio"
    make = grpc_mirror.aio_server_interceptor if aio else grpc_mirror.server_interceptor
    with serving(generic(flavour), [], aio=aio) as port:
        bare = {case: run(port, case).returncode for case in CASES}
    assert bare == dict.fromkeys(CASES, 0)
    with Receiver() as receiver:
        settings = grpc_mirror.Settings(
            endpoint=receiver.endpoint,
            service_name="interop",
            message_max_bytes=512 * 1024,
            flush_on_sigterm=False,
            batch_age_s=0.05,
        )
        with serving(generic(flavour), [make(settings)], aio=aio) as port:
            ours = {case: run(port, case) for case in CASES}
            assert {case: one.returncode for case, one in ours.items()} == bare, [one.stderr for one in ours.values()]
        assert grpc_mirror.shutdown(20)
        for case, expected in CAPTURED.items():
            found = sorted(seen(one) for one in receiver.calls if one.attributes[attributes.ID] == case)
            if case in MAY_NOT_ARRIVE and not found:
                continue
            assert len(found) == len(expected), (case, found)
            assert comparable(found, expected) == expected, case
        assert cancelled_as_sync_servers_tell(flavour, receiver)
