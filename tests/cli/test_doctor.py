"""`mirror doctor`: what is wrong is found, with what to do; what is right is not called wrong; nothing is changed."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.cli.doctor import access, storing, system
from mirror.cli.doctor.findings import Named, examine, ok
from mirror.collect.app import open_store
from mirror.config import load
from tests.cli.test_verdict import mirror
from tests.collect.certificates import Authority
from tests.collect.process import CollectorProcess
from tests.collect.servers import OtlpEndpoint

READ, WRITE, OTHER = "read-" + "r" * 32, "write-" + "w" * 32, "other-" + "x" * 32
LISTENERS = ("otlp_grpc", "otlp_http", "web")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder of its own, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MIRROR_")]:
        monkeypatch.delenv(name)


def free_ports() -> dict[str, str]:
    with socket.socket() as one, socket.socket() as two, socket.socket() as three:
        for probe in (one, two, three):
            probe.bind(("127.0.0.1", 0))
        return {name: f"127.0.0.1:{p.getsockname()[1]}" for name, p in zip(LISTENERS, (one, two, three), strict=True)}


@pytest.fixture
def doctor(capsys, monkeypatch, tmp_path):
    """Run it over these settings; exit code and its findings, as (state, about, text, advice)."""

    def run(*arguments: str, **settings: Any) -> tuple[int, list[tuple[str, str, str, str]]]:
        (tmp_path / "mirror.yaml").write_text(json.dumps({"listen": free_ports(), **settings}))
        code, out, _ = mirror(capsys, monkeypatch, "doctor", "--json", *arguments)
        told = json.loads(out)
        assert told["ok"] is (code == 0)
        return code, [(f["state"], f["about"], f["text"], f.get("advice", "")) for f in told["findings"]]

    return run


def wrongs(found: list[tuple[str, str, str, str]]) -> list[tuple[str, str, str]]:
    return [(about, text, advice) for state, about, text, advice in found if state == "wrong"]


def state_of(found: list[tuple[str, str, str, str]], about: str) -> list[str]:
    return [state for state, one, _, _ in found if one == about]


def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(doctor, tmp_path):
    code, found = doctor(runs=["checkout"])
    assert (code, wrongs(found)) == (0, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mirror.yaml"]
    for listener in LISTENERS:
        assert state_of(found, f"listen.{listener}") == ["ok"]


def test_beside_a_running_collector_each_listener_is_tried(doctor, tmp_path):
    listen = free_ports()
    with CollectorProcess(tmp_path, listen=listen) as collector:
        code, found = doctor("--running", runs=["checkout"], listen=listen)
        assert (code, wrongs(found)) == (0, [])
        told = {about: text for _, about, text, _ in found}
        assert told["listen.otlp_grpc"] == f"{listen['otlp_grpc']}: a collector takes OTLP by gRPC"
        assert told["listen.otlp_http"] == f"{listen['otlp_http']}: a collector takes OTLP by HTTP"
        assert "serves page and API" in told["listen.web"]
        assert told["clock"] == "agrees with the collector"
        assert collector.get("/readyz").status_code == 200
        assert not any(level in collector.log for level in ("WARNING", "ERROR"))  # it was not disturbed


def test_a_collector_that_should_run_and_does_not_is_wrong(doctor):
    code, found = doctor("--running")
    assert code == 1
    assert [about for about, text, _ in wrongs(found) if "nobody listens" in text] == [f"listen.{n}" for n in LISTENERS]


def test_a_collector_with_everything_on_is_tried_with_its_own_token_and_certificate(doctor, tmp_path):
    authority, listen = Authority(tmp_path), free_ports()
    server, client = authority.issue("server"), authority.issue("client")
    for name, token in (("read", READ), ("write", WRITE)):
        (tmp_path / name).write_text(token)
    tls = {"cert_file": server.cert_file, "key_file": server.key_file}
    tls |= {"client_ca_file": authority.file, "web_client_ca_file": authority.file}
    auth = {"read_tokens_file": str(tmp_path / "read"), "write_tokens_file": str(tmp_path / "write")}
    settings = {"listen": listen, "tls": tls, "auth": auth}
    with CollectorProcess(tmp_path, **settings):
        with_it = ("--cert-file", client.cert_file, "--key-file", client.key_file)
        code, found = doctor("--running", *with_it, runs=["checkout"], **settings)
        assert (code, wrongs(found)) == (0, [])
        assert [state_of(found, f"listen.{name}")[-1] for name in LISTENERS] == ["ok", "ok", "ok"]
        code, found = doctor("--running", runs=["checkout"], **settings)
        assert (code, wrongs(found)) == (0, [])
        for name in LISTENERS:
            (told,) = [(s, a) for s, about, _, a in found if about == f"listen.{name}"]
            assert told[0] == "note"
            assert "--cert-file" in told[1]
        inline = {"read_tokens": [OTHER], "write_tokens": [OTHER]}
        code, found = doctor("--running", *with_it, runs=["checkout"], **settings | {"auth": inline})
        assert code == 1
        assert [about for about, text, _ in wrongs(found) if "configured token" in text] == [
            f"listen.{name}" for name in LISTENERS
        ]
        assert not any(token in str(found) for token in (READ, WRITE, OTHER))
        other = Authority(tmp_path, "other").issue("renewed")
        renewed = settings | {"tls": tls | {"cert_file": other.cert_file, "key_file": other.key_file}}
        _, found = doctor("--running", *with_it, runs=["checkout"], **renewed)
        told = {about: text for about, text, _ in wrongs(found)}
        assert set(told) == {f"listen.{name}" for name in LISTENERS}
        assert "shows another certificate" in told["listen.web"]


@contextmanager
def silent() -> Iterator[str]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def http(pages: dict[str, tuple[int, bytes]], date: dt.datetime | None = None) -> Iterator[str]:
    """An HTTP server that has these pages."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = pages.get(self.path, (404, b"?"))
            self.send_response_only(status)
            self.send_header("date", format_datetime(date or dt.datetime.now(dt.UTC), usegmt=True))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("holder", [silent, lambda: http({})], ids=["silent", "http"])
