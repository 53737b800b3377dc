"""Installed without a change of code: by `opentelemetry-instrument` as a user starts a service, and by hand."""

import contextlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import grpc
import grpc_mirror
import pytest
import tomllib
from grpc_mirror.aio_server import AioServerInterceptor
from grpc_mirror.server import ServerInterceptor

from tests.conftest import require
from tests.interceptors.calling import Back, outbound_spans
from tests.interceptors.echo import Note
from tests.interceptors.servers import Client, handlers, notes, serving

SERVICE_FILE = Path(__file__).with_name("plain_service.py")
COMMAND = Path(sys.executable).with_name("opentelemetry-instrument")
PARENT = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@pytest.fixture
def installed(root, tmp_path):
    """A folder for PYTHONPATH in which grpc-mirror's entry points stand as its pyproject.toml has them now."""
    project = tomllib.loads((root / "interceptors" / "pyproject.toml").read_text())["project"]
    home = tmp_path / f"grpc_mirror-{project['version']}.dist-info"
    home.mkdir()
    named = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (home / "METADATA").write_text(named)
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (home / "entry_points.txt").write_text("\n".join(lines))
    return tmp_path


@contextlib.contextmanager
def started(root, installed, flavour, back_port, **variables):
    """The service, started as a user would; yields a client of it."""
    require("opentelemetry-instrument", "opentelemetry-distro is not installed", present=COMMAND.exists())
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (installed, root, root / "interceptors"))),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "MIRROR_BATCH_AGE_S": "0.01",
        **variables,
    }
    command = [str(COMMAND), sys.executable, str(SERVICE_FILE), flavour, f"127.0.0.1:{back_port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as child:
        try:
            client = Client(int(child.stdout.readline()))
            yield client
            client.close()
        finally:
            child.kill()


@pytest.mark.live
@pytest.mark.parametrize("flavour", ["sync", "aio"])
def test_a_service_that_knows_nothing_of_us_is_captured_and_guarded(root, installed, receiver, flavour):
    """Once each, beside the contrib instrumentation, below whose span ours stands; the candidate calls nobody."""
    variables = {
        "MIRROR_ENDPOINT": receiver.endpoint,
        "MIRROR_ROLE": "candidate",
    }
    back = Back()
    with (
        serving(handlers(back), (), aio=False) as back_port,
        started(root, installed, flavour, back_port, **variables) as client,
    ):
        seen = client.call("Unary", notes("x"), "no code", metadata=(PARENT,))
        outbound_spans(receiver)
        receiver.wait_for(lambda: len(receiver.calls) >= 2)
        client.call("ServerStream", notes("x"), "another", metadata=(PARENT,))
        receiver.call("another")
    assert Note.FromString(seen.responses[0]).text == "FAILED_PRECONDITION"
    assert back.seen == []
    calls = [one for one in receiver.calls if one.attributes["mirror.id"] == "no code"]
    assert sorted(one.attributes.get("mirror.outbound.policy", "served") for one in calls) == ["blocked", "served"]
    (served,) = [one for one in calls if "mirror.outbound" not in one.attributes]
    assert served.attributes["mirror.role"] == "candidate"
    assert served.span.kind == 1, "contrib's span is current, so ours is INTERNAL"
    assert served.span.trace_id.hex() in PARENT[1]


@pytest.mark.live
@pytest.mark.parametrize("clients", ["1", "0"])
def test_a_primary_started_so_makes_its_calls(root, installed, receiver, clients):
    """They are captured; with MIRROR_INSTRUMENT_CLIENTS=0 its channels are left alone."""
    variables = {"MIRROR_ENDPOINT": receiver.endpoint, "MIRROR_INSTRUMENT_CLIENTS": clients}
    with (
        serving(handlers(Back()), (), aio=False) as back_port,
        started(root, installed, "sync", back_port, **variables) as client,
    ):
        seen = client.call("Unary", notes("x"), "no code")
        if clients == "1":
            assert [one.attributes["mirror.outbound.policy"] for one in outbound_spans(receiver)] == ["sent"]
        client.call("Unary", notes("x"), "another")
        assert receiver.call("another")
    assert Note.FromString(seen.responses[0]).text == "x!"
    assert bool([one for one in receiver.calls if "mirror.outbound" in one.attributes]) == (clients == "1")


@pytest.mark.live
def test_a_wrong_setting_stops_the_start(root, installed):
    """Instead of a line in a log and a service that captures nothing and guards nobody."""
    require("opentelemetry-instrument", "opentelemetry-distro is not installed", present=COMMAND.exists())
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (installed, root, root / "interceptors"))),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "MIRROR_ROLE": "candidat",
    }
    command = [str(COMMAND), sys.executable, str(SERVICE_FILE), "sync", "127.0.0.1:1"]
    run = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert run.returncode != 0
    assert "did you mean 'candidate'?" in run.stderr


