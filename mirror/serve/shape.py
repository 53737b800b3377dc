"""From the store's views to the shapes of the API. Pure; what a field means stands in `models`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote, urlencode

from mirror.core import verdict
from mirror.core.model import Kind
from mirror.core.sampled import sampled
from mirror.core.speed.evidence import AtLeast, words_of
from mirror.core.speed.votes import Metric
from mirror.serve import models, models_of_comparisons, models_of_rules, models_of_speed, tree
from mirror.serve.calls import CallView, MessageView
from mirror.serve.epochs import EpochReport, RunReport
from mirror.serve.sides import DifferenceRow, Mark, Replica, SidesView
from mirror.store.accounts import Account
from mirror.store.views import (
    ComparisonView,
    EpochView,
    HypothesisView,
    MethodView,
    RuleChangeView,
    SchemaChangesView,
    SpeedView,
)


def run_page(run: str, epoch: int | None = None) -> str:
    """The page of a run (of one of its epochs), relative to the server."""
    return f"/runs/{quote(run, safe='')}" + (f"?epoch={epoch}" if epoch is not None else "")


def path_page(run: str, hypothesis: int, epoch: int) -> str:
    """The page of one path's evidence and examples."""
    return f"/runs/{quote(run, safe='')}/paths/{hypothesis}?epoch={epoch}"


def suggestions_page(run: str, epoch: int) -> str:
    """The page of the rules that are suggested."""
    return f"/runs/{quote(run, safe='')}/suggestions?epoch={epoch}"


def comparisons_page(run: str, epoch: int, **filters: str | float | None) -> str:
    """The page of kept comparisons under filters: method, pattern, kind, verdict, before."""
    given = {"epoch": epoch} | {name: value for name, value in filters.items() if value}
    return f"/runs/{quote(run, safe='')}/comparisons?{urlencode(given)}"


def epoch_out(epoch: EpochView) -> models.Epoch:
    """One epoch with its counts."""
    return models.Epoch(
        id=epoch.id,
        run=epoch.key.run,
        service=epoch.key.service,
        primary_version=epoch.key.primary_version,
        candidate_version=epoch.key.candidate_version,
        started_s=epoch.started_s,
        last_s=epoch.last_s,
        counts=models.Counts.model_validate(epoch.counts),
    )


def method_out(method: MethodView) -> models.Method:
    """One method with its counts."""
    found = sampled(method.counts.pairs, method.counts.reasons)
    return models.Method(
        method=method.method,
        state=method.state,
        counts=models.Counts.model_validate(method.counts),
        looked_at=found.looked_at,
        not_sampled=found.not_sampled,
    )


def account_out(one: Account) -> models.Account:
    """What became of every call of a run."""
    return models.Account.model_validate(one)


def path_out(one: HypothesisView) -> models.Path:
    """One hypothesis; in the words of the vocabulary, not in b, c and d."""
    judged = one.judgement
    return models.Path(
        id=one.id,
        method=one.hypothesis.method,
        pattern="" if one.hypothesis.kind is Kind.ANY else one.hypothesis.pattern,
        kind=one.hypothesis.kind,
        state=one.state,
        explained=judged.explained,
        blind=judged.blind,
        control_worse=judged.control_worse,
        since_s=one.since_s,
        first_seen_s=one.first_seen_s,
        regressed_at_s=one.regressed_at_s,
        raw_only=one.b,
        noise_only=one.c,
        both=one.d,
        triples=one.n,
        pairs=one.pairs,
        minutes=one.minutes,
        rank=one.rank,
        log_e_star=judged.log_e_star,
        noise_rate=judged.noise_rate,
        excess=judged.excess,
        excess_low=judged.excess_low,
        excess_high=judged.excess_high,
        evidence=judged.words,
        examples=one.examples,
        labels=[
            models.LabelVotes(
                family=label.family,
                label=label.label,
                text=label.text,
                candidate=label.votes_raw,
                secondary=label.votes_noise,
                log_e_star=label.log_e_star,
            )
            for label in one.labels
        ],
        decision=models.PathDecision.model_validate(one.decision) if one.decision else None,
    )


def speed_out(one: SpeedView, policy: verdict.Policy) -> models_of_speed.Speed:
    """Latency or size of one method."""
    return models_of_speed.Speed(
        **{
            f: getattr(one, f) for f in ("method", "metric", "triples", "minutes", "rank", "median_ratio", "tail_ratio")
        },
        since_s=one.since_s,
        quantiles=dict(one.quantiles),
        slower=is_slower(one, policy),
        evidence=words_of(one.metric, AtLeast(one.median_ratio, one.tail_ratio)),
        by_minute=[models_of_speed.SpeedMinute.model_validate(minute) for minute in one.by_minute],
    )


def is_slower(one: SpeedView, policy: verdict.Policy) -> bool:
    """Whether a method's latency is over what the policy calls slower."""
    return one.metric == Metric.LATENCY and max(one.median_ratio, one.tail_ratio) >= policy.latency_ratio


def schema_changes_out(one: SchemaChangesView) -> models.MethodSchemaChanges:
    """What the candidate's schema changed in one method."""
    return models.MethodSchemaChanges.model_validate(one)


def rule_change_out(one: RuleChangeView) -> models_of_rules.RuleChange:
    """One change of rules with what it restarted."""
    return models_of_rules.RuleChange.model_validate(one)


def reasons_out(reasons: Iterable[verdict.Reason]) -> list[models.Reason]:
    """Reasons with their figures; figures that JSON cannot say become null."""
    return [
        models.Reason(code=r.code, text=r.text, figures={name: _finite(value) for name, value in r.figures.items()})
        for r in reasons
    ]


