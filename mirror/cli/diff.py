"""`mirror diff LEFT RIGHT`: two message files, compared as the collector compares two answers.

Exit codes: 0 the same, 1 different, 2 bad input. Reads files, prints to standard output.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from google.protobuf.descriptor import Descriptor
from rich.console import Console
from rich.text import Text

from mirror.cli.descriptor_set import read_pool
from mirror.cli.errors import UsageError
from mirror.cli.message_file import message_class, read_message
from mirror.config import ConfigError, load
from mirror.core.compare import CompareOptions, Result, compare, value_text
from mirror.core.model import Difference, Kind
from mirror.core.path import Field, render
from mirror.core.rules import MethodRules, PathStatus, Rule, RuleSet, Schema, Status, check_rule

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Compare two message files, field by field.")
VALUE_TEXT_MAX: Final = 400
_DEFAULTS: Final = {Kind.MISSING: "at its default on the right", Kind.ADDED: "at its default on the left"}
_WORDS: Final = {Kind.MISSING: "only on the left", Kind.ADDED: "only on the right", Kind.ORDER: "order differs"}


@app.command()
def diff(  # noqa: PLR0913 - one for each option
    left: Annotated[Path, typer.Argument(metavar="LEFT", help="What is expected: the primary's answer.")],
    right: Annotated[Path, typer.Argument(metavar="RIGHT", help="What came: the candidate's answer.")],
    *,
    schema: Annotated[
        Path, typer.Option("--schema", metavar="FDS", help="A descriptor set (protoc --include_imports -o FDS).")
    ],
    type_name: Annotated[str, typer.Option("--type", metavar="T", help="The messages' full name: shop.v1.Order.")],
    rules: Annotated[
        Path | None, typer.Option("--rules", metavar="FILE", help="A mirror.yaml; its rules at `response...` apply.")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", metavar="M", help="For rules of some methods only: shop.v1.Shop/Checkout.")
    ] = "",
    run: Annotated[str, typer.Option("--run", metavar="R", help="For rules of some runs only.")] = "",
    differences_max: Annotated[int, typer.Option("--max", min=1, help="Differences to print.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Compare LEFT and RIGHT: binary (.binpb, .pb), text format (.txtpb, .textproto) or JSON (.json), in any mixture.

    Exit code 0: the same (differences under a rule do not count), 1: different, 2: bad input.
    """
    pool, files = read_pool(schema)
    kind = message_class(pool, files, type_name, schema)
    in_force = _rules(rules, run, method)
    idle = _idle(in_force, pool.FindMessageTypeByName(type_name))
    found = compare(
        read_message(left, kind, pool),
        read_message(right, kind, pool),
        in_force,
        options=CompareOptions(differences_max=differences_max),
    )
    if as_json:
        told = _as_json(found, left, right, type_name)
        told["rules_that_cannot_apply"] = [{"rule": each.rule.id, "problem": each.problem} for each in idle]
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for each in idle:
            typer.echo(_harmless(f"rule {each.rule.id} cannot apply to {type_name}: {each.problem}"), err=True)
        _print(found, left, right, type_name)
    raise typer.Exit(0 if found.same else 1)


def _rules(file: Path | None, run: str, method: str) -> MethodRules:
    rules = RuleSet()
    if file is not None:
        try:
            rules = load(file, {}).rules.in_force(datetime.now(tz=UTC).date())
        except ConfigError as error:
            raise UsageError(str(error)) from None
    return rules.for_method(run, method)


def _idle(rules: MethodRules, kind: Descriptor) -> list[PathStatus]:
    """Those of the rules for `response...` that do nothing here: a mistyped path must not look like a real difference."""
    schema = Schema(kind, streamed=False)
    statuses = [check_rule(rule, schema) for rule in rules.rules if _is_for_answers(rule)]
    return [each for each in statuses if each.status in {Status.UNKNOWN, Status.MISUSED}]


def _is_for_answers(rule: Rule) -> bool:
    first = next(iter(rule.scope.path.steps), None)
    return isinstance(first, Field) and first.name == "response"


def _as_json(found: Result, left: Path, right: Path, type_name: str) -> dict[str, Any]:
    return {
        "same": found.same,
        "type": type_name,
        "left": str(left),
        "right": str(right),
        "difference_count": found.count,
        "differences": [_difference_json(difference) for difference in found.differences],
        "ignored_count": found.ignored_count,
        "ignored": [_difference_json(difference) for difference in found.ignored],
        "complete": found.complete,
    }


def _difference_json(difference: Difference) -> dict[str, str]:
    return {
        "path": render(difference.path),
        "pattern": difference.pattern,
        "kind": difference.kind.value,
        "left": value_text(difference.left, text_max=VALUE_TEXT_MAX),
        "right": value_text(difference.right, text_max=VALUE_TEXT_MAX),
        "rule": difference.rule,
        "note": difference.note,
    }


def _print(found: Result, left: Path, right: Path, type_name: str) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if found.same:
        console.print(Text.assemble(("same", "bold green"), f"  {left} and {right} ({type_name})"))
    else:
        count = _counted(found.count, "difference")
        console.print(Text.assemble((count, "bold red"), f"  in {type_name}"))
        console.print(Text.assemble(("- ", "red"), str(left), "\n", ("+ ", "green"), str(right)))
        for difference in found.differences:
            console.print(_block(difference))
        if found.count > len(found.differences):
            console.print(f"\n... and {found.count - len(found.differences)} more (see them with --max {found.count})")
    if found.ignored:
        console.print(f"\n{_counted(found.ignored_count, 'difference')} under a rule:")
        for difference in found.ignored:
            console.print(Text.assemble("  ", _path(difference), ("  " + difference.rule, "dim")))


def _block(difference: Difference) -> Text:
    """The path, then the left value and the right one as a test failure shows them."""
    word = _WORDS.get(difference.kind, "")
    if word and difference.left is not None and difference.right is not None:  # without presence, unset is the default
        word = _DEFAULTS[difference.kind]
    text = Text.assemble("\n  ", (_path(difference), "bold"))
    if word:
        text.append(f"  {word}", "yellow")
    if difference.note:
        text.append(f"  ({_harmless(difference.note)})", "dim")
    ours, theirs = (value_text(value, text_max=VALUE_TEXT_MAX) for value in (difference.left, difference.right))
    if ours or difference.kind is Kind.MISSING:
        text.append(f"\n    - {_harmless(ours)}", "red")
    if theirs or difference.kind is Kind.ADDED:
        text.append(f"\n    + {_harmless(theirs)}", "green")
    return text


def _path(difference: Difference) -> str:
    return _harmless(render(difference.path))


def _harmless(text: str) -> str:
    """Control characters cannot reach the terminal."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
