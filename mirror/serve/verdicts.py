"""Which verdict is meant, and finding it, for API, gates and command line alike.

A run's verdict is that of its newest epochs. Right after a deployment these are still the build's before: whoever waits for
a certain build names its version, and gets *inconclusive* until the first pair of it has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mirror.core.verdict import Policy
from mirror.serve import epochs, models, shape
from mirror.store import Reader
from mirror.store.views import EpochView, RunView


class UnclearError(Exception):
    """Too little, or too much, is said to know which verdict is meant."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: `run`, narrowed by `epoch` or by `service` and `candidate`; or these two without a run."""

    run: str | None = None
    epoch: int | None = None
    service: str | None = None
    candidate: str | None = None


def find(reader: Reader, policy: Policy, allowed: Sequence[str], wanted: Wanted, now_s: float) -> models.RunVerdict:
    """The verdict now; `allowed` are the configured runs. Raises NotFoundError, UnclearError and StoreError."""
    if wanted.run is None:
        return _of_version(reader, policy, wanted, now_s)
    found = epochs.find_run(reader, wanted.run, allowed)
    if wanted.epoch is not None:
        if wanted.service or wanted.candidate:
            raise UnclearError("an epoch is one service and candidate already: ask for it, or for these")
        report = epochs.judge_run(reader, found, policy, now_s)
        one = epochs.judge(reader, epochs.find_epoch(found, wanted.epoch), policy, now_s)
        return shape.verdict_out(one, report.current if report else ())
    narrowed = replace(found, epochs=tuple(e for e in found.epochs if _is_meant(e, wanted)))
    report = epochs.judge_run(reader, narrowed, policy, now_s)
    if report:
        return shape.run_verdict_out(report)
    return shape.not_seen(
        run=found.name, service=wanted.service or "", candidate=wanted.candidate or "", known=_known(found, wanted)
    )


def _is_meant(epoch: EpochView, wanted: Wanted) -> bool:
    service, candidate = wanted.service, wanted.candidate
    return service in (None, epoch.key.service) and candidate in (None, epoch.key.candidate_version)


def _known(run: RunView, wanted: Wanted) -> list[str]:
    of_service = [e.key for e in run.epochs if wanted.service in (None, e.key.service)]
    versions = sorted({key.candidate_version for key in of_service} - {""})
    return versions or sorted({e.key.service for e in run.epochs})


def _of_version(reader: Reader, policy: Policy, wanted: Wanted, now_s: float) -> models.RunVerdict:
    if not wanted.service or wanted.candidate is None:
        raise UnclearError("ask with ?run=NAME, or with ?service=NAME&candidate=VERSION")
    every = [epoch for run in reader.runs() for epoch in run.epochs]
    seen = [epoch for epoch in every if _is_meant(epoch, wanted)]
    if not seen:
        versions = sorted({e.key.candidate_version for e in every if e.key.service == wanted.service} - {""})
        services = sorted({e.key.service for e in every})
        return shape.not_seen(service=wanted.service, candidate=wanted.candidate, known=versions or services)
    newest = max(seen, key=lambda e: (e.last_s, e.id))
    report = epochs.judge(reader, newest, policy, now_s)
    return shape.verdict_out(report, (report,))