@pytest.fixture
def made(monkeypatch, settings):  # the settings' receiver is a real server: before grpc is replaced
    """Stands in for grpc's functions; keeps what each was given."""
    given = []

    def fake(name):
        def function(*args, **kwargs):
            given.append((args, kwargs))

        function.__name__ = name
        return function

    for module in (grpc, grpc.aio):
        monkeypatch.setattr(module, "server", fake("server"))
    monkeypatch.setattr(grpc.aio, "insecure_channel", fake("insecure_channel"))
    instrumentor = grpc_mirror.MirrorInstrumentor()
    yield given
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def test_every_server_gets_one_interceptor_after_those_that_are_there(made, settings):
    """By keyword or by position; one of ours that is there already stays the only one."""
    grpc_mirror.MirrorInstrumentor().instrument(settings=settings)
    first, ours = object(), grpc_mirror.server_interceptor(settings)
    grpc.server("pool")
    grpc.server("pool", interceptors=[first])
    grpc.server("pool", None, (first,), "options")
    grpc.server("pool", interceptors=[first, ours])
    grpc.aio.server(interceptors=None)
    lists = [args[2] if len(args) > 2 else kwargs["interceptors"] for args, kwargs in made]
    assert [len(one) for one in lists] == [1, 2, 2, 2, 1]
    assert all(isinstance(one[-1], ServerInterceptor) for one in lists[:4])
    assert isinstance(lists[4][0], AioServerInterceptor)
    assert made[2][0] == ("pool", None, lists[2], "options")
    assert lists[3][1] is ours


def test_channels_too_unless_the_settings_say_otherwise(made, settings):
    """aio: one interceptor for each kind of call."""
    instrumentor = grpc_mirror.MirrorInstrumentor()
    instrumentor.instrument(settings=replace(settings, instrument_clients=False))
    grpc.aio.insecure_channel("target")
    instrumentor.uninstrument()
    instrumentor.instrument(settings=settings)
    grpc.aio.insecure_channel("target")
    assert [len(kwargs.get("interceptors", ())) for _args, kwargs in made] == [0, 4]


def test_uninstrument_puts_everything_back(made, settings):
    """Also below another library that wrapped ours in between: then ours only passes through."""
    before = grpc.server, grpc.aio.server, grpc.insecure_channel, grpc.secure_channel
    instrumentor = grpc_mirror.MirrorInstrumentor()
    assert instrumentor is grpc_mirror.MirrorInstrumentor()
    instrumentor.instrument(settings=settings, skip_dep_check=True)
    assert instrumentor.is_instrumented_by_opentelemetry
    ours = grpc.server

    def wrapped(*args, **kwargs):
        return ours(*args, **kwargs)

    grpc.server = wrapped
    instrumentor.uninstrument()
    assert grpc.server is wrapped
    grpc.server("pool")
    assert made == [(("pool",), {})]
    grpc.server = before[0]
    assert (grpc.server, grpc.aio.server, grpc.insecure_channel, grpc.secure_channel) == before


def test_it_keeps_opentelemetrys_contract():
    """What BaseInstrumentor has, ours has, without deriving from it."""
    base = pytest.importorskip("opentelemetry.instrumentation.instrumentor").BaseInstrumentor
    public = {name for name in vars(base) if not name.startswith("_")}
    assert public <= set(dir(grpc_mirror.MirrorInstrumentor))
