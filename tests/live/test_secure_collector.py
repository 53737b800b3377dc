"""A real collector process with TLS, client certificates and tokens.

Services deliver to it, people read from it, strangers of all kinds get nowhere meanwhile, and its log holds nothing of what was sent.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from mirror_demo.processes import Child

from tests.collect.certificates import Authority, Issued
from tests.collect.otlp import call_span, request
from tests.collect.process import FAST, CollectorProcess, failed_start
from tests.collect.servers import EXPORT, OtlpEndpoint
from tests.collect.shop import product_call, schema_span
from tests.live.beside import Beside
from tests.live.mesh import SERVICE

pytestmark = pytest.mark.live
READ, WRITE, OTHER = "read-" + "r" * 32, "write-" + "w" * 32, "other-" + "x" * 32
MARK = "MARKED4711"  # stands in everything that is sent, and must not stand in the log
ROLES = ("primary", "candidate", "secondary")
PROTOBUF = {"content-type": "application/x-protobuf"}


class Secure(CollectorProcess):
    """The collector with everything on, and clients of it."""

    def __init__(self, folder: Path, *, pairing: dict[str, float] | None = None, **settings: Any) -> None:
        self.authority = Authority(folder)
        self.client = self.authority.issue("client")
        server = self.authority.issue("server")
        for scope, token in (("read", READ), ("write", WRITE)):
            (folder / f"{scope}.tokens").write_text(f"# {scope}\n{token}\n")
        files = {
            "cert_file": server.cert_file,
            "key_file": server.key_file,
            "client_ca_file": self.authority.file,
            "web_client_ca_file": self.authority.file,
        }
        tokens = {f"{scope}_tokens_file": str(folder / f"{scope}.tokens") for scope in ("read", "write")}
        super().__init__(folder, tls=files, auth=tokens, pairing=pairing or FAST, **settings)

    def send(self, body: bytes, *, token: str | None = WRITE, client: Issued | None = None) -> None:
        """By gRPC; raises RpcError."""
        who = client or self.client
        credentials = grpc.ssl_channel_credentials(self.authority.pem, who.key, who.cert)
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        with grpc.secure_channel(self.addresses["otlp_grpc"], credentials) as channel:
            channel.unary_unary(EXPORT)(body, timeout=30, metadata=metadata)

    def http(self, listener: str, *, client: Issued | None = None, anonymous: bool = False) -> httpx.Client:
        """A client of one listener; `anonymous`: it has no certificate."""
        context = ssl.create_default_context(cafile=self.authority.file)
        if not anonymous:
            who = client or self.client
            context.load_cert_chain(who.cert_file, who.key_file)
        return httpx.Client(base_url=f"https://{self.addresses[listener]}", verify=context, timeout=30)

    def get(self, path: str) -> httpx.Response:
        with self.http("web") as client:
            return client.get(path, headers={"authorization": f"Bearer {READ}"})


class Plain(CollectorProcess):
    """The collector as it comes, on loopback."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, pairing=FAST)

    def send(self, body: bytes, *, token: str | None = WRITE) -> None:
        metadata = (("authorization", f"Bearer {token}"),)
        with grpc.insecure_channel(self.addresses["otlp_grpc"]) as channel:
            channel.unary_unary(EXPORT)(body, timeout=30, metadata=metadata)

    def http(self, listener: str) -> httpx.Client:
        return httpx.Client(base_url=f"http://{self.addresses[listener]}", timeout=30)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    with Secure(tmp_path_factory.mktemp("secure")) as collector:
        yield collector


