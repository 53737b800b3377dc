"""What is attacked: real collectors, how each listener is spoken to, and a good client that must never notice; not a test.

A case says what is sent and what must come back: a status and words, both as regular expressions.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import httpx
from google.rpc.status_pb2 import Status

from tests.collect.certificates import Authority, Issued
from tests.collect.process import FAST, CollectorProcess
from tests.collect.servers import EXPORT
from tests.collect.shop import VERSIONS, product_call, request, schema_span
from tests.live.beside import Beside

READ, WRITE, OTHER = "read-" + "r" * 32, "write-" + "w" * 32, "other-" + "x" * 32
MESSAGE_MAX_BYTES = 1 << 20
LIMITS = {"message_max_bytes": MESSAGE_MAX_BYTES, "queue_max_bytes": 16 << 20}
ANSWER_S = 20.0  # for an answer; what shall be slow is waited for elsewhere
QUIET_S = 0.2  # after an answer
CLOSED = "closed"


class Told(NamedTuple):
    """What came back: an HTTP status, a gRPC code, or CLOSED; and the words."""

    status: str
    words: str = ""


@dataclass(frozen=True)
class Case:
    """One hostile input. `status` must match in full, `words` somewhere."""

    name: str
    attack: Callable[[Target], Told]
    status: str
    words: str = ""

    def check(self, target: Target) -> None:
        told = self.attack(target)
        assert re.fullmatch(self.status, told.status), told
        assert re.search(self.words, told.words, re.DOTALL), told


class Target(CollectorProcess):
    """A collector. `secure`: with TLS, client certificates and tokens; else in plain."""

    def __init__(self, folder: Path, *, secure: bool) -> None:
        self.secure = secure
        settings: dict[str, Any] = {}
        if secure:
            self.authority = Authority(folder)
            self.client = self.authority.issue("client")
            server = self.authority.issue("server")
            own = {"client_ca_file": self.authority.file, "web_client_ca_file": self.authority.file}
            settings["tls"] = {"cert_file": server.cert_file, "key_file": server.key_file} | own
            settings["auth"] = {"read_tokens": [READ], "write_tokens": [WRITE]}
        super().__init__(folder, runs=["checkout", "good"], intake=LIMITS, pairing=FAST, **settings)

    def address(self, listener: str) -> tuple[str, int]:
        host, port = self.addresses[listener].rsplit(":", 1)
        return host, int(port)

    def context(self, client: Issued | None) -> ssl.SSLContext:
        """A client's TLS, which trusts our authority."""
        context = ssl.create_default_context(cafile=self.authority.file)
        if client is not None:
            context.load_cert_chain(client.cert_file, client.key_file)
        return context

    def session(self, listener: str, **options: Any) -> httpx.Client:
        """A client of an HTTP listener, with our certificate unless another `client` is given."""
        client = options.pop("client", self.client if self.secure else None)
        options["verify"] = self.context(client) if self.secure else False
        scheme = "https" if self.secure else "http"
        return httpx.Client(base_url=f"{scheme}://{self.addresses[listener]}", timeout=ANSWER_S, **options)

    def channel(self, client: Issued | None = None) -> grpc.Channel:
        """To the gRPC listener; `client`: another certificate than ours."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        if not self.secure:
            return grpc.insecure_channel(self.addresses["otlp_grpc"], options)
        who = client or self.client
        credentials = grpc.ssl_channel_credentials(self.authority.pem, who.key, who.cert)
        return grpc.secure_channel(self.addresses["otlp_grpc"], credentials, options)

    def connect(self, listener: str, sent: bytes = b"") -> socket.socket:
        """A bare connection over which this was sent."""
        connection = socket.create_connection(self.address(listener), timeout=ANSWER_S)
        with suppress(OSError):  # the other side may have closed already
            connection.sendall(sent)
        return connection

    @property
    def rss_bytes(self) -> int:
        """Memory that the process has now (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) << 10


def words_of(answer: httpx.Response) -> str:
    """The text of an answer, also of one in protobuf."""
    if answer.headers.get("content-type") == "application/x-protobuf" and answer.status_code >= 400:
        return Status.FromString(answer.content).message
    return answer.content.decode("utf-8", "replace")


