"""Installed by pip and started as a user starts a service: by one argument, and by `opentelemetry-instrument`, on every protobuf."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest
from grpc_mirror.v1 import capture_pb2

from tests.interceptors.calling import Back
from tests.interceptors.echo import KINDS, Note
from tests.interceptors.environments import VERSIONS, environment
from tests.interceptors.servers import Client, handlers, notes, serving

HERE = Path(__file__).parent
PARENT = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


def command(python, install, flavour, back_port):
    if install == "argument":
        return [python, HERE / "argument_service.py", flavour]
    return [
        python.with_name("opentelemetry-instrument"),
        python,
        HERE / "plain_service.py",
        flavour,
        f"127.0.0.1:{back_port}",
    ]


@contextlib.contextmanager
def started(root, words, endpoint):
    """The service's process and a client of it. Of this process's environment it has nothing that could help it find us."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MIRROR_", "OTEL_"))}
    env |= {
        "PYTHONPATH": str(root),  # for the tests' own modules; ours is installed
        "MIRROR_ENDPOINT": endpoint,
        "MIRROR_BATCH_AGE_S": "3600",  # what arrives was flushed at the end
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "service.version=1.4.2",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    with subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True, env=env) as child:
        try:
            client = Client(int(child.stdout.readline()))
            yield child, client
            client.close()
        finally:
            child.kill()


@pytest.mark.live
@pytest.mark.timeout(240)
@pytest.mark.parametrize("flavour", ["sync", "aio"])
@pytest.mark.parametrize("install", ["argument", "instrument"])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_kind_of_call_is_captured(root, receiver, version, install, flavour):
    python = environment(root, version)
    installed = "import google.protobuf, grpc_mirror; print(google.protobuf.__version__, grpc_mirror.__file__)"
    found = subprocess.run([python, "-c", installed], capture_output=True, text=True, check=True, cwd="/")
    assert found.stdout.startswith(version)
    assert str(root) in found.stdout
    with (
        serving(handlers(Back()), (), aio=False) as back_port,
        started(root, command(python, install, flavour, back_port), receiver.endpoint) as (child, client),
    ):
        for kind in KINDS:
            seen = client.call(kind, notes("return"), kind, metadata=(PARENT,))
            assert Note.FromString(seen.responses[-1]).text.startswith("return")
        client.call("Unary", notes("not mirrored"))
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == -signal.SIGTERM
    calls = {call.attributes["mirror.id"]: call for call in receiver.calls if "mirror.outbound" not in call.attributes}
    assert calls.keys() == set(KINDS)
    outbound = len(receiver.calls) - len(calls)
    assert outbound == (install == "instrument")  # which sees to channels too
    for kind, call in calls.items():
        assert call.attributes["rpc.method"] == f"mirrortest.Echo/{kind}"
        assert call.resource["service.name"] == "shop"
        assert call.resource["service.version"] == "1.4.2"
        assert call.span.trace_id.hex() in PARENT[1]
        assert call.capture.ending == capture_pb2.ENDING_RETURNED
        assert call.capture.schema_fingerprint in {schema.fingerprint for schema in receiver.schemas}
    assert receiver.reports[-1].captured == len(KINDS) + outbound
    assert not receiver.reports[-1].dropped
