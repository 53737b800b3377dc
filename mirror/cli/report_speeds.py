"""The part of `mirror report` about latency and size, and who served the calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.console import Console

from mirror.cli.reading import plain, table
from mirror.core.model import Role
from mirror.serve import words
from mirror.serve.models_of_speed import Instance, Speed

SPEEDS_SHOWN: Final = 20


def show_speeds(out: Console, speeds: Sequence[Speed], instances: Sequence[Instance]) -> None:
    """Latencies, those that are slower first, and sizes where the candidate's are larger; nothing where none was measured."""
    listed = [one for one in speeds if one.metric == "latency" or one.median_ratio or one.tail_ratio]
    if not listed:
        return
    listed.sort(key=lambda one: (not one.slower, -max(one.median_ratio, one.tail_ratio)))
    out.print("\nlatency and size: the candidate against the secondary, in triples that all three answered alike")
    out.print(plain(served_by(instances)))
    numbers = ("triples", "p50 candidate", "secondary", "primary", "p99 candidate", "secondary ")
    shown = table("method", "of", *numbers, "at least", numbers=numbers)
    for one in listed[:SPEEDS_SHOWN]:
        figures = (
            (Role.CANDIDATE, 0),
            (Role.SECONDARY, 0),
            (Role.PRIMARY, 0),
            (Role.CANDIDATE, 2),
            (Role.SECONDARY, 2),
        )
        values = (words.measure(one.metric, one.quantiles[role][place]) for role, place in figures)
        shown.add_row(plain(one.method), one.metric, words.count(one.triples), *values, plain(one.evidence))
    out.print(shown)
    if len(listed) > SPEEDS_SHOWN:
        out.print(f"and {words.count(len(listed) - SPEEDS_SHOWN)} more; --json and the page have all")


def served_by(instances: Sequence[Instance]) -> str:
    """How many instances of each role served how many calls; of one each, what that means."""
    calls: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for one in instances:
        calls[one.role] += one.calls
        names[one.role] += 1
    told = ", ".join(
        f"{role}: {words.plural(calls[role], 'mirrored call')} by {words.plural(names[role], 'instance')}"
        for role in Role
        if names[role]
    )
    alone = names[Role.CANDIDATE] == 1 or names[Role.SECONDARY] == 1
    return told + ("; of one instance it may be the instance that is slower, and not the build" if alone else "")