def post(
    body: bytes | Callable[[], bytes], content_type: str | None = "application/x-protobuf", **headers: str
) -> Callable[[Target], Told]:
    """To POST /v1/traces. Names of headers with `_` for `-`."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        given["content-type"] = content_type

    def attack(target: Target) -> Told:
        with target.session("otlp_http") as session:
            content = body if isinstance(body, bytes) else body()
            answer = session.post("/v1/traces", content=content, headers=given)
        return Told(str(answer.status_code), words_of(answer))

    return attack


def call(
    body: bytes | Callable[[], bytes],
    method: str = EXPORT,
    *,
    metadata: Sequence[tuple[str, str | bytes]] = (),
    **options: Any,
) -> Callable[[Target], Told]:
    """One unary call to the gRPC listener."""

    def attack(target: Target) -> Told:
        with target.channel() as channel:
            content = body if isinstance(body, bytes) else body()
            try:
                answer = channel.unary_unary(method)(
                    content, metadata=tuple(metadata), **{"timeout": ANSWER_S} | options
                )
            except grpc.RpcError as error:
                return Told(error.code().name, error.details() or "")
            return Told("OK", repr(answer))

    return attack


def get(path: str, listener: str = "web", verb: str = "GET", **headers: str) -> Callable[[Target], Told]:
    """A request whose path goes out as it stands here."""
    given = {"host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}

    def attack(target: Target) -> Told:
        with target.session(listener) as session:
            session.cookies.clear()
            url = httpx.URL(f"{session.base_url}").copy_with(raw_path=path.encode())
            answer = session.request(verb, url, headers=given)
        return Told(str(answer.status_code), words_of(answer))

    return attack


def raw(
    sent: bytes | Callable[[], bytes], listener: str = "otlp_http", *, patience_s: float = ANSWER_S
) -> Callable[[Target], Told]:
    """Bytes on a bare connection; what came back until the end of theirs. Ours ends once nothing more comes.

    Not before, or after `patience_s`: servers take a client that ends its side for one that has gone.
    """

    def attack(target: Target) -> Told:
        content = sent if isinstance(sent, bytes) else sent()
        got = b""
        with target.connect(listener, content) as connection, suppress(ConnectionError):
            while select.select([connection], [], [], QUIET_S if got else patience_s)[0]:
                if not (piece := connection.recv(65536)):
                    return http_told(got)
                got += piece
            connection.shutdown(socket.SHUT_WR)
            got += received(connection)
        return http_told(got)

    return attack


def received(connection: socket.socket, most: int = 1 << 20) -> bytes:
    """All until the other side closes."""
    got = b""
    with suppress(ConnectionError, BrokenPipeError):
        while len(got) < most and (piece := connection.recv(65536)):
            got += piece
    return got


def http_told(got: bytes) -> Told:
    """The first answer; the words are everything that came."""
    found = re.match(rb"HTTP/1\.\d (\d{3})", got)
    words = got.decode("latin-1")
    return Told(found[1].decode(), words) if found else Told(CLOSED, words)


class GoodClient(Beside):
    """Exports triples, and reads page, API and readiness, until told to stop; `problems`: what it did not get."""

    def __init__(self, target: Target) -> None:
        self.problems: list[str] = []
        self.rounds = 0
        self._target = target
        super().__init__()

    def _go_on(self) -> None:
        read = {"authorization": f"Bearer {READ}"}
        with (
            self._target.session("web") as web,
            self._target.session("otlp_http") as http,
            self._target.channel() as ch,
        ):
            while not self._stop.wait(0.2) and not self.problems:
                try:
                    self._send(http, ch, self.rounds)
                    for path in ("/", "/readyz", "/api/v1/runs", "/runs/good"):
                        answer = web.get(path, headers=read)
                        if answer.status_code != 200:
                            self.problems.append(f"{path}: {answer.status_code} {answer.text[:300]}")
                except (grpc.RpcError, httpx.HTTPError) as error:
                    self.problems.append(repr(error))
                self.rounds += 1

    def _send(self, http: httpx.Client, channel: grpc.Channel, number: int) -> None:
        token = f"Bearer {WRITE}"
        for role, version in VERSIONS.items():
            span = product_call(f"good-{number}", role, run="good", name="same", price=1)
            body = request(schema_span(), span, version=version).SerializeToString()
            if role == "candidate":
                headers = {"content-type": "application/x-protobuf", "authorization": token}
                http.post("/v1/traces", content=body, headers=headers).raise_for_status()
            else:
                channel.unary_unary(EXPORT)(body, timeout=ANSWER_S, metadata=(("authorization", token),))

    def counted(self) -> bool:
        """Whether every round is in the store as a matched pair."""
        reader = self._target.reader()
        try:
            counts = [epoch.counts for epoch in reader.epochs("good")]
        finally:
            reader.close()
        return sum(one.matched for one in counts) == sum(one.pairs for one in counts) == self.rounds


def wait_s(since_s: float, seconds: float) -> float:
    """How much of `seconds` since a moment (monotonic) is left."""
    return max(0.0, since_s + seconds - time.monotonic())
