"""Where commands ask: the store beside it, or a collector by its address. Both say when they cannot answer just now."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from urllib import error, request
from urllib.parse import urlencode, urlsplit

from pydantic import ValidationError

from mirror.cli.errors import UsageError
from mirror.cli.reading import why_nothing
from mirror.config import Config
from mirror.serve import models, verdicts
from mirror.serve.epochs import NotFoundError
from mirror.serve.verdicts import UnclearError, Wanted
from mirror.store import Reader, StoreError

TIMEOUT_S: Final = 20.0
ANSWER_MAX_BYTES: Final = 16 << 20


class UnavailableError(Exception):
    """No answer just now: a store that is locked or not there yet, a collector that restarts. Asking again may help."""


class Asks(Protocol):
    """Someone who can be asked for the verdict, again and again."""

    def ask(self) -> models.RunVerdict:
        """The verdict now. Raises UnavailableError, and UsageError where asking again cannot help."""

    def hint(self) -> str:
        """What to look at where nothing was seen yet."""

    def close(self) -> None:
        """Let go of connections."""


class Store:
    """Asks the store of the configuration. A file that was replaced meanwhile is opened anew."""

    def __init__(self, config: Config, wanted: Wanted, clock: Callable[[], float] = time.time) -> None:
        self._config, self._wanted, self._clock = config, wanted, clock
        self._reader: Reader | None = None

    def ask(self) -> models.RunVerdict:
        """See Asks."""
        try:
            self._reader = self._reader or Reader.open(self._config.store.url)
            return verdicts.find(
                self._reader, self._config.policy, self._config.runs, self._wanted, now_s=self._clock()
            )
        except (NotFoundError, UnclearError) as problem:
            raise UsageError(str(problem)) from None
        except StoreError as problem:
            self.close()
            raise UnavailableError(str(problem)) from None

    def hint(self) -> str:
        """See Asks."""
        try:
            return why_nothing(self._reader).strip() if self._reader else ""
        except StoreError:
            return ""

    def close(self) -> None:
        """See Asks."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class Collector:
    """Asks `GET /api/v1/verdict` of a collector, with MIRROR_BEARER as its token, and MIRROR_CA_FILE, _CERT_FILE, _KEY_FILE."""

    def __init__(self, url: str, wanted: Wanted, env: Mapping[str, str] | None = None) -> None:
        asked = {"run": wanted.run, "epoch": wanted.epoch, "service": wanted.service, "candidate": wanted.candidate}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        self._path = f"/api/v1/verdict?{query}"
        self._connection = Connection(url, env)

    def ask(self) -> models.RunVerdict:
        """See Asks."""
        try:
            return models.RunVerdict.model_validate_json(self._connection.answer(self._path))
        except ValidationError:
            raise UnavailableError("that is not the answer of a collector") from None

    def hint(self) -> str:
        """See Asks."""
        return ""

    def close(self) -> None:
        """See Asks."""
        self._connection.close()


class Connection:
    """Requests to a collector's API at `url`: token and TLS from `env` (MIRROR_BEARER, ...), no redirect followed."""

    def __init__(self, url: str, env: Mapping[str, str] | None = None) -> None:
        env = os.environ if env is None else env
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--url {url}: not an address; say http://collector:4319")
        if parts.username or parts.password:
            raise UsageError("--url: a token in an address stands in logs; give it as MIRROR_BEARER")
        self._base, self._token = url.rstrip("/"), env.get("MIRROR_BEARER")
        handlers: list[Any] = [_NoRedirect()]
        if parts.scheme == "https":
            handlers.append(request.HTTPSHandler(context=_context(env)))
        self._opener = request.build_opener(*handlers)

    def answer(self, path: str, body: object = None, *, most: int = ANSWER_MAX_BYTES) -> bytes:
        """The body of a 2xx answer to a GET, or with `body`, as JSON, to a POST: at most so many bytes.

        Raises UnavailableError and UsageError.
        """
        data = None if body is None else json.dumps(body).encode()
        asked = request.Request(f"{self._base}{path}", data)  # noqa: S310 - http or https, checked above
        if data is not None:
            asked.add_header("content-type", "application/json")
        if self._token:
            asked.add_unredirected_header("authorization", f"Bearer {self._token}")
        try:
            with self._opener.open(asked, timeout=TIMEOUT_S) as answer:
                found: bytes = answer.read(most + 1)
        except error.HTTPError as answer:
            text = f"{self._base}: {answer.code} {_message(answer)}"
            if answer.code in (401, 403):
                text += " This command takes its token from MIRROR_BEARER."
            if answer.code >= 500 or answer.code == 429:
                raise UnavailableError(text) from None
            raise UsageError(text) from None
        except (OSError, http.client.HTTPException) as problem:
            reason = getattr(problem, "reason", None) or problem
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise UsageError(
                    f"{self._base}: its certificate cannot be trusted: {reason.verify_message}; set MIRROR_CA_FILE"
                ) from None
            if isinstance(reason, http.client.BadStatusLine) and not isinstance(reason, http.client.RemoteDisconnected):
                text = "what answers there speaks no HTTP; is it the port for OTLP? Page and API are at listen.web"
                raise UnavailableError(f"{self._base}: {text}") from None
            closed = isinstance(reason, http.client.RemoteDisconnected) and self._base.startswith("http:")
            hint = "; if it speaks TLS, say https://" if closed else ""
            raise UnavailableError(f"{self._base}: no answer: {reason}{hint}") from None
        if len(found) > most:
            raise UsageError(f"{self._base}: its answer has over {most >> 20} MiB, more than is taken")
        return found

    def close(self) -> None:
        """Let go of connections."""
        self._opener.close()


class _NoRedirect(request.HTTPRedirectHandler):
    """A collector never redirects; whoever does may want the token."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _context(env: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=env.get("MIRROR_CA_FILE") or None)
        if cert := env.get("MIRROR_CERT_FILE"):
            context.load_cert_chain(cert, env.get("MIRROR_KEY_FILE") or None)
    except OSError as problem:
        raise UsageError(f"MIRROR_CA_FILE, MIRROR_CERT_FILE, MIRROR_KEY_FILE: cannot be used: {problem}") from None
    return context


def _message(answer: error.HTTPError) -> str:
    try:
        return str(json.loads(answer.read(ANSWER_MAX_BYTES))["error"]["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return answer.reason or ""
