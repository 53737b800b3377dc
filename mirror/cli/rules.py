"""`mirror rules check` and `mirror rules explain`: are the rules of a file right, and which of them applies where?

`mirror rules suggest` hangs in here too.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from mirror.cli.descriptor_set import ServedMethod, read_methods
from mirror.cli.errors import UsageError
from mirror.cli.options import DEFAULT_FILE
from mirror.cli.rules_suggest import suggest_rules
from mirror.config import Config, ConfigError, load
from mirror.core.path import (
    AnyElement,
    AnyName,
    AnySteps,
    Field,
    Index,
    PathPattern,
    PathSyntaxError,
    PatternStep,
    Step,
    Typed,
)
from mirror.core.rules import (
    MethodRules,
    MethodTypes,
    PathStatus,
    Rule,
    RuleSet,
    Schema,
    Status,
    check_paths,
    merge,
    parameters_of,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Check the rules of a mirror.yaml, explain them, or have some suggested.",
)
app.command(name="suggest")(suggest_rules)
_WRONG: Final = frozenset({Status.UNKNOWN, Status.MISUSED})
_File = Annotated[Path, typer.Argument(metavar="FILE", help="The mirror.yaml.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says of one rule. `status` "": no schema was given."""

    rule: Rule
    status: str
    expired: bool
    problem: str

    @property
    def wrong(self) -> bool:
        """Whether the rule cannot do what it says."""
        return self.status in _WRONG

    @property
    def lacking(self) -> list[str]:
        """What strictness asks for beyond being right."""
        lacks = [f"no {name}" for name in ("reason", "owner") if not getattr(self.rule, name)]
        unsure = [str(self.status)] if self.status == Status.PENDING else []
        return ["expired"] * self.expired + unsure + lacks

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return describe(self.rule) | {
            "status": self.status or None,
            "expired": self.expired,
            "problem": self.problem or None,
            "lacking": self.lacking,
        }


