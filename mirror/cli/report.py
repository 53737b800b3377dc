"""`mirror report`: a run in the terminal: verdict, methods, what differs and what is noise, what to look at next."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mirror.cli.errors import UsageError
from mirror.cli.junit import junit_xml
from mirror.cli.options import ConfigOption, StoreOption
from mirror.cli.reading import configured, console, page_url, plain, reading, styled, table, why_nothing
from mirror.cli.report_clusters import clusters_as_data, show_clusters
from mirror.cli.report_rules import rules_as_data, rules_of, show_rule_changes, show_rules
from mirror.cli.report_speeds import show_speeds
from mirror.cli.verdict import judged, show_reasons
from mirror.config import Config
from mirror.core.noise import State
from mirror.serve import epochs, models, models_of_speed, shape, words
from mirror.serve.epochs import Paths
from mirror.store import Reader
from mirror.store.accounts import Account
from mirror.store.views import (
    NO_CLUSTERS,
    ClustersView,
    EpochView,
    HypothesisView,
    InstanceView,
    MethodView,
    RuleChangeView,
    SchemaChangesView,
    SpeedView,
)

PATHS_SHOWN: Final = 50
NOISE_SHOWN: Final = 8
REASONS_SHOWN: Final = 20
SCHEMA_CHANGES_SHOWN: Final = 20  # of one method
EXCESS_FROM_COLUMNS: Final = 110  # a narrower terminal needs the room for the paths

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def report(  # noqa: PLR0913 - the options of a command
    *,
    config: ConfigOption = None,
    store: StoreOption = None,
    run: Annotated[
        str | None, typer.Option(help="The run's name; the default is the one with the newest pairs.")
    ] = None,
    epoch: Annotated[
        int | None, typer.Option(help="An epoch's id; the default is the one that decides the verdict.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, in the shapes of the API.")] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Also write it there as JUnit XML: one test case a path.")
    ] = None,
) -> None:
    """Show a run: its verdict with every reason, its methods, the paths that differ, and the noise."""
    settings = configured(config, store)
    with reading(settings) as reader:
        name = run or _newest(reader, settings)
        now_s = time.time()
        found = judged(reader, settings, name, epoch, now_s=now_s)
        details = _details(reader, name, found.epoch)
        rules = rules_of(reader, settings, name, now_s)
    if junit is not None:
        _write_junit(junit, settings, found, details, now_s)
    if as_json:
        data = as_data(settings, found, details)
        typer.echo(json.dumps(data | {"rules": rules_as_data(rules)}, indent=2))
        return
    out = console()
    show(out, settings, found, details)
    show_rules(out, rules)


@dataclass(frozen=True, slots=True)
class Details:
    """What a report says beside the verdict; empty where nothing was seen yet."""

    epoch: EpochView | None = None
    methods: tuple[MethodView, ...] = ()
    paths: Paths = epochs.NO_PATHS
    clusters: ClustersView = NO_CLUSTERS
    schema_changes: tuple[SchemaChangesView, ...] = ()
    rule_changes: tuple[RuleChangeView, ...] = ()
    speeds: tuple[SpeedView, ...] = ()
    instances: tuple[InstanceView, ...] = ()
    account: Account | None = None


def as_data(config: Config, found: models.RunVerdict, details: Details) -> dict[str, Any]:
    """The whole report as JSON values.

    `verdict`, `epoch`, `methods`, `paths` (`differing`, `together`, `explained`), `clusters`, `schema_changes`, `rule_changes`,
    `account`, `speeds`, `instances`, `page`.
    """
    shown, paths = details.epoch, details.paths
    return {
        "run": found.run,
        "verdict": found.model_dump(mode="json"),
        "epoch": shape.epoch_out(shown).model_dump(mode="json") if shown else None,
        "methods": [shape.method_out(m).model_dump(mode="json") for m in details.methods],
        "paths": {
            "differing": [shape.path_out(h).model_dump(mode="json") for h in paths.differing],
            "together": [shape.path_out(h).model_dump(mode="json") for h in paths.together],
            "explained": [shape.path_out(h).model_dump(mode="json") for h in paths.explained],
        },
        "clusters": clusters_as_data(details.clusters),
        "schema_changes": [shape.schema_changes_out(m).model_dump(mode="json") for m in details.schema_changes],
        "rule_changes": [shape.rule_change_out(one).model_dump(mode="json") for one in details.rule_changes],
        "speeds": [shape.speed_out(one, config.policy).model_dump(mode="json") for one in details.speeds],
        "instances": [
            models_of_speed.Instance.model_validate(one).model_dump(mode="json") for one in details.instances
        ],
        "account": shape.account_out(details.account).model_dump(mode="json") if details.account else None,
        "page": page_url(config, found.page),
    }


def show(out: Console, config: Config, found: models.RunVerdict, details: Details) -> None:
    """Print the report for people."""
    headline = plain(f"run {found.run}  ")
    headline.append_text(styled(found.verdict))
    out.print(headline)
    shown, paths = details.epoch, details.paths
    if shown is not None:
        _totals(out, shown)
    if details.account is not None:
        _account(out, details.account)
    show_reasons(out, _summarised(found), shown=REASONS_SHOWN)
    if shown is None:
        return
    _methods(out, details.methods)
    _differing(out, paths.differing)
    show_clusters(out, details.clusters)
    _noise(out, paths.explained)
    show_speeds(out, details.speeds, details.instances, config.policy)
    _schema_changes(out, details.schema_changes)
    show_rule_changes(out, details.rule_changes)
    _next(out, config, found, shown, paths)


def _write_junit(path: Path, config: Config, found: models.RunVerdict, details: Details, now_s: float) -> None:
    """Whole or not at all."""
    listed = details.paths
    every = (*listed.differing, *listed.together, *listed.explained, *listed.other)
    half = path.with_name(f"{path.name}.part")
    try:
        half.write_bytes(junit_xml(found, every, details.methods, lambda page: page_url(config, page), now_s))
        half.replace(path)
    except OSError as error:
        raise UsageError(f"--junit {path}: cannot be written: {error.strerror}") from None


def _newest(reader: Reader, config: Config) -> str:
    runs = sorted(reader.runs(), key=lambda run: max((e.last_s for e in run.epochs), default=0.0))
    if not runs:
        raise UsageError(f"no pair has been seen yet in {config.store.url}.{why_nothing(reader)}")
    return runs[-1].name


def _details(reader: Reader, run: str, epoch: int | None) -> Details:
    if epoch is None:
        return Details()
    return Details(
        epochs.find_epoch(epochs.find_run(reader, run), epoch),
        tuple(epochs.sorted_methods(reader.methods(epoch))),
        epochs.paths(reader, epoch),
        reader.clusters(epoch),
        tuple(reader.schema_changes(epoch)),
        tuple(reader.rule_changes(epoch)),
        tuple(reader.speeds(epoch)),
        tuple(reader.instances(epoch)),
        reader.account(run),
    )


def _totals(out: Console, shown: EpochView) -> None:
    key, counts = shown.key, shown.counts
    out.print(plain(f"{key.service} {words.version(key.primary_version)} -> {words.version(key.candidate_version)}"))
    lasted = words.span(shown.last_s - shown.started_s)
    out.print(f"{words.moment(shown.started_s)} to {words.moment(shown.last_s)} UTC ({lasted})")
    figures = ("matched", "mismatched", "ignored", "incomplete", "incomparable", "triples")
    told = ", ".join(f"{words.count(getattr(counts, name))} {name}" for name in figures)
    out.print(f"{words.plural(counts.pairs, 'pair')}: {told}")
    if counts.reasons:
        reasons = ", ".join(f"{words.reason(name)} {words.count(n)}" for name, n in sorted(counts.reasons.items()))
        out.print(plain(f"incomplete, incomparable or no triple because: {reasons}"))


def _account(out: Console, account: Account) -> None:
    """What became of the calls, where it is not simply that they were compared."""
    for name, one in (("call", account.calls), ("outbound call", account.outbound)):
        dropped = sum(one.dropped.values())
        if dropped or one.waiting:
            reasons = ", ".join(f"{words.reason(name)} {words.count(n)}" for name, n in one.dropped.items())
            told = f"{words.count(one.grouped)} judged with their request, {words.count(dropped)} in no group"
            told += f" ({reasons})" if reasons else ""
            out.print(plain(f"{words.plural(one.received, name)} received: {told}, {words.count(one.waiting)} waiting"))
    if account.evicted:
        out.print(f"{words.plural(account.evicted, 'request')} let go early: memory was full (pairing.open_max_bytes)")
    if account.refused:
        out.print(
            f"{words.plural(account.refused, 'call')} refused beside these, by a process whose `runs` did not have this run"
        )
    if account.source_dropped:
        lost = ", ".join(f"{words.reason(name)} {words.count(n)}" for name, n in account.source_dropped.items())
        out.print(plain(f"dropped in the services, of all runs: {lost}"))


def _methods(out: Console, methods: Sequence[MethodView]) -> None:
    numbers = ("pairs", "matched", "mismatched", "ignored", "incomplete", "incomparable", "triples")
    listed = table("state", "method", *numbers, numbers=numbers)
    for one in methods:
        figures = (words.count(getattr(one.counts, name)) for name in numbers)
        listed.add_row(styled(one.state), plain(one.method), *figures)
    out.print("\nmethods")
    out.print(listed)


def _differing(out: Console, found: tuple[HypothesisView, ...]) -> None:
    """A table a method, the path last: it is the longest, and the only column that folds."""
    if not found:
        out.print("\nno path differs beyond noise")
        return
    out.print(
        f"\npaths that differ ({words.count(len(found))}): in how many triples the candidate alone (raw-only), "
        "the secondary alone (noise-only) or both differ"
    )
    shown = found[:PATHS_SHOWN]
    for method in dict.fromkeys(one.hypothesis.method for one in shown):
        mine = [one for one in shown if one.hypothesis.method == method]
        out.print()
        out.print(plain(f"{method}, {words.plural(max(one.n for one in mine), 'triple')}"))
        out.print(_paths_table(mine, wide=out.width >= EXCESS_FROM_COLUMNS))
    if len(found) > PATHS_SHOWN:
        out.print(f"and {words.plural(len(found) - PATHS_SHOWN, 'more path', 'more paths')}; --json has all")


def _paths_table(paths: list[HypothesisView], *, wide: bool) -> Table:
    numbers = ("raw", "noise", "both")
    listed = table("state", *numbers, *(("excess rate",) if wide else ()), "kind", "path", numbers=numbers)
    for column, width in zip(listed.columns, (9, 6, 6, 6, *((22,) if wide else ()), 9), strict=False):
        column.min_width = width  # the same in each method's table
    for one in paths:
        judgement = one.judgement
        excess = f"{words.percent(judgement.excess)} {words.interval(judgement.excess_low, judgement.excess_high)}"
        listed.add_row(
            _state(one),
            *(words.count(n) for n in (one.b, one.c, one.d)),
            *((excess,) if wide else ()),
            one.hypothesis.kind,
            plain(epochs.pattern_text(one)),
        )
    return listed


def _state(one: HypothesisView) -> Text:
    """Its state, and what someone decided of it."""
    text = styled(one.state)
    if one.decision is not None:
        text.append(f", {one.decision.what}")
        if one.decision.expires is not None:
            text.append(f" to {one.decision.expires.isoformat()}")
    return text


def _summarised(found: models.RunVerdict) -> models.RunVerdict:
    """The regressed paths as one reason: each stands in the tables below, with its figures."""
    regressed = [reason for reason in found.reasons if reason.code == "regressed"]
    if len(regressed) < 2:
        return found
    methods = {reason.figures.get("method") for reason in regressed}
    text = (
        f"{words.plural(len(regressed), 'path')} of {words.plural(len(methods), 'method')} regressed, listed below: the candidate "
        "differs there more often than another instance of the primary's build"
    )
    one = models.Reason(code="regressed", text=text, figures={"paths": len(regressed)})
    others = [reason for reason in found.reasons if reason.code != "regressed"]
    return found.model_copy(update={"reasons": [one, *others]})


def _noise(out: Console, found: tuple[HypothesisView, ...]) -> None:
    if not found:
        return
    blind = sum(one.judgement.blind for one in found)
    out.print(
        f"\nnoise explains {words.plural(len(found), 'path')}, where the secondary differs too"
        + (f" ({blind} of them blind: too noisy to judge)" if blind else "")
    )
    by_rate = sorted(found, key=lambda one: -one.judgement.noise_rate)
    listed = table("noise rate", "path", "kind", "method", numbers=("noise rate",))
    for one in by_rate[:NOISE_SHOWN]:
        name = one.hypothesis
        rate = words.percent(one.judgement.noise_rate)
        listed.add_row(rate, plain(epochs.pattern_text(one)), name.kind, plain(name.method))
    out.print(listed)
    if len(found) > NOISE_SHOWN:
        out.print(f"and {len(found) - NOISE_SHOWN} more")


def _schema_changes(out: Console, found: Sequence[SchemaChangesView]) -> None:
    if not found:
        return
    total = sum(one.count for one in found)
    out.print(f"\nschema changes ({words.count(total)}): what the candidate's response types have changed")
    out.print(words.SCHEMA_CHANGES_MEAN)
    for one in found:
        out.print()
        out.print(plain(one.method))
        listed = table("change", "values", "where", "primary", "candidate", numbers=())
        for change in one.changes[:SCHEMA_CHANGES_SHOWN]:
            listed.add_row(
                words.SCHEMA_CHANGES[change.kind],
                "compared" if change.comparable else "differ where set",
                *(plain(text or "-") for text in (change.path or change.name, change.left, change.right)),
            )
        out.print(listed)
        if one.count > SCHEMA_CHANGES_SHOWN:
            out.print(f"and {words.count(one.count - SCHEMA_CHANGES_SHOWN)} more; --json and the page have up to 200")
        if not one.complete:
            out.print("these schemas are too large to be looked at as a whole: there may be more")


def _next(out: Console, config: Config, found: models.RunVerdict, shown: EpochView, paths: Paths) -> None:
    out.print("\nlook next")
    urgent = [one for one in paths.differing if one.examples and one.state in (State.REGRESSED, State.SUSPECT)]
    for one in urgent[:3]:
        address = page_url(config, shape.path_page(found.run, one.id, shown.id))
        out.print(plain(f"  {epochs.pattern_text(one)}: {address}"), soft_wrap=True)
    out.print(plain(f"  the run: {page_url(config, found.page)}"), soft_wrap=True)
