"""The guard at the listeners: certificates and tokens as configured.

`Guard` reads and checks everything at the start; `watch` lets it look for changed files now and then. Which request is let
in is decided by `access.Tokens`; how one that is not is answered, by each listener. A certificate that is not valid is used
all the same, since some clients do not look: but it is told, in the log and by a gauge.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeVar

import grpc

from mirror.collect import exposure, tls
from mirror.collect.access import Denied, Scope, Tokens
from mirror.collect.counters import Counters
from mirror.collect.files import FilesError, FromFiles, Reloaded, read_file
from mirror.collect.validity import Validity
from mirror.config import Config
from mirror.config.sections import Auth
from mirror.config.values import TOKEN_WANTED, is_token

REFRESH_S: Final = 2.0  # two looks, and what changed is in use
_LISTENERS: Final = ("otlp_grpc", "otlp_http", "web")
_log: Final = logging.getLogger(__name__)
_T = TypeVar("_T")


class Guard:
    """What the configuration asks of those who connect.

    Raises FilesError with every problem at once: of files, and of listeners that would be open to other machines.
    """

    def __init__(self, config: Config) -> None:
        problems = list(exposure.problems(config))
        auth, files = config.auth, tls.paths(config.tls)
        token_files = [path for path in (auth.read_tokens_file, auth.write_tokens_file) if path]
        tokens = _tried("tokens", token_files, lambda: read_tokens(auth), problems)
        self._tls = _tried("certificates", files, lambda: tls.material(config.tls), problems) if files else None
        self._asks_certificates = bool(config.tls.client_ca_file)
        self.asks_web_certificates = bool(config.tls.web_client_ca_file)
        if problems or tokens is None:
            raise FilesError(problems)
        self._tokens = tokens

    @property
    def encrypted(self) -> bool:
        """Whether the listeners use TLS."""
        return self._tls is not None

    def asks(self, scope: Scope) -> bool:
        """Whether a token is asked for."""
        return self._tokens.value.asked(scope)

    @property
    def to_look_up(self) -> Scope:
        """See access.Tokens.to_look_up; by the newest tokens."""
        return self._tokens.value.to_look_up

    def denial(self, scope: Scope, authorization: Sequence[str], *, basic: bool = False) -> Denied | None:
        """See access.Tokens.denial; by the newest tokens."""
        return self._tokens.value.denial(scope, authorization, basic=basic)

    def grpc_credentials(self) -> grpc.ServerCredentials | None:
        """Credentials for a gRPC server, which follow the files; None: no TLS."""
        certificates = self._tls
        if certificates is None:
            return None
        return tls.grpc_credentials(lambda: certificates.value, ask_clients=self._asks_certificates)

    def http_context(self, listener: Literal["otlp_http", "web"], counters: Counters) -> ssl.SSLContext | None:
        """A context for an HTTP server, which follows the files; None: no TLS."""
        certificates = self._tls
        if certificates is None:
            return None

        def newest() -> ssl.SSLContext:
            return certificates.value.web if listener == "web" else certificates.value.otlp

        def failed(reason: str) -> None:
            counters.inc("mirror_tls_handshakes_failed_total", listener=listener, reason=reason)

        return tls.NewestContext(newest, failed)

    @property
    def certificate(self) -> Validity | None:
        """Until when the certificate that listeners show is valid, by the newest files; None: no TLS, or it cannot be told."""
        return None if self._tls is None else self._tls.value.valid

    def refresh(self) -> list[Reloaded]:
        """Read again what changed; what happened."""
        events = [self._tokens.refresh(), None if self._tls is None else self._tls.refresh()]
        return [event for event in events if event is not None]


async def watch(
    guard: Guard,
    counters: Counters,
    *,
    listeners: Sequence[str] = _LISTENERS,
    clock: Callable[[], float] = time.time,
) -> None:
    """Look for changed files every REFRESH_S until cancelled; count and log what came of it, and of the certificate.

    `listeners`: those of this process. `clock`: unix seconds.
    """
    told = ""
    while True:
        told = _tell_of_certificate(guard, counters, listeners, clock(), told)
        await asyncio.sleep(REFRESH_S)
        for event in await asyncio.to_thread(guard.refresh):
            result = "failed" if event.problem else "done"
            counters.inc("mirror_reloads_total", kind=event.kind, result=result)
            if event.problem:
                _log.error("changed %s cannot be used, the old ones stay: %s", event.kind, event.problem)
            else:
                _log.info("changed %s are in use", event.kind)


def _tell_of_certificate(guard: Guard, counters: Counters, listeners: Sequence[str], now_s: float, told: str) -> str:
    """Set the gauges, and warn of what was not `told` yet; what is told now."""
    certificate = guard.certificate
    if certificate is None:
        return ""
    for listener in listeners:
        counters.set("mirror_tls_certificate_expires_timestamp_seconds", certificate.end_s, listener=listener)
    trouble = certificate.trouble(now_s)
    if trouble and trouble != told:
        _log.warning("the certificate of the listeners (tls.cert_file) %s", trouble)
    return trouble


def read_tokens(auth: Auth) -> Tokens:
    """The tokens of settings and files. Raises FilesError."""
    texts = token_texts(auth)
    return Tokens(read=texts[Scope.READ], write=texts[Scope.WRITE])


def token_texts(auth: Auth) -> dict[Scope, list[str]]:
    """The tokens of settings and files as they are sent. Raises FilesError."""
    problems: list[str] = []
    tokens: dict[Scope, list[str]] = {}
    for scope in Scope:
        tokens[scope] = [token.get_secret_value() for token in getattr(auth, f"{scope}_tokens")]
        name = f"{scope}_tokens_file"
        try:
            tokens[scope] += _tokens_in(f"auth.{name}", getattr(auth, name))
        except FilesError as error:
            problems += error.problems
    if problems:
        raise FilesError(problems)
    return tokens


def _tried(kind: str, paths: Sequence[str], read: Callable[[], _T], problems: list[str]) -> FromFiles[_T] | None:
    try:
        return FromFiles(kind, paths, read)
    except FilesError as error:
        problems += error.problems
        return None


def _tokens_in(setting: str, path: str) -> list[str]:
    if not path:
        return []
    lines = read_file(setting, path).decode("utf-8", "replace").splitlines()
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    found = [(number, line) for number, line in numbered if line and not line.startswith("#")]
    if wrong := [number for number, line in found if not is_token(line)]:
        raise FilesError([f"{setting}: {path}:{number}: {TOKEN_WANTED}" for number in wrong[:10]])
    if not found:
        raise FilesError([f"{setting}: {path}: holds no token; write one a line"])
    return [line for _, line in found]
