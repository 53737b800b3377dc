"""What pipelines ask of /api/v1 beside the verdict: gates for Flagger, and decisions on paths, the one thing that is written.

A gate says yes by 200 alone: whatever keeps it from knowing (an unknown run, a store that cannot be read) is no yes.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mirror.core.decisions import Decision, Ruling
from mirror.serve import epochs, models, models_of_use
from mirror.serve.deciding import Asked, DecisionError, take
from mirror.serve.site import Site
from mirror.serve.verdicts import Wanted
from mirror.store.deciding import history_of

CLOSED: Final = 409  # Flagger takes anything over 202 for a no
_ERRORS: Final = {
    404: {"model": models.ErrorBody, "description": "there is no such run or path; the message lists what there is"},
    422: {"model": models.ErrorBody, "description": "a parameter is wrong"},
}


def router(site: Site) -> APIRouter:
    """Gates and decisions over one site."""
    api = APIRouter(prefix="/api/v1", responses=dict(_ERRORS))  # type: ignore[arg-type]
    _gates(api, site)
    _decisions(api, site)
    return api


def _gates(api: APIRouter, site: Site) -> None:
    closed = {CLOSED: {"model": models_of_use.GateAnswer, "description": "closed: the verdict is another one"}}

    def answer(gate: str, wanted: str, asked: Wanted) -> JSONResponse:
        found = site.verdict(asked)
        is_open = found.verdict == wanted
        told = models_of_use.GateAnswer(gate=gate, open=is_open, verdict=found)
        return JSONResponse(told.model_dump(mode="json"), status_code=200 if is_open else CLOSED)

    @api.post("/gates/promote", tags=["gates"], response_model=models_of_use.GateAnswer, responses=closed)  # type: ignore[arg-type]
    def promote(
        asker: models_of_use.Asker | None = None,
        run: Annotated[str | None, Query(description="the run's name")] = None,
        service: Annotated[
            str | None, Query(description="a service, in the place of the run or of those in it")
        ] = None,
        candidate: Annotated[str | None, Query(description="only this version of the candidate")] = None,
    ) -> JSONResponse:
        """200 only when the verdict is pass, else 409. Flagger's confirm-promotion webhook."""
        return answer("promote", "pass", _wanted(asker, run, service, candidate))

    @api.post("/gates/rollback", tags=["gates"], response_model=models_of_use.GateAnswer, responses=closed)  # type: ignore[arg-type]
    def rollback(
        asker: models_of_use.Asker | None = None,
        run: Annotated[str | None, Query(description="the run's name")] = None,
        service: Annotated[
            str | None, Query(description="a service, in the place of the run or of those in it")
        ] = None,
        candidate: Annotated[str | None, Query(description="only this version of the candidate")] = None,
    ) -> JSONResponse:
        """200 only when the verdict is fail, else 409. Flagger's rollback webhook."""
        return answer("rollback", "fail", _wanted(asker, run, service, candidate))


def _wanted(asker: models_of_use.Asker | None, run: str | None, service: str | None, candidate: str | None) -> Wanted:
    """Which verdict is meant: by the query, else by the webhook's metadata."""
    said = asker.metadata if asker else {}
    if run is None and service is None and candidate is None:
        run, service, candidate = (said.get(name) for name in ("run", "service", "candidate"))
    return Wanted(run, None, service, candidate)


def _only_json(request: Request) -> None:
    """Another site's form could be sent by a browser without asking; JSON cannot. Asked before the body is looked at."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "Send JSON: content-type: application/json.")


def _decisions(api: APIRouter, site: Site) -> None:
    @api.get("/runs/{run}/decisions", tags=["decisions"])
    def run_decisions(run: str, epoch: Annotated[int | None, Query(ge=1)] = None) -> models_of_use.Decisions:
        """Who accepted or rejected what, the newest first; those that were withdrawn or have expired too."""
        found = site.run(run)
        shown = (
            epochs.find_epoch(found, epoch)
            if epoch is not None
            else next(iter(epochs.newest_by_service(found.epochs)), None)
        )
        if shown is None:
            return models_of_use.Decisions(run=run, epoch=None, decisions=[])
        with site.reader.connect() as connection:
            history = history_of(connection, shown.id)
        return models_of_use.Decisions(run=run, epoch=shown.id, decisions=[decision_out(one) for one in history])

    @api.post("/runs/{run}/decisions", tags=["decisions"], status_code=201, dependencies=[Depends(_only_json)])
    def decide(run: str, asked: models_of_use.DecisionAsked) -> models_of_use.Decision:
        """Accept a path (it leaves the verdict until a day), reject it (the run fails), or withdraw that. Wants a write token."""
        if site.engine is None:
            raise HTTPException(405, "This server only reads; decide by mirror accept and mirror reject.")
        said = Asked(
            Ruling(asked.what),
            asked.pattern,
            asked.owner,
            asked.reason,
            asked.expires,
            asked.method or "",
            asked.kind or "",
        )
        try:
            taken = take(site.reader, site.engine, site.run(run), asked.epoch, said, now_s=site.clock())
        except DecisionError as problem:
            raise RequestValidationError(
                [{"loc": ("body", "decision"), "msg": str(problem), "type": "value"}]
            ) from None
        return decision_out(taken.decision)


def decision_out(one: Decision) -> models_of_use.Decision:
    """One decision in the shape of the API."""
    name = one.hypothesis
    return models_of_use.Decision(
        what=one.what,
        method=name.method,
        pattern=name.pattern,
        kind=name.kind,
        owner=one.owner,
        reason=one.reason,
        expires=one.expires,
        at_s=one.at_s,
    )
