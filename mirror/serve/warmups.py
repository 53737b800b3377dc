"""An A/A run judged for API and command line alike: each service by its newest epoch, and the worst of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mirror.core.verdict import Policy
from mirror.core.warmup import judge_warmup
from mirror.serve import epochs, models, shape
from mirror.serve.verdicts import UnclearError
from mirror.store import Reader
from mirror.store.verdicts import run_facts
from mirror.store.views import EpochView

WORST_FIRST: Final = ("faulty", "inconclusive", "sound")


def find(  # noqa: PLR0913, PLR0917 - what a question needs
    reader: Reader, policy: Policy, allowed: Sequence[str], run: str, service: str | None, now_s: float
) -> models.Warmup:
    """How the warm-up of `run` stands, or of one `service` of it; `allowed` are the configured runs, `now_s` is unix time.

    Before the first pair it is inconclusive, without services. Raises NotFoundError, UnclearError and StoreError.
    """
    newest = epochs.newest_by_service(epochs.find_run(reader, run, allowed).epochs)
    known = [epoch.key.service for epoch in newest]
    if service is not None and newest and service not in known:
        raise UnclearError(f"run {run!r} has no service {service!r}; it has {', '.join(known)}")
    judged = [_judged(reader, policy, epoch, now_s) for epoch in newest if service in (None, epoch.key.service)]
    outcomes = {one.outcome for one in judged} or {"inconclusive"}
    return models.Warmup(run=run, outcome=next(one for one in WORST_FIRST if one in outcomes), services=judged)


def _judged(reader: Reader, policy: Policy, epoch: EpochView, now_s: float) -> models.ServiceWarmup:
    one = judge_warmup(run_facts(reader, epoch.id, policy, now_s), policy)
    return models.ServiceWarmup(
        service=epoch.key.service,
        epoch=epoch.id,
        primary_version=epoch.key.primary_version,
        candidate_version=epoch.key.candidate_version,
        outcome=one.outcome,
        triples=epoch.counts.triples,
        faults=shape.reasons_out(one.faults),
        missing=shape.reasons_out(one.missing),
        eta_s=one.eta_s,
    )
