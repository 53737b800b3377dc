"""The web application: pages, API, metrics and health over one reader. `web_app` is all that others use.

Read only, but for decisions on paths. On a loopback address it answers only to loopback names, so that no foreign web page can read captured
payloads through the reader's browser (DNS rebinding).
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import Engine
from starlette.exceptions import HTTPException

from mirror import __version__
from mirror.collect.exposure import is_loopback
from mirror.config import Config
from mirror.serve import api, api_use, metrics, pages
from mirror.serve.epochs import NotFoundError
from mirror.serve.gate import Gate
from mirror.serve.pages import HERE, Pages
from mirror.serve.site import Health, Schemas, Site, Snapshot
from mirror.serve.verdicts import UnclearError
from mirror.store import Reader, StoreError

_LOG: Final = logging.getLogger(__name__)
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_Next = Callable[[Request], Awaitable[Response]]


def web_app(  # noqa: PLR0913 - what it stands on, each by its name
    reader: Reader,
    config: Config,
    counters: Snapshot,
    health: Health,
    *,
    gate: Gate | None = None,
    clock: Callable[[], float] = time.time,
    engine: Engine | None = None,
) -> FastAPI:
    """The application over one store.

    `counters` gives the collector's samples; `health` what keeps it from being ready, in words (empty: ready); `gate`
    who may ask (None: anybody). `clock` gives unix seconds. `engine` writes
    decisions on paths; without, nothing is written. Raises nothing; every error becomes an answer.
    """
    site = Site(reader, config, config.policy, counters, health, clock, Schemas(reader), engine)
    app = FastAPI(
        title="mirror",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        description="Parallel running for gRPC: runs, verdicts, differing paths, kept comparisons, gates and decisions.",
    )
    shown = Pages(site)
    app.include_router(api.router(site))
    app.include_router(api_use.router(site))
    app.include_router(pages.router(shown))
    _operation(app, site, shown)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    _errors(app, shown)
    _frame(app, config, gate)
    return app


def bare_app(config: Config, counters: Snapshot, health: Health, *, gate: Gate | None = None) -> FastAPI:
    """Metrics and health of a process that has no store; otherwise as `web_app`."""
    app = FastAPI(title="mirror", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)
    _health(app, health)

    @app.get("/metrics")
    def scrape() -> Response:
        return Response(metrics.process_text(counters, health), media_type=CONTENT_TYPE_LATEST)

    _frame(app, config, gate)
    return app


def _operation(app: FastAPI, site: Site, shown: Pages) -> None:
    _health(app, site.health)

    @app.get("/metrics", include_in_schema=False)
    def scrape() -> Response:
        return Response(metrics.text(site), media_type=CONTENT_TYPE_LATEST)

    @app.get("/api/docs", include_in_schema=False)
    def docs() -> Response:
        return shown.render("api.html", "api", operations=_operations(app.openapi()))


def _health(app: FastAPI, health: Health) -> None:
    @app.get("/healthz", include_in_schema=False)
    def alive() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    def ready() -> PlainTextResponse:
        problems = list(health())
        if problems:
            return PlainTextResponse("".join(f"{one}\n" for one in problems), status_code=503)
        return PlainTextResponse("ready\n")


def _operations(described: dict[str, Any]) -> list[dict[str, Any]]:
    """The OpenAPI description as the documentation page prints it."""
    return [
        {
            "method": verb.upper(),
            "path": path,
            "text": operation.get("description", ""),
            "parameters": [
                {"name": p["name"], "required": p.get("required", False), "text": p.get("description", "")}
                for p in operation.get("parameters", ())
            ],
        }
        for path, verbs in described["paths"].items()
        for verb, operation in verbs.items()
    ]


def _errors(app: FastAPI, shown: Pages) -> None:
    def answer(request: Request, status: int, code: str, text: str) -> Response:
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": {"code": code, "message": text}}, status_code=status)
        return shown.error(HTTPStatus(status).phrase, text, status)

    @app.exception_handler(NotFoundError)
    def not_found(request: Request, error: NotFoundError) -> Response:
        return answer(request, 404, error.code, str(error))

    @app.exception_handler(UnclearError)
    def unclear(request: Request, error: UnclearError) -> Response:
        return answer(request, 422, "invalid_parameter", f"{error}. The parameters stand at /api/docs.")

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        told = "; ".join(f"{'.'.join(str(step) for step in e['loc'][1:])}: {e['msg']}" for e in error.errors()[:20])
        return answer(request, 422, "invalid_parameter", f"{told}. The parameters stand at /api/docs.")

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        text = "There is no such page; the endpoints stand at /api/docs." if error.status_code == 404 else error.detail
        return answer(request, error.status_code, HTTPStatus(error.status_code).name.lower(), text)

    @app.exception_handler(StoreError)
    def unavailable(request: Request, error: StoreError) -> Response:
        return answer(request, 503, "store_unavailable", str(error))

    @app.middleware("http")
    async def funnel(request: Request, call_next: _Next) -> Response:
        try:
            return await call_next(request)
        except Exception as error:  # noqa: BLE001 - the one place where faults of pages and endpoints end
            place = traceback.extract_tb(error.__traceback__)[-1]
            # Neither the error's text nor the query: they may hold values of calls.
            _LOG.error("%s failed: %s at %s:%s", request.url.path, type(error).__name__, place.name, place.lineno)
            return answer(request, 500, "internal", "The collector failed to answer; its log names the error.")


def _frame(app: FastAPI, config: Config, gate: Gate | None) -> None:
    """Headers of every answer, the check of the name that was asked for, and of who asks."""
    own = _host(config.listen.web)
    names = {own, _host(urlsplit(config.web.url).netloc)} - {""} if is_loopback(own) else set()

    @app.middleware("http")
    async def frame(request: Request, call_next: _Next) -> Response:
        asked = _host(request.headers.get("host", ""))
        if names and not (is_loopback(asked) or asked in names):
            text = "This collector listens on loopback only: ask for it as localhost, or set web.url to this name.\n"
            return PlainTextResponse(text, status_code=421)
        turned_away = gate.answer(request) if gate is not None else None
        response = turned_away if turned_away is not None else await call_next(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        kept = request.url.path.startswith("/static/") and response.status_code == 200
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "no-store"
        return response


def _host(address: str) -> str:
    """The name in host:port, lower case, without the brackets of IPv6."""
    try:
        return urlsplit(f"//{address}").hostname or ""
    except ValueError:
        return ""