def test_a_port_that_something_else_has_is_told_with_its_setting(doctor, listener, holder):
    with holder() as address:
        code, found = doctor("--timeout", "2", listen=free_ports() | {listener: address})
    assert code == 1
    ((about, text, advice),) = wrongs(found)
    assert about == f"listen.{listener}"
    assert text.startswith(f"{address}: what has the port")
    assert f"MIRROR_LISTEN_{listener.upper()}" in advice


def test_a_collector_that_is_not_ready_says_why(doctor):
    with http({"/readyz": (503, b"the disk is full\n"), "/api/v1/runs": (200, b'{"runs": []}')}) as address:
        _, found = doctor(listen=free_ports() | {"web": address})
    ((about, text, _),) = wrongs(found)
    assert (about, text) == ("listen.web", f"{address}: a collector runs and is not ready: the disk is full")


def test_an_address_of_another_machine_is_no_port_in_use(doctor):
    _, found = doctor(listen=free_ports() | {"otlp_http": "192.0.2.1:4318"}, insecure=True)
    assert [about for about, _, _ in wrongs(found)] == ["listen.otlp_http"]


def test_every_mistake_of_the_configuration_is_a_line_and_the_rest_goes_on(doctor):
    code, found = doctor(stor={}, pairing={"batch_age_s": "soon"})
    assert code == 1
    assert [about for about, _, _ in wrongs(found)] == ["configuration"] * 2
    assert any('did you mean "store"' in text for _, text, _ in wrongs(found))
    assert any(state == "untried" for state, *_ in found)
    assert state_of(found, "versions")[-1] == "ok"


def test_what_is_not_there_is_a_usage_error(capsys, monkeypatch):
    for arguments in (["--config", "none.yaml"], ["--cert-file", "none.crt"]):
        code, out, err = mirror(capsys, monkeypatch, "doctor", *arguments)
        assert (code, out) == (2, "")
        assert "no such file" in err


@pytest.mark.parametrize("setting", ["store", "journal"])
def test_a_folder_that_does_not_exist_is_told_with_the_command_that_makes_it(doctor, tmp_path, setting):
    path = tmp_path / "nowhere" / "file.db"
    given = {"store": {"url": f"sqlite:///{path}"}} if setting == "store" else {"journal": {"path": str(path)}}
    _, found = doctor(**({"journal": {"path": "here.journal"}} | given))
    ((about, text, advice),) = wrongs(found)
    assert about.startswith(setting)
    assert "does not exist" in text
    assert advice == f"mkdir -p {path.parent}"


