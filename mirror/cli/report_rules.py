"""What `mirror report` says of the rules: which of them are in trouble, and what became of each as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console

from mirror.cli.reading import plain, table
from mirror.serve import models, words
from mirror.serve.models_of_rules import RuleChange

CHANGES_SHOWN: Final = 5


def show_rules(out: Console, lines: Sequence[models.Rule]) -> None:
    """Print those that their owners should look at; nothing where there is none."""
    troubled = [line for line in lines if line.trouble]
    if not troubled:
        return
    out.print(f"\nrules to look at ({words.count(len(troubled))} of {words.count(len(lines))})")
    listed = table("trouble", "owner", "rule")
    for line in troubled:
        listed.add_row(plain(line.trouble), plain(line.owner), plain(line.id))
    out.print(listed)


def show_rule_changes(out: Console, found: Sequence[RuleChange]) -> None:
    """Print the newest changes of rules with what started anew; nothing where there is none."""
    if not found:
        return
    out.print(f"\nrule changes ({words.count(len(found))}): what a rule covers starts anew when it changes")
    for change in found[:CHANGES_SHOWN]:
        out.print(f"{words.moment(change.at_s)} UTC")
        for rule in change.rules:
            of = f" in {', '.join(rule.methods)}" if rule.methods else ""
            papers = "".join(f", {text}" for text in (rule.reason, rule.owner) if text)
            parameters = f" {rule.parameters}" if rule.parameters else ""
            out.print(plain(f"  {rule.what}: {rule.type} {rule.path}{parameters}{of}{papers}"))
        for one in change.restarts:
            bound = words.restarted(one.bound, one.triples, one.unexplained, one.unexplained_after)
            paths = words.plural(one.path_count, "path")
            out.print(plain(f"  {one.method}: {paths} started anew; the bound {bound}"))
    if len(found) > CHANGES_SHOWN:
        out.print(f"and {words.count(len(found) - CHANGES_SHOWN)} before; --json and the page have them")