@contextlib.contextmanager
def replica(folder: Path, role: str, **env: str) -> Iterator[health_pb2_grpc.HealthStub]:
    """A service with our interceptor, as its deployment would set it up."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MIRROR_", "OTEL_"))}
    named = {"MIRROR_ROLE": role, "OTEL_SERVICE_NAME": "health", "OTEL_RESOURCE_ATTRIBUTES": f"service.version={role}"}
    build = "new" if role == "candidate" else "old"
    child = Child(role, [sys.executable, str(SERVICE), "health"], folder, plain | named | env | {"BUILD": build})
    try:
        with grpc.insecure_channel(f"127.0.0.1:{child.line_with('')}") as channel:
            yield health_pb2_grpc.HealthStub(channel)
    finally:
        child.stop()


def call(stub: health_pb2_grpc.HealthStub, role: str, mirror_id: str) -> None:
    """As Envoy passes it on."""
    stamped = {"id": mirror_id, "run": "checkout", "role": role, "expect": "candidate,secondary"}
    metadata = tuple((f"x-mirror-{name}", value) for name, value in stamped.items())
    stub.Check(health_pb2.HealthCheckRequest(service="flaky"), timeout=30, metadata=metadata)


@pytest.mark.parametrize(("listener", "protocol"), [("otlp_grpc", "grpc"), ("otlp_http", "http/protobuf")])
def test_services_deliver_by_certificate_and_token_and_their_spans_are_forwarded(
    tmp_path: Path, listener: str, protocol: str
) -> None:
    """And one with a wrong token serves as ever, while nothing of it is taken."""
    jaeger = OtlpEndpoint()
    with (
        jaeger.listening() as endpoint,
        Secure(tmp_path, pairing={"max_stream_duration_s": 60.0}, forward={"endpoint": endpoint}) as collector,
    ):
        env = {
            "MIRROR_ENDPOINT": f"https://{collector.addresses[listener]}",
            "MIRROR_PROTOCOL": protocol,
            "MIRROR_CA_FILE": collector.authority.file,
            "MIRROR_CERT_FILE": collector.client.cert_file,
            "MIRROR_KEY_FILE": collector.client.key_file,
            "MIRROR_BEARER": WRITE,
        }
        for role in ROLES:
            with replica(tmp_path, role, **env) as stub:
                call(stub, role, "m1")
        with replica(tmp_path, "primary", **env | {"MIRROR_BEARER": READ}) as stub:
            call(stub, "primary", "m2")
        collector.until(lambda: collector.pairs() == 1, "stored the pair")
        collector.until(lambda: any(s.name == "mirror.compare" for _, s in jaeger.spans), "forwarded the comparison")
        reason = f'mirror_batches_refused_total{{protocol="{protocol[:4]}",reason="wrong_scope"}}'
        collector.until(lambda: reason in collector.get("/metrics").text, "refused the wrong token")
        sent = b"".join(one.SerializeToString() for one in jaeger.requests)
        for token in (READ, WRITE):
            assert token.encode() not in sent
            assert token not in collector.log
        assert collector.pairs() == 1


def test_people_log_in_by_password_and_health_needs_neither_password_nor_certificate(secure: Secure) -> None:
    with secure.http("web") as client:
        assert client.get("/").status_code == 401
        assert client.get("/", auth=("anna", READ)).status_code == 200
        assert client.get("/api/v1/runs", auth=("anna", WRITE)).status_code == 403
    with secure.http("web", anonymous=True) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").text == "ready\n"
        assert client.get("/", auth=("anna", READ)).status_code == 403


def test_what_it_says_at_its_start_tells_what_each_listener_asks_for(secure: Secure) -> None:
    asked = [line.split("asks for: ")[1] for line in secure.log.splitlines() if "asks for" in line]
    assert asked == [f"client certificate, token ({scope})" for scope in ("write", "write", "read")]
    assert f"https://{secure.addresses['web']}" in secure.log


class Meanwhile(Beside):
    """A good client of all listeners, which goes on until told; `problems`: what it did not get."""

    def __init__(self, collector: Secure) -> None:
        self.problems: list[str] = []
        self._collector = collector
        self._rounds = 0
        self._changed = threading.Condition()
        super().__init__()

    def another_round(self) -> None:
        """Wait until it was served by all, all of it begun after now."""
        with self._changed:
            wanted = self._rounds + 2  # one may be under way
            assert self._changed.wait_for(lambda: self._rounds >= wanted or self.problems, 60)
        assert self.problems == []

    def _go_on(self) -> None:
        while not self._stop.is_set() and not self.problems:
            try:
                self._once()
            except (grpc.RpcError, httpx.HTTPError) as error:
                self.problems.append(repr(error))
            with self._changed:
                self._rounds += 1
                self._changed.notify_all()

    def _once(self) -> None:
        body = request(call_span("good")).SerializeToString()
        self._collector.send(body)
        post(self._collector, body, PROTOBUF | {"authorization": f"Bearer {WRITE}"}).raise_for_status()
        self._collector.get("/readyz").raise_for_status()
        self._collector.get("/api/v1/runs").raise_for_status()


def connected(address: str, sent: bytes) -> socket.socket:
    """A connection over which this was sent."""
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=30)
    with contextlib.suppress(OSError):  # the other side may have closed already
        connection.sendall(sent)
    connection.setblocking(False)
    return connection


def come_back(connection: socket.socket) -> bytes:
    """What did until now."""
    with contextlib.suppress(OSError):
        return connection.recv(65536)
    return b""


PLAIN = {
    "a request in plain text": b"GET /api/v1/runs HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "HTTP/2 in plain text": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "noise": bytes(range(256)) * 64,
    "half a handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a record that lies about its length": b"\x16\x03\x01\xff\xff" + b"\x01" * 70_000,
    "nothing": b"",
}


@pytest.mark.parametrize("sent", PLAIN.values(), ids=PLAIN)
def test_what_is_no_tls_gets_nothing_and_keeps_nobody_out(secure: Secure, sent: bytes) -> None:
    with Meanwhile(secure) as good, contextlib.ExitStack() as stack:
        addresses = [secure.addresses[listener] for listener in ("otlp_grpc", "otlp_http", "web")] * 10
        open_still = [stack.enter_context(connected(address, sent)) for address in addresses]
        good.another_round()
        assert not any(b"HTTP/1.1 2" in come_back(one) for one in open_still)
    assert secure.process.poll() is None


def strangers(secure: Secure, folder: Path) -> dict[str, Issued]:
    return {
        "expired": secure.authority.issue("late", expired=True),
        "foreign": Authority(folder, "foreign").issue("stranger"),
    }


@pytest.mark.parametrize("kind", ["expired", "foreign"])
def test_other_certificates_get_nowhere_even_with_the_right_token(secure: Secure, tmp_path: Path, kind: str) -> None:
    stranger = strangers(secure, tmp_path)[kind]
    with Meanwhile(secure) as good:
        with pytest.raises(grpc.RpcError) as caught:
            secure.send(request(call_span()).SerializeToString(), client=stranger)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        good.another_round()
        for listener, path, token in (
            ("otlp_http", "/v1/traces", WRITE),
            ("web", "/", READ),
            ("web", "/healthz", READ),
        ):
            with secure.http(listener, client=stranger) as client, pytest.raises(httpx.HTTPError):
                client.get(path, headers={"authorization": f"Bearer {token}"})
    for listener in ("otlp_http", "web"):
        counted = f'mirror_tls_handshakes_failed_total{{listener="{listener}",reason="client_certificate"}}'
        assert counted in secure.get("/metrics").text


@pytest.mark.parametrize("authorization", ["", "Bearer", f"Bearer {OTHER}", f"Basic {WRITE}", "Bearer " + "a" * 7000])
def test_other_tokens_get_nowhere_even_with_the_right_certificate(secure: Secure, authorization: str) -> None:
    body = request(call_span()).SerializeToString()
    headers = {"authorization": authorization}
    with Meanwhile(secure) as good:
        with secure.http("otlp_http") as client:
            assert client.post("/v1/traces", content=body, headers=PROTOBUF | headers).status_code == 401
        with secure.http("web") as client:
            assert client.get("/api/v1/runs", headers=headers).status_code == 401
            assert client.get("/metrics", headers=headers).status_code == 401
        with pytest.raises(grpc.RpcError) as caught:
            secure.send(body, token=authorization.removeprefix("Bearer ") or None)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        good.another_round()


def marked_sends(secure: Secure | Plain) -> list[Callable[[], object]]:
    """What goes wrong, in all ways, each with the mark in it."""
    mark = MARK.encode()
    call_with = product_call("m-1", "primary", id=MARK, name=MARK)
    unknown_run = product_call("m-2", "primary", run="other", id=MARK)
    bad_capture = call_span("m-3", data=b"\xff" + mark)
    no_run = call_span("m-4", mirror__run=None, note=MARK)
    bodies = [
        mark,
        b"\xff" + mark,
        request(call_with, unknown_run, bad_capture, no_run).SerializeToString(),
        request(*(product_call("m-5", role, id=f"{MARK} {role}", price=5) for role in ROLES)).SerializeToString(),
        request(schema_span(), *(product_call("m-6", r, id=f"{MARK} {r}") for r in ROLES)).SerializeToString(),
    ]
    json_body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": MARK, "name": MARK}]}]}]}).encode()
    headers = {"authorization": f"Bearer {WRITE}"}
    sends: list[Callable[[], object]] = []
    for body in bodies:
        sends.append(lambda body=body: secure.send(body))
        sends.append(lambda body=body: post(secure, body, headers | PROTOBUF))
    sends += [
        lambda: post(secure, json_body, headers | {"content-type": "application/json"}),
        lambda: post(secure, json_body[:-4], headers | {"content-type": "application/json"}),
        lambda: post(secure, mark, headers | {"content-type": MARK}),
        lambda: post(secure, mark, headers | PROTOBUF | {"content-encoding": "gzip"}),
        lambda: post(secure, mark, PROTOBUF | {"authorization": f"Bearer {MARK}{OTHER}"}),
        lambda: secure.send(mark, token=f"{MARK}{OTHER}"),
        lambda: secure.get(f"/api/v1/runs?x={MARK}"),
        lambda: secure.get(f"/api/v1/comparisons?run=checkout&limit={MARK}"),
        lambda: secure.get(f"/runs/checkout?epoch={MARK}"),
        *(lambda address=address: connected(address, mark).close() for address in secure.addresses.values()),
    ]
    return sends


def post(secure: Secure | Plain, body: bytes, headers: dict[str, str]) -> httpx.Response:
    with secure.http("otlp_http") as client:
        return client.post("/v1/traces", content=body, headers=headers)


@pytest.mark.parametrize("kind", [Secure, Plain])
def test_nothing_of_what_is_sent_stands_in_the_log(tmp_path: Path, kind: type[Secure | Plain]) -> None:
    """Not of bodies, addresses, headers or tokens, right or wrong; not at its end either."""
    with kind(tmp_path) as collector:
        for send in marked_sends(collector):
            with contextlib.suppress(grpc.RpcError, httpx.HTTPError):
                send()
        collector.until(lambda: collector.pairs() >= 2, "stored the pairs")
        with contextlib.ExitStack() as half_open:  # they hold up no stop
            for address in collector.addresses.values():
                half_open.enter_context(connected(address, PLAIN["half a handshake"]))
            assert collector.end(15) == 0
        assert "stopped" in collector.log
        for secret in (MARK, OTHER, READ, WRITE):
            assert secret not in collector.log


def test_a_start_with_wrong_files_and_open_listeners_says_all_of_it(tmp_path: Path) -> None:
    text = "listen: {web: '0.0.0.0:0', otlp_grpc: '0.0.0.0:0'}\ntls: {cert_file: none.crt, key_file: none.key}"
    code, said = failed_start(tmp_path, text, MIRROR_AUTH_WRITE_TOKENS=WRITE)
    assert code == 2
    assert said.splitlines()[0] == "mirror: the configuration cannot be used:"
    assert [line.split(": ")[0] for line in said.splitlines()[1:]] == ["listen.web", "tls.cert_file", "tls.key_file"]
    assert "Traceback" not in said
    assert WRITE not in said
    assert not (tmp_path / "mirror.db").exists()


@pytest.mark.parametrize("said", ["insecure", "tokens"])
def test_beyond_loopback_it_listens_once_told_or_guarded(tmp_path: Path, said: str) -> None:
    wide = {"otlp_grpc": "0.0.0.0:0", "otlp_http": "0.0.0.0:0", "web": "0.0.0.0:0"}
    how: dict[str, Any] = {"insecure": True}
    if said == "tokens":
        how = {"auth": {"read_tokens": [READ], "write_tokens": [WRITE]}}
    with CollectorProcess(tmp_path, listen=wide, **how) as collector:
        assert collector.log.count("asks nobody who they are") == (3 if said == "insecure" else 0)
        assert collector.log.count("unencrypted") == (3 if said == "tokens" else 0)
        port = collector.addresses["web"].rsplit(":", 1)[1]
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/runs", timeout=30)
        assert answer.status_code == (200 if said == "insecure" else 401)
        assert READ not in collector.log