def test_a_file_that_is_no_store_and_one_that_is_no_journal(doctor, tmp_path):
    for name in ("a.db", "a.journal"):
        (tmp_path / name).write_text("something of somebody else's " * 10)
    _, found = doctor(store={"url": f"sqlite:///{tmp_path}/a.db"})
    told = {about: text for about, text, _ in wrongs(found)}
    assert "not a database" in told["store.url"]
    assert "is no journal" in told["journal.path"]


def test_a_store_of_this_version_is_writable_and_a_newer_one_is_refused(doctor, tmp_path):
    with open_store(load(None, {})):
        pass
    _, found = doctor()
    assert "writable" in [text for _, about, text, _ in found if about == "store.url"]
    with sqlite3.connect(tmp_path / "mirror.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    _, found = doctor()
    ((about, text, advice),) = wrongs(found)
    assert about == "store.url"
    assert "revision 9999" in text
    assert "update mirror" in advice


def test_a_store_of_a_database_that_is_not_there(doctor):
    pytest.importorskip("psycopg")
    (address, *_) = free_ports().values()
    code, found = doctor(store={"url": f"postgresql://user:secret@{address}/mirror"}, journal={"enabled": False})
    assert code == 1
    assert [about for about, _, _ in wrongs(found)] == ["store.url"]
    assert "secret" not in str(found)


@pytest.mark.parametrize(("free", "state"), [(1 << 20, "wrong"), (1 << 30, "note"), (1 << 40, "ok")])
def test_a_disk_that_is_full_or_too_small(doctor, monkeypatch, free, state):
    monkeypatch.setattr(storing.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    _, found = doctor()
    assert state_of(found, "store.url")[-1] == state
    assert state_of(found, "journal.path")[-1] == state


def test_certificates_that_do_not_match_expire_or_are_over(doctor, tmp_path, monkeypatch):
    authority = Authority(tmp_path)
    good, other, late = authority.issue("good"), authority.issue("other"), authority.issue("late", expired=True)

    def told(cert: str, key: str) -> tuple[list[tuple[str, str, str]], list[str]]:
        _, found = doctor(tls={"cert_file": cert, "key_file": key})
        return wrongs(found), state_of(found, "tls.cert_file")

    ((about, text, _),), _ = told(good.cert_file, other.key_file)
    assert about == "tls.key_file"
    assert "not the key" in text
    ((about, text, advice),), _ = told(late.cert_file, late.key_file)
    assert about == "tls.cert_file"
    assert "which is over" in text
    assert "anew" in advice
    assert told(good.cert_file, good.key_file) == ([], ["note", "ok"])  # it ends tomorrow
    monkeypatch.setattr(access, "SOON_DAYS", 0)
    assert told(good.cert_file, good.key_file) == ([], ["ok", "ok"])
    ((about, _, _),), _ = told(good.cert_file, str(tmp_path / "none.key"))
    assert about == "tls.key_file"


def test_a_chain_whose_authority_is_over_is_told(doctor, tmp_path):
    authority = Authority(tmp_path)
    good, late = authority.issue("good"), authority.issue("late", expired=True)
    (tmp_path / "chain.crt").write_bytes(good.cert + late.cert)
    _, found = doctor(tls={"cert_file": str(tmp_path / "chain.crt"), "key_file": good.key_file})
    ((about, text, advice),) = wrongs(found)
    assert about == "tls.cert_file"
    assert "a certificate of its chain expired at" in text
    assert "chain issued anew" in advice


def test_tokens_that_cannot_be_used_and_listeners_that_ask_nobody(doctor, tmp_path):
    (tmp_path / "tokens").write_text("short\n")
    _, found = doctor(auth={"write_tokens_file": str(tmp_path / "tokens")}, listen=free_ports() | {"web": "0.0.0.0:0"})
    told = {about: (text, advice) for about, text, advice in wrongs(found)}
    assert set(told) == {"listen.web", "auth.write_tokens_file"}
    assert "auth.read_tokens_file" in told["listen.web"][1]
    assert f"{tmp_path}/tokens:1" in told["auth.write_tokens_file"][0]
    assert told["auth.write_tokens_file"][1].endswith(f"openssl rand -hex 32 > {tmp_path}/tokens")


def test_the_tracing_backend_is_tried_by_its_own_protocol(doctor):
    backend = OtlpEndpoint()
    with backend.listening() as endpoint:
        code, found = doctor(forward={"endpoint": endpoint})
        assert (code, state_of(found, "forward.endpoint")) == (0, ["ok"])
        assert backend.spans == []
        code, found = doctor(forward={"endpoint": f"http://{endpoint}"})
        assert code == 1
    code, found = doctor(forward={"endpoint": endpoint})
    ((about, text, _),) = wrongs(found)
    assert about == "forward.endpoint"
    assert "cannot be reached" in text
    with http({"/v1/traces": (200, b"")}) as endpoint:
        assert doctor(forward={"endpoint": f"http://{endpoint}"})[0] == 0
    with http({}) as endpoint:
        _, found = doctor(forward={"endpoint": f"http://{endpoint}"})
        assert "takes no OTLP" in wrongs(found)[0][1]


def envoy(run: str, state: str = "LIVE", version: str = "1.40.0") -> dict[str, tuple[int, bytes]]:
    header = {"header": {"key": "x-mirror-run", "value": run}} if run else {}
    dump = {"configs": [{"dynamic": [{"route": {"request_headers_to_add": [header]}}]}]}
    info = {"state": state, "version": f"abc/{version}/Clean/RELEASE/BoringSSL"}
    return {"/server_info": (200, json.dumps(info).encode()), "/config_dump": (200, json.dumps(dump).encode())}


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        (envoy("checkout"), ""),
        (envoy("checkout", version="1.39.2"), ""),
        (envoy("other"), "routes stamp runs that are not allowed: other"),
        (envoy(""), "no route stamps x-mirror-run"),
        (envoy("checkout", "INITIALIZING"), "INITIALIZING"),
        ({}, "not as Envoy's admin"),
    ],
)
def test_envoy_must_stamp_runs_that_are_allowed(doctor, pages, said):
    with http(pages) as admin:
        code, found = doctor("--envoy", admin, runs=["checkout"])
    assert [said in text for _, text, _ in wrongs(found)] == ([True] if said else [])
    assert code == bool(said)


