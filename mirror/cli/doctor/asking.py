"""One HTTP request with a bound on time and size. No redirect is followed, no proxy used."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

BODY_MAX_BYTES: Final = 64 << 20  # Envoy's configuration can be large


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(
    url: str,
    *,
    limit_s: float,
    verb: str = "GET",
    headers: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
) -> Answer:
    """Raises OSError (which SSLError is) or HTTPException where there is no answer, ValueError for what is no http(s) URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no http(s) URL")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=limit_s, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=limit_s)
    try:
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        connection.request(verb, path, b"" if verb == "POST" else None, dict(headers or {}))
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read(BODY_MAX_BYTES))
    finally:
        connection.close()


def said(error: Exception) -> str:
    """An error of `ask` in few words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
