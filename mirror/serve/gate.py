"""Who may see page, API and metrics. A request that may not is answered here, before anything is read for it.

People log in by HTTP Basic, the token as the password: so no token ever stands in an address, a cookie or a log. Browsers
send it again by themselves, also when another site's page asks; such requests are turned away, links excepted. Health is open.
"""

from __future__ import annotations

from typing import Final

from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from mirror.collect.access import NO_CERTIFICATE, Denied, Scope
from mirror.collect.counters import Counters
from mirror.collect.guard import Guard
from mirror.collect.hosting import CLIENT_CERTIFICATE

OPEN: Final = frozenset({"/healthz", "/readyz"})
READING: Final = frozenset({"GET", "HEAD"})
_NO_WRITERS: Final = Denied(
    "no_writers",
    "Decisions want a token that may write, and this collector has none: set auth.write_tokens, or use mirror accept.",
    known=True,
)
_CROSS_SITE: Final = Denied("cross_site", "Another site's page may link to this one, and not read from it.", known=True)


class Gate:
    """The decision and the answer. `counters` count what was denied."""

    def __init__(self, guard: Guard, counters: Counters) -> None:
        self._guard = guard
        self._counters = counters

    def answer(self, request: Request) -> Response | None:
        """What a request gets that may not go on; None: it may."""
        denied = None if request.url.path in OPEN else self._denied(request)
        if denied is None:
            return None
        self._counters.inc("mirror_web_denied_total", reason=denied.reason)
        return _response(request, denied)

    def _denied(self, request: Request) -> Denied | None:
        if _is_cross_site(request):
            return _CROSS_SITE
        if _scope(request) is Scope.WRITE and self._guard.asks(Scope.READ) and not self._guard.asks(Scope.WRITE):
            return _NO_WRITERS  # else whoever need not say who they are could write what they may not read
        state = request.scope.get("state") or {}
        if self._guard.asks_web_certificates and not state.get(CLIENT_CERTIFICATE):
            return NO_CERTIFICATE
        return self._guard.denial(_scope(request), request.headers.getlist("authorization"), basic=True)


def _scope(request: Request) -> Scope:
    """What a request needs: decisions are written, all else is read, gates too, though they are asked by POST."""
    return Scope.WRITE if request.method not in READING and request.url.path.endswith("/decisions") else Scope.READ


def _is_cross_site(request: Request) -> bool:
    """By what browsers say of themselves; other clients say nothing, and have no token that they did not mean to send."""
    site = request.headers.get("sec-fetch-site", "none")
    if site in ("none", "same-origin"):
        return False
    is_link = (request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-dest")) == ("navigate", "document")
    return not (is_link and request.method == "GET")


def _response(request: Request, denied: Denied) -> Response:
    status, code = (403, "forbidden") if denied.known else (401, "unauthorized")
    response: Response
    if request.url.path.startswith("/api/"):
        response = JSONResponse({"error": {"code": code, "message": denied.message}}, status_code=status)
    else:
        response = PlainTextResponse(f"{denied.message}\n", status_code=status)
    if not denied.known:
        response.headers.append("WWW-Authenticate", 'Basic realm="mirror", charset="UTF-8"')
        response.headers.append("WWW-Authenticate", 'Bearer realm="mirror"')
    return response