def test_an_envoy_that_is_not_there(doctor):
    (address, *_) = free_ports().values()
    _, found = doctor("--envoy", address)
    assert "cannot be reached" in wrongs(found)[0][1]


@pytest.mark.parametrize(("minutes", "way"), [(10, "ahead of"), (-10, "behind")])
def test_clocks_that_differ(doctor, minutes, way):
    with http(envoy("default"), dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)) as admin:
        _, found = doctor("--envoy", admin)
    ((about, text, advice),) = wrongs(found)
    assert about == "clock"
    assert way in text
    assert "NTP" in advice


def test_a_check_that_hangs_or_fails_does_not_stop_the_others():
    never = threading.Event()

    def hangs() -> list[Any]:
        never.wait()
        return []

    def fails() -> list[Any]:
        raise RuntimeError("why")

    found = examine([Named("a", hangs), Named("b", fails), Named("c", lambda: [ok("c", "fine")])], limit_s=0.2)
    never.set()
    assert [(one.about, one.state.value) for one in found] == [("a", "wrong"), ("b", "wrong"), ("c", "ok")]
    assert "no answer within 0.2 s" in found[0].text
    assert "RuntimeError: why" in found[1].text


@pytest.mark.parametrize(
    ("bounds", "there", "fine"),
    [
        (">=1.66", "1.66", True),
        (">=1.66", "1.65.9", False),
        (">=5.29,<8", "7.36.2", True),
        (">=5.29,<8", "8.0.0rc1", False),
        ("<8,>=5.29", "5.3", False),
        ("==1.40.0", "1.40", True),
        ("", "0", True),
    ],
)
def test_a_package_that_is_too_old_or_too_new(monkeypatch, bounds, there, fine):
    monkeypatch.setattr(system, "_version", lambda _: there)
    assert (list(system._requirement("mirror", f"thing{bounds}")) == []) is fine


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setattr(system, "_version", lambda _: None)
    assert [one.advice for one in system._requirement("mirror", "thing>=2")] == ["pip install 'thing>=2'"]
    assert list(system._requirement("mirror", "thing>=2; extra == 'kafka'")) == []


def test_for_people_it_is_one_line_a_finding(capsys, monkeypatch, tmp_path):
    (tmp_path / "mirror.yaml").write_text(json.dumps({"listen": free_ports(), "journal": {"path": "no/such/file"}}))
    code, out, _ = mirror(capsys, monkeypatch, "doctor")
    assert code == 1
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["ok", "ok"]
    (told,) = [line for line in lines if line.startswith("WRONG")]
    assert told.endswith("To mend: mkdir -p no/such")
    assert lines[-1] == "1 wrong"