def verdict_out(shown: EpochReport, services: Iterable[EpochReport]) -> models.RunVerdict:
    """The verdict of one epoch, and beside it those of all services of the run."""
    key, report = shown.epoch.key, shown.verdict
    return models.RunVerdict(
        verdict=report.verdict,
        reasons=reasons_out(report.reasons),
        missing=reasons_out(report.missing),
        blind_spots=list(report.blind_spots),
        eta_s=_finite(report.eta_s),
        bound=_finite(report.bound),
        unexplained=report.x,
        triples=report.n,
        run=shown.run,
        service=key.service,
        epoch=shown.epoch.id,
        primary_version=key.primary_version,
        candidate_version=key.candidate_version,
        services=[
            models.ServiceVerdict(
                service=one.epoch.key.service,
                epoch=one.epoch.id,
                candidate_version=one.epoch.key.candidate_version,
                verdict=one.verdict.verdict,
            )
            for one in services
        ],
        last_s=shown.epoch.last_s,
        page=run_page(shown.run, shown.epoch.id),
        sampled=[*_sampled(shown.facts.methods)],
    )


def _sampled(methods: Iterable[verdict.MethodFacts]) -> Iterable[models.MethodSampled]:
    for one in methods:
        found = sampled(one.counts.pairs, one.counts.reasons)
        if found.not_sampled:
            yield models.MethodSampled(method=one.method, looked_at=found.looked_at, not_sampled=found.not_sampled)


def run_verdict_out(report: RunReport) -> models.RunVerdict:
    """The verdict of a run."""
    return verdict_out(report.deciding, report.current)


def not_seen(*, run: str = "", service: str = "", candidate: str = "", known: Sequence[str] = ()) -> models.RunVerdict:
    """Inconclusive: nothing of it was seen yet. Not an error, since a pipeline may ask before the first call.

    `known`: what was seen in its place, versions of the service or other services, for whoever misspelt it.
    """
    build = " ".join(part for part in (service, candidate) if part)
    what = (f"{build} in " if build and run else build) + (f"run {run!r}" if run else "")
    text = f"No pair of {what} has been seen yet; send calls through the mirroring route."
    if known:
        text += f" Seen so far: {', '.join(known[:20])}."
    return models.RunVerdict(
        verdict="inconclusive",
        reasons=[],
        missing=[models.Reason(code="no_pairs", text=text, figures={})],
        blind_spots=[],
        eta_s=None,
        bound=None,
        unexplained=0,
        triples=0,
        run=run,
        service=service,
        epoch=None,
        primary_version="",
        candidate_version=candidate,
        services=[],
        last_s=None,
        page=run_page(run) if run else "/",
    )


def comparison_line(one: ComparisonView) -> models_of_comparisons.ComparisonLine:
    """One kept comparison in a list."""
    return models_of_comparisons.ComparisonLine(
        id=one.id,
        method=one.method,
        mirror_id=one.mirror_id,
        trace_id=one.trace_id,
        verdict=one.verdict,
        reason=one.reason,
        compared_at_s=one.compared_at_s,
        differs=[models_of_comparisons.PathAndKind(pattern=pattern, kind=kind) for pattern, kind in one.hypotheses],
        ignored=[models_of_comparisons.PathAndKind(pattern=pattern, kind=kind) for pattern, kind in one.ignored],
    )


def comparison_out(view: SidesView) -> models_of_comparisons.Comparison:
    """One comparison with all its sides."""
    return models_of_comparisons.Comparison(
        id=view.id,
        run=view.run,
        service=view.service,
        method=view.method,
        mirror_id=view.mirror_id,
        trace_id=view.trace_id,
        compared_at_s=view.compared_at_s,
        verdict=view.verdict,
        sides=[_side(replica) for replica in view.replicas],
    )


def _side(replica: Replica) -> models_of_comparisons.Side:
    return models_of_comparisons.Side(
        role=replica.role,
        version=replica.version,
        instance=replica.instance,
        span_id=replica.span_id,
        verdict=replica.verdict,
        reason=replica.reason,
        difference_count=replica.difference_count,
        differences=[_difference(one) for one in replica.differences],
        unseen=list(replica.unseen),
        call=None if replica.call is None else _call(replica.call),
    )


def _difference(one: DifferenceRow) -> models_of_comparisons.Difference:
    return models_of_comparisons.Difference(
        path=one.path,
        pattern=one.pattern,
        kind=one.kind,
        left=one.left,
        right=one.right,
        rule=one.rule,
        note=one.note,
        noise=one.mark is Mark.NOISE,
        unjudged=one.mark is Mark.UNJUDGED,
    )


def _call(call: CallView) -> models_of_comparisons.Call:
    shown = {name: tree.plain(node) for name, node in call.sections.items()}
    status = shown.get("status") or {}
    return models_of_comparisons.Call(
        status=call.status,
        status_message=call.status_message,
        ending=call.ending,
        start_unix_ns=call.start_unix_ns,
        duration_ns=call.duration_ns,
        deadline_ns=call.deadline_ns,
        attempt=call.attempt,
        request_count=call.request_count,
        response_count=call.response_count,
        exception_type=call.exception_type,
        omitted=list(call.omitted),
        messages=[_message(one) for one in call.messages],
        initial_metadata=shown.get("initial_metadata"),
        trailing_metadata=shown.get("trailing_metadata"),
        request_metadata=shown.get("request_metadata"),
        status_details=status.get("details"),
        outbound=shown.get("outbound"),
    )


def _message(one: MessageView) -> models_of_comparisons.Message:
    fields = asdict(replace(one, node=None))
    fields.pop("node")
    return models_of_comparisons.Message(**fields)


def _finite(value: Any) -> Any:
    """JSON has no infinities and no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