@app.command()
def check(
    file: _File,
    *,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail too where a rule is expired, pending, or has no reason or owner.")
    ] = False,
    schema: Annotated[
        Path | None,
        typer.Option(metavar="FDS", help="A descriptor set (protoc --include_imports -o) to check against."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Check FILE as the collector would at its start, and its rules' paths against a schema.

    Exit code 0: right, 1: a path that does not exist or that its rule does not fit (with --strict also what it names),
    2: the file cannot be used.
    """
    config = _load(file, as_json=as_json)
    found = findings(config, read_methods(schema) if schema else None, datetime.now(tz=UTC).date())
    failed = any(finding.wrong or (strict and finding.lacking) for finding in found)
    if as_json:
        _print_json({"file": str(file), "ok": not failed, "problems": [], "rules": [f.as_json() for f in found]})
    else:
        _print_findings(file, found, strict=strict)
    raise typer.Exit(1 if failed else 0)


@app.command()
def explain(
    path: Annotated[str, typer.Argument(metavar="PATH", help='As the report shows it: "response.items[*].price".')],
    *,
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The mirror.yaml.")] = DEFAULT_FILE,
    method: Annotated[str, typer.Option(metavar="M", help="In this method: shop.v1.Shop/Checkout.")] = "",
    run: Annotated[str, typer.Option(metavar="R", help="In this run.")] = "",
    as_json: _Json = False,
) -> None:
    """Say which rules of FILE apply at PATH, those that win first."""
    try:
        steps = PathPattern.parse(path).steps
    except PathSyntaxError as error:
        raise UsageError(str(error)) from None
    if problem := Schema().walk(steps).problem:  # no schema: only what no call could have
        raise UsageError(f"{path}: {problem}")
    rules = _load(config, as_json=as_json).rules.in_force(datetime.now(tz=UTC).date())
    scoped = MethodRules(rule for rule in rules.rules if _concerns(rule, run, method))
    applying, idle = _bearing(scoped, steps)
    if as_json:
        found = {"rules": [describe(rule) for rule in applying], "overruled": [describe(rule) for rule in idle]}
        _print_json({"path": path, "method": method, "run": run} | found)
        return
    for line in _explanation(path, applying, idle):
        typer.echo(line)


def _bearing(rules: MethodRules, steps: tuple[PatternStep, ...]) -> tuple[list[Rule], list[Rule]]:
    """The rules that apply at a path, or may at some path of a pattern, and those that are overruled wherever it leads."""
    place = rules.walk(steps)
    here = sorted((*place.rules, *place.overruled), key=lambda rule: rule.scope.breadth)
    ignoring = rules.ignoring(steps)
    found = [ignoring, *here] if ignoring and ignoring not in here else here
    paths = _examples(steps)
    everywhere = [rules.ignoring(path) for path in paths]
    if everywhere[0] and all(ignore is everywhere[0] for ignore in everywhere):
        return [everywhere[0]], [rule for rule in found if rule is not everywhere[0]]
    idle = [rule for rule in found if all(rule in rules.walk(path).overruled for path in paths)]
    return [rule for rule in found if rule not in idle], idle


def _examples(steps: tuple[PatternStep, ...]) -> list[tuple[Step, ...]]:
    """Of a path itself; of a pattern paths that it names and no rule does by name, nothing and something for its `**`."""
    name, element = Field("\0"), Index(10**20)
    spread = name, element, name, Typed("\0")
    found = []
    for many in ((), spread):
        path: list[Step] = []
        for step in steps:
            match step:
                case AnySteps():
                    path += many
                case AnyElement():
                    path.append(element)
                case AnyName():
                    path.append(name)
                case _:
                    path.append(step)
        found.append(tuple(path))
    return found


def findings(config: Config, methods: Sequence[ServedMethod] | None, today: date) -> list[Finding]:
    """What is to be said of each rule, in the order of the file; `methods` None: no schema to check against."""
    known = {} if methods is None else _statuses(config, methods)
    found = []
    for rule in config.rules.rules:
        status = known.get(rule.id)
        expired = not rule.in_force(today)
        found.append(Finding(rule, status.status if status else "", expired, _said(status)))
    return found


def describe(rule: Rule) -> dict[str, Any]:
    """A rule as JSON: its parameters, scope and papers."""
    kind, path, runs, methods, own = json.loads(rule.meaning)
    scope = {"id": rule.id, "type": kind, "path": path, "methods": methods, "runs": runs}
    papers = {"reason": rule.reason, "owner": rule.owner, "link": rule.link}
    expires = {"expires": rule.expires.isoformat() if rule.expires else None}
    return {**scope, **own, **papers, **expires}


def _statuses(config: Config, methods: Sequence[ServedMethod]) -> dict[str, PathStatus]:
    every_run = RuleSet(config.rules.rules)
    runs = config.runs or ("",)
    found = [
        status
        for method in methods
        for run in runs
        for status in check_paths(every_run, MethodTypes(run, method.name, method.response, method.streamed))
    ]
    told = merge(found)
    for rule in config.rules.rules:
        if rule.id not in told:
            told[rule.id] = PathStatus(rule, Status.PENDING, "no method of the schema is in its scope")
    return told


def _said(status: PathStatus | None) -> str:
    if status is None or not status.problem:
        return ""
    return f"{status.method}: {status.problem}" if status.method else status.problem


def _concerns(rule: Rule, run: str, method: str) -> bool:
    in_run = not run or not rule.scope.runs or run in rule.scope.runs
    return in_run and (not method or rule.scope.includes_method(method))


def _load(file: Path, *, as_json: bool) -> Config:
    try:
        return load(file, os.environ)
    except ConfigError as error:
        if not as_json:
            raise UsageError(f"{file} cannot be used\n{error}") from None
        problems = [
            {"line": p.mark.line or None, "column": p.mark.column or None, "source": p.mark.source, "problem": p.text}
            for p in error.problems
        ]
        _print_json({"file": str(file), "ok": False, "problems": problems, "rules": []})
        raise typer.Exit(2) from None


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_findings(file: Path, found: Sequence[Finding], *, strict: bool) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("rule", "path", "schema", "note"):
        table.add_column(heading, overflow="fold")
    for finding in found:
        notes = [finding.problem] if finding.problem else []
        notes += finding.lacking if strict else ["expired"] * finding.expired
        table.add_row(finding.rule.id, str(finding.rule.scope.path), finding.status or "-", "; ".join(notes))
    width = None if sys.stdout.isatty() else 160  # logs of pipelines need no folding
    console = Console(file=sys.stdout, markup=False, highlight=False, width=width)
    if found:
        console.print(table)
    wrong = sum(finding.wrong for finding in found)
    console.print(f"{file}: {len(found)} rule{'s' * (len(found) != 1)}, {wrong or 'none'} wrong")
    if not any(finding.status for finding in found):
        console.print("their paths were not checked: give the services' descriptor set by --schema FDS")


def _explanation(path: str, applying: Sequence[Rule], idle: Sequence[Rule]) -> Iterable[str]:
    if not applying:
        yield f"No rule applies at {path}: any difference there counts."
    for rule in (*applying, *idle):
        where = ", ".join([*rule.scope.methods, *(f"run {run}" for run in rule.scope.runs)])
        mark = "overruled: " if rule in idle else ""
        parameters = parameters_of(rule.meaning)
        what = f"{rule.type} {rule.scope.path}{f' {parameters}' if parameters else ''}"
        yield f"{mark}{what}{f' in {where}' if where else ''} [{rule.id}]"
        until = f"until {rule.expires}" if rule.expires else ""
        if papers := ", ".join(filter(None, (rule.reason, rule.owner, until, rule.link))):
            yield f"    {papers}"
