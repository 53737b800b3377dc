"""The collector's three addresses: free, or answered by a collector, or by something else. Probes change nothing.

OTLP is probed by an export of no spans; page and API by GET.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from mirror.cli.doctor.access import names_of, shown_by, trusting
from mirror.cli.doctor.asking import Answer, ask, said
from mirror.cli.doctor.findings import Finding, note, ok, wrong
from mirror.collect.access import Scope
from mirror.collect.addresses import Address, PortInUseError, bind
from mirror.collect.files import FilesError
from mirror.collect.guard import token_texts
from mirror.config import Config

EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - how to reach oneself there
_GIVE_CERTIFICATE: Final = "to try further give a client's certificate: --cert-file, --key-file"
_TOKEN: Final = "give the running collector this configuration; changed files of tokens it reads within 5 s"  # noqa: S105
_LOG: Final = "see GET /readyz and its log"


@dataclass(frozen=True, slots=True)
class Client:
    """A client's certificate, for listeners that ask for one. Empty: none."""

    cert_file: str = ""
    key_file: str = ""


class _Ended(Exception):  # noqa: N818 - control flow of this module
    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


class Prober:
    """Tries the addresses of one configuration.

    `limit_s`: for each request. `expected`: a collector should be running, so a free port is wrong.
    """

    def __init__(self, config: Config, *, client: Client, limit_s: float, expected: bool = False) -> None:
        self._config = config
        self._client = client
        self._limit_s = limit_s
        self._expected = expected

    def otlp_grpc(self) -> list[Finding]:
        """An export of nothing, as a service sends it."""
        return list(self._listener("otlp_grpc", self._export))

    def otlp_http(self) -> list[Finding]:
        """The same over HTTP."""
        return list(self._listener("otlp_http", self._post))

    def web(self) -> list[Finding]:
        """Readiness and the API."""
        return list(self._listener("web", self._read))

    def url(self, listener: str) -> str:
        """Where an HTTP listener is reached from this machine."""
        scheme = "https" if self._config.tls.cert_file else "http"
        return f"{scheme}://{_from_here(Address.parse(getattr(self._config.listen, listener)))}"

    def context(self) -> ssl.SSLContext | None:
        """For HTTP by TLS: trusts the configured certificate alone; None: no TLS. Raises OSError where files cannot be used."""
        if not self._config.tls.cert_file:
            return None
        context = trusting(self._config)
        if self._client.cert_file:
            context.load_cert_chain(self._client.cert_file, self._client.key_file or None)
        return context

    def _listener(self, name: str, probe: Callable[[str, Address], Iterator[Finding]]) -> Iterator[Finding]:
        about, address = f"listen.{name}", Address.parse(getattr(self._config.listen, name))
        if not address.port:
            yield note(about, f"{address}: any free port, so whether a collector runs cannot be told")
            return
        try:
            bind(name, address).close()
        except PortInUseError as problem:
            if not problem.in_use:
                yield wrong(
                    about,
                    f"{address}: {problem.why}",
                    f"name an address of this machine and a port that {about} may have",
                )
                return
        else:
            if self._expected:
                yield wrong(about, f"{address}: nobody listens", "start it: mirror collector --config FILE")
            else:
                yield ok(about, f"{address}: free; no collector runs here")
            return
        try:
            yield from probe(about, address)
        except _Ended as ended:
            yield ended.finding

    def _export(self, about: str, address: Address) -> Iterator[Finding]:
        metadata = tuple(self._authorization(Scope.WRITE).items())
        with self._channel(_from_here(address)) as channel:
            call = channel.unary_unary(EXPORT, request_serializer=None, response_deserializer=None)
            try:
                call(b"", timeout=self._limit_s, metadata=metadata)
            except grpc.RpcError as error:
                yield self._refused(about, address, error.code(), error.details() or "")
                return
        yield ok(about, f"{address}: a collector takes OTLP by gRPC")

    def _refused(self, about: str, address: Address, code: grpc.StatusCode, details: str) -> Finding:
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            return wrong(about, f"{address}: a collector runs and refuses the configured token: {details}", _TOKEN)
        if code is grpc.StatusCode.UNAVAILABLE and self._without_certificate("client_ca_file"):
            return note(about, f"{address}: answers, and asks for a client certificate", _GIVE_CERTIFICATE)
        if code is grpc.StatusCode.UNAVAILABLE and details.startswith(("the collector", "the journal", "journal")):
            return wrong(about, f"{address}: a collector runs and takes nothing: {details}", _LOG)
        return wrong(
            about, f"{address}: what has the port is no collector of this configuration ({code.name})", _other(about)
        )

    def _channel(self, address: Address) -> grpc.Channel:
        if not self._config.tls.cert_file:
            return grpc.insecure_channel(str(address))
        certificate = Path(self._config.tls.cert_file).read_bytes()
        key = cert = None
        if self._client.cert_file:
            cert = Path(self._client.cert_file).read_bytes()
            key = Path(self._client.key_file).read_bytes() if self._client.key_file else cert
        name = next(iter(names_of(shown_by(self._config))), "localhost").replace("*", "any")
        options = [("grpc.ssl_target_name_override", name)]
        return grpc.secure_channel(str(address), grpc.ssl_channel_credentials(certificate, key, cert), options)

    def _post(self, about: str, address: Address) -> Iterator[Finding]:
        answer = self._asked(about, address, "client_ca_file", "/v1/traces", Scope.WRITE, verb="POST")
        if answer.status == 200:
            yield ok(about, f"{address}: a collector takes OTLP by HTTP")
        elif answer.status in (401, 403):
            yield wrong(about, f"{address}: refuses the configured token ({answer.status})", _TOKEN)
        elif answer.status in (429, 503) and "retry-after" in answer.headers:
            yield wrong(about, f"{address}: a collector runs and takes nothing", _LOG)
        else:
            yield wrong(about, f"{address}: what has the port is no collector ({answer.status})", _other(about))

    def _read(self, about: str, address: Address) -> Iterator[Finding]:
        ca = "web_client_ca_file"
        ready = self._asked(about, address, ca, "/readyz")
        if ready.status == 503:
            why = "; ".join(ready.body.decode("utf-8", "replace").split("\n")).strip("; ")
            yield wrong(about, f"{address}: a collector runs and is not ready: {why}", "mend that; its log says more")
        elif (ready.status, ready.body) != (200, b"ready\n"):
            yield wrong(about, f"{address}: what has the port is no collector ({ready.status})", _other(about))
            return
        answer = self._asked(about, address, ca, "/api/v1/runs", Scope.READ)
        if answer.status == 403 and self._without_certificate(ca):
            text = f"{address}: a collector runs, and its API asks for a client certificate"
            yield note(about, text, _GIVE_CERTIFICATE)
        elif answer.status in (401, 403):
            yield wrong(about, f"{address}: the API refuses the configured token ({answer.status})", _TOKEN)
        elif answer.status == 404 and self._config.kafka.model_fields_set:  # by /readyz it is one of ours
            yield ok(about, f"{address}: mirror ingest serves health and metrics; page and API are the workers'")
        elif (runs := _runs(answer)) is None:
            yield wrong(about, f"{address}: the API answers {answer.status}", "see the collector's log")
        else:
            yield ok(about, f"{address}: a collector serves page and API; runs seen: {', '.join(runs) or 'none yet'}")

    def _asked(  # noqa: PLR0913 - a request
        self, about: str, address: Address, ca: str, path: str, scope: Scope | None = None, *, verb: str = "GET"
    ) -> Answer:
        headers = {"content-type": "application/x-protobuf"} if verb == "POST" else {}
        if scope is not None:
            headers |= self._authorization(scope)
        url = f"{self.url(about.removeprefix('listen.'))}{path}"
        try:
            return ask(url, limit_s=self._limit_s, verb=verb, headers=headers, context=self.context())
        except ssl.SSLCertVerificationError as error:
            text = f"{address}: shows another certificate than tls.cert_file, or one that is no longer valid: {error.verify_message}"
            advice = 'a collector reads changed files within 5 s; where it cannot, its log says why and mirror_reloads_total{result="failed"} rises'
            raise _Ended(wrong(about, text, advice)) from None
        except (OSError, http.client.HTTPException) as error:
            if self._without_certificate(ca):
                text = f"{address}: answers, and asks for a client certificate"
                raise _Ended(note(about, text, _GIVE_CERTIFICATE)) from None
            text = f"{address}: what has the port does not answer as a collector of this configuration: {said(error)}"
            raise _Ended(wrong(about, text, _other(about))) from None

    def _without_certificate(self, ca: str) -> bool:
        return bool(getattr(self._config.tls, ca)) and not self._client.cert_file

    def _authorization(self, scope: Scope) -> dict[str, str]:
        with suppress(FilesError):  # told by another check
            if known := token_texts(self._config.auth)[scope]:
                return {"authorization": f"Bearer {known[0]}"}
        return {}


def _from_here(address: Address) -> Address:
    return Address(_ANY.get(address.host, address.host), address.port)


def _other(about: str) -> str:
    name = about.removeprefix("listen.").upper()
    return (
        f"another listener of this collector, or with other tls settings: mend the configuration that doctor reads; "
        f"another program: stop it, or choose another port by {about} (MIRROR_LISTEN_{name})"
    )


def _runs(answer: Answer) -> list[str] | None:
    try:
        return [str(run["name"]) for run in json.loads(answer.body)["runs"]]
    except (ValueError, KeyError, TypeError):
        return None
