"""`mirror demo`: the shop behind a real Envoy, thousands of calls, and whether every seeded fault was found.

What was found comes from the store alone; the seeds are held against it afterwards. Exit code 0: all found, none missed,
none false, no primary error; 1 otherwise.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mirror.cli.errors import UsageError
from mirror.cli.reading import configured, reading
from mirror.serve import verdicts
from mirror.serve.clusters import CLUSTERS_MAX, lead_words
from mirror.serve.verdicts import Wanted
from mirror.store import Reader
from mirror_demo import mesh, plan, running
from mirror_demo.checking import REPORTED, Checked, CheckedGroups, Finding, Group, check, check_groups
from mirror_demo.outcomes import Done, wanted
from mirror_demo.processes import DemoError
from mirror_demo.seeds import SEEDS, Seed

app = typer.Typer(add_completion=False, rich_markup_mode=None)
_talk = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Result:
    """What the demo found, as `--json` prints it."""

    verdict: str
    pairs: int
    incomplete: int
    load: running.Load
    seeded: tuple[Seed, ...]
    checked: Checked
    groups: CheckedGroups
    effects: Done
    effects_wanted: Done

    @property
    def good(self) -> bool:
        """Whether it shows what it should; without faults the verdict must not be fail."""
        clean = not (self.checked.missed or self.checked.false or self.load.error_count)
        clean = clean and not (self.groups.unnamed or self.groups.false)
        clean = clean and self.effects == self.effects_wanted
        return clean and (bool(self.seeded) or self.verdict != "fail")

    def as_json(self) -> dict[str, Any]:
        """Counts of pairs and calls, and lists with path patterns."""
        return {
            "verdict": self.verdict,
            "pairs": self.pairs,
            "incomplete": self.incomplete,
            "primary_errors": self.load.error_count,
            "effects": asdict(self.effects),
            "effects_of_the_primary": asdict(self.effects_wanted),
            "seeded": [_seed_json(seed) for seed in self.seeded],
            "found": [finding.as_json() for finding in self.checked.found],
            "missed": [_seed_json(seed) for seed in self.checked.missed],
            "false": [finding.as_json() for finding in self.checked.false],
            "clusters": [group.as_json() for group in self.groups.named],
            "clusters_missed": [_seed_json(seed) for seed in self.groups.unnamed],
            "clusters_false": [group.as_json() for group in self.groups.false],
        }


def _seed_json(seed: Seed) -> dict[str, Any]:
    patterns = [pattern for pattern, _ in seed.expected]
    return {"seed": seed.name, "method": seed.full_method, "patterns": patterns, "what": seed.what}


@app.command()
def demo(  # noqa: PLR0913 - one for each option
    *,
    calls: Annotated[int, typer.Option(min=1, help="How many calls the shop's customers make.")] = 3000,
    seed: Annotated[int, typer.Option(help="Another seed, other calls in another order.")] = 1,
    faults: Annotated[str, typer.Option(help="all, none, or names of seeded faults with commas.")] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON instead of the report.")] = False,
    keep: Annotated[bool, typer.Option(help="Stay, with the page, until Ctrl-C.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Keep configuration, logs and store there; else they go when the demo ends.")
    ] = None,
) -> None:
    """Run an online shop in three replicas behind a real Envoy, and find what was broken in the new build."""
    chosen = _chosen(faults)
    _usable(out)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with _folder(out) as folder, running.running(folder, faults) as shop:
            result = _run(shop, calls, seed, chosen)
            _tell(shop, result, as_json=as_json)
            if keep:
                _stay(shop)
    except DemoError as error:
        typer.echo(f"mirror demo: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if not result.good:
        raise typer.Exit(1)


def _chosen(faults: str) -> tuple[Seed, ...]:
    names = [] if faults == "none" else [seed.name for seed in SEEDS] if faults == "all" else faults.split(",")
    known = {seed.name: seed for seed in SEEDS}
    unknown = [name for name in names if name.strip() not in known]
    if unknown:
        raise UsageError(f"--faults: no seeded fault {unknown[0]!r}; give all, none, or of {', '.join(known)}")
    return tuple(known[name.strip()] for name in names)


def _usable(out: Path | None) -> None:
    try:
        mesh.binary()
    except DemoError as error:
        raise UsageError(str(error)) from None
    if out is not None and (out / "mirror.db").exists():
        raise UsageError(f"--out: {out} holds the store of an earlier demo; name another folder, or remove it")


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="mirror-demo-") as made:
        yield Path(made)


def _run(shop: running.Running, calls: int, seed: int, chosen: tuple[Seed, ...]) -> Result:
    _talk.print(f"three replicas, Envoy and the collector are up; page: http://{shop.web}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    settings = configured(shop.folder / "mirror.yaml", None, {})
    with reading(settings) as reader:
        with Progress(*columns, console=_talk) as bars:
            sent, paired = bars.add_task("calls", total=calls), bars.add_task("pairs", total=calls)

            def pairs() -> int:
                return sum(epoch.counts.pairs for epoch in reader.epochs(running.RUN))

            load = shop.load(calls, seed, lambda done: bars.update(sent, completed=done))
            shop.wait_for_pairs(pairs, load.done, lambda done: bars.update(paired, completed=done))
        findings, groups = _findings(reader), _groups(reader)
        counts = [epoch.counts for epoch in reader.epochs(running.RUN)]
        verdict = verdicts.find(reader, settings.policy, settings.runs, Wanted(running.RUN), time.time()).verdict
    return Result(
        verdict=verdict,
        pairs=sum(c.pairs for c in counts),
        incomplete=sum(c.incomplete for c in counts),
        load=load,
        seeded=chosen,
        checked=check(findings, chosen),
        groups=check_groups(groups, chosen),
        effects=shop.effects(),
        effects_wanted=wanted(plan.make(calls, seed)),
    )


def _findings(reader: Reader) -> list[Finding]:
    """Every hypothesis of the run that is regressed or suspect."""
    views = [view for epoch in reader.epochs(running.RUN) for view in reader.hypotheses(epoch.id)]
    return [
        Finding(view.hypothesis.method, view.hypothesis.pattern, view.hypothesis.kind.value, view.state.value)
        for view in views
        if view.state.value in REPORTED
    ]


def _groups(reader: Reader) -> list[Group]:
    """Every cluster of the run."""
    found = [one for e in reader.epochs(running.RUN) for one in reader.clusters(e.id, limit=CLUSTERS_MAX).clusters]
    return [
        Group(
            one.method,
            frozenset((path.hypothesis.pattern, path.hypothesis.kind.value) for path in one.paths),
            one.n,
            *((one.leads[0].path, lead_words(one.leads[0])) if one.leads else ()),
        )
        for one in found
    ]


def _tell(shop: running.Running, result: Result, *, as_json: bool) -> None:
    for error in result.load.errors:
        _talk.print(f"went wrong: {error}", markup=False)
    lost = shop.shadows_lost()
    if lost:
        _talk.print(f"Envoy could not send {lost} shadows, or cut them off")
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=2))
        return
    config = shop.folder / "mirror.yaml"
    env = running.environment() | {"MIRROR_LISTEN_WEB": shop.web}
    command = [sys.executable, "-m", "mirror", "report", "--config", str(config), "--run", running.RUN]
    subprocess.run(command, check=False, env=env)  # noqa: S603 - our own program
    typer.echo("")
    for line in summary(result):
        typer.echo(line)
    typer.echo(
        f"page: http://{shop.web} (while the demo runs; --keep, with make ARGS=--keep, keeps it up, --out DIR keeps its files)"
    )


def summary(result: Result) -> Iterator[str]:
    """What the demo set out to show, and whether it did, in lines for people."""
    states = {finding.seed: finding for finding in reversed(result.checked.found)}
    yield f"seeded faults: {len(result.seeded)}, found: {len(result.seeded) - len(result.checked.missed)}"
    for seed in result.seeded:
        finding = states.get(seed.name)
        where = f"{finding.state:9}  {finding.pattern}" if finding else "MISSED"
        yield f"  {seed.name:16} {seed.method:14} {where}"
    yield f"named as a cluster, with what brings it out: {len(result.seeded) - len(result.groups.unnamed)}"
    for group in result.groups.named:
        yield f"  {group.seed:16} {group.lead or 'in every call, or in too few to tell'}"
    for seed in result.groups.unnamed:
        yield f"  {seed.name:16} NOT NAMED"
    for group in result.groups.false:
        patterns = ", ".join(sorted(pattern for pattern, _ in group.members))
        yield f"  FALSE CLUSTER: {group.method} {patterns}, which nobody seeded"
    for finding in result.checked.false:
        yield f"  FALSE: {finding.method} {finding.pattern} ({finding.kind}) is {finding.state} and nobody seeded it"
    once = (
        "each once" if result.effects == result.effects_wanted else f"WRONG: the primary made {result.effects_wanted}"
    )
    yield f"side effects: {result.effects}; {once}, so the shadows had none"
    pairs = f"{result.pairs} pairs, {result.incomplete} incomplete"
    yield f"{result.load.done} calls, {result.load.error_count} of them went wrong; {pairs}; verdict: {result.verdict}"


def _stay(shop: running.Running) -> None:
    _talk.print(f"the page stays at http://{shop.web} until Ctrl-C; files: {shop.folder}")
    stop = threading.Event()
    try:
        while not stop.wait(1.0):
            shop.check()
    except KeyboardInterrupt:
        _talk.print("ending")
