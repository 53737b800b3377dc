"""`mirror doctor`: the command. It lists the checks, runs them, and prints one line a finding."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from mirror.cli.doctor import access, beyond, storing, system
from mirror.cli.doctor.asking import ask
from mirror.cli.doctor.findings import Check, Finding, Named, State, examine, ok, wrong
from mirror.cli.doctor.listening import Client, Prober
from mirror.cli.errors import UsageError
from mirror.cli.options import DEFAULT_FILE, ConfigOption
from mirror.cli.reading import console, plain
from mirror.config import Config, ConfigError, load

app = typer.Typer(add_completion=False, rich_markup_mode=None)
_SHARE: Final = 0.35  # of a check's time for one of its requests: it may need two
_MARKS: Final = {State.OK: "ok", State.NOTE: "note", State.WRONG: "WRONG", State.UNTRIED: "untried"}
_STYLES: Final = {State.OK: "green", State.NOTE: "yellow", State.WRONG: "bold red", State.UNTRIED: "dim"}
_NEEDS_SETTINGS: Final = "store, journal, certificates, tokens, listeners, forwarding, Envoy, Kafka"


@app.command()
def doctor(  # noqa: PLR0913 - its options
    *,
    config: ConfigOption = None,
    envoy: Annotated[str, typer.Option(help="Envoy's admin address, host:port: are its routes right?")] = "",
    running: Annotated[
        bool, typer.Option("--running", help="A collector should be running: a free port is wrong.")
    ] = False,
    cert_file: Annotated[str, typer.Option(help="A client's certificate, where listeners ask for one.")] = "",
    key_file: Annotated[str, typer.Option(help="Its private key.")] = "",
    timeout: Annotated[
        float, typer.Option(help="Seconds for the checks, which run side by side.", min=0.5, max=600)
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Try all that a configuration depends on, and say what is wrong and how to mend it. Changes nothing.

    May run before the collector is started, and beside it. Exit code: 0 nothing is wrong, 1 something is, 2 usage.
    """
    for option, path in (("--config", config), ("--cert-file", cert_file), ("--key-file", key_file)):
        if path and not Path(path).is_file():
            raise UsageError(f"{option} {path}: no such file")
    file = config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    settings, found = _settings(file)
    checks = [
        Named("versions", _all(system.versions)),
        Named("compiled parts", _all(system.compiled_parts)),
        Named("open files", _all(system.limits)),
    ]
    if settings is not None:
        prober = Prober(settings, client=Client(cert_file, key_file), limit_s=timeout * _SHARE, expected=running)
        checks = [*_checks(settings, prober, envoy, timeout * _SHARE), *checks]
    found += examine(checks, limit_s=timeout)
    if as_json:
        shown = [{name: value for name, value in asdict(one).items() if value or name == "text"} for one in found]
        typer.echo(json.dumps({"ok": not _any_wrong(found), "findings": shown}, indent=2))
    else:
        _show(found)
    raise typer.Exit(1 if _any_wrong(found) else 0)


def _settings(file: Path | None) -> tuple[Config | None, list[Finding]]:
    name = str(file) if file else "no mirror.yaml: defaults and MIRROR_*"
    try:
        settings = load(file, os.environ)
    except ConfigError as error:
        problems = [
            wrong("configuration", str(one), "mend it there; docs/configuration.md has all settings")
            for one in error.problems
        ]
        return None, [*problems, Finding(State.UNTRIED, "the rest", f"{_NEEDS_SETTINGS}: they need the configuration")]
    rules = len(settings.rules.rules)
    return settings, [ok("configuration", f"{name}: runs {', '.join(settings.runs)}; {rules} rules")]


def _checks(config: Config, prober: Prober, envoy: str, limit_s: float) -> list[Named]:
    admin = envoy if "://" in envoy or not envoy else f"http://{envoy}"
    clocks: dict[str, Callable[[], str | None]] = {}
    if not config.listen.web.endswith(":0"):
        clocks["the collector"] = lambda: _date(f"{prober.url('web')}/healthz", limit_s, prober)
    if admin:
        clocks["Envoy"] = lambda: _date(f"{admin.rstrip('/')}/ready", limit_s)
    if config.forward.endpoint.startswith("http"):
        clocks["the tracing backend"] = lambda: _date(config.forward.endpoint, limit_s)
    return [
        Named("store.url", _all(storing.store, config)),
        Named("journal.path", _all(storing.journal, config)),
        Named("tls", _all(access.certificates, config)),
        Named("auth", _all(access.tokens, config)),
        Named("listen.otlp_grpc", prober.otlp_grpc),
        Named("listen.otlp_http", prober.otlp_http),
        Named("listen.web", prober.web),
        Named("forward.endpoint", _all(partial(beyond.forward, limit_s=limit_s), config)),
        Named("envoy", _all(partial(beyond.envoy, limit_s=limit_s), config, admin)),
        Named("kafka.brokers", _all(partial(beyond.kafka, limit_s=limit_s), config)),
        Named("clock", _all(beyond.clocks, config, clocks)),
    ]


def _all(check: Callable[..., Iterable[Finding]], *given: object) -> Check:
    return lambda: list(check(*given))


def _date(url: str, limit_s: float, prober: Prober | None = None) -> str | None:
    return ask(url, limit_s=limit_s, context=prober.context() if prober else None).headers.get("date")


def _any_wrong(found: Iterable[Finding]) -> bool:
    return any(one.state is State.WRONG for one in found)


def _show(found: list[Finding]) -> None:
    out = console()
    width = max(len(one.about) for one in found)
    for one in found:
        line = plain(
            f"{_MARKS[one.state]:7}  {one.about:{width}}  {one.text}{f'. To mend: {one.advice}' if one.advice else ''}"
        )
        line.stylize(_STYLES[one.state], 0, 7)
        out.print(line, soft_wrap=True)
    wrong_count = sum(one.state is State.WRONG for one in found)
    out.print("\nnothing is wrong" if not wrong_count else f"\n{wrong_count} wrong")
