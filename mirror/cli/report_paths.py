"""The part of `mirror report` about methods and paths: what differs, and what noise explains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mirror.cli.reading import plain, styled, table
from mirror.core.model import Kind
from mirror.core.sampled import sampled
from mirror.serve import models, sampling, words

PATHS_SHOWN: Final = 50
NOISE_SHOWN: Final = 8
EXCESS_FROM_COLUMNS: Final = 110  # a narrower terminal needs the room for the paths


def pattern_text(one: models.Path) -> str:
    """The path pattern as a reader should see it."""
    return words.ANY_PATH if one.kind == Kind.ANY else one.pattern


def show_methods(out: Console, methods: Sequence[models.Method]) -> None:
    """All of them, with their pairs by verdict."""
    numbers = ("pairs", "matched", "mismatched", "ignored", "incomplete", "incomparable", "triples")
    listed = table("state", "method", *numbers, numbers=numbers)
    for one in methods:
        figures = (words.count(getattr(one.counts, name)) for name in numbers)
        listed.add_row(styled(one.state), plain(one.method), *figures)
    out.print("\nmethods")
    out.print(listed)
    _show_sampled(out, methods)


def _show_sampled(out: Console, methods: Sequence[models.Method]) -> None:
    """Of how many calls the messages were looked at, where it was not of all."""
    found = [(one.method, sampled(one.counts.pairs, one.counts.reasons)) for one in methods]
    lines = [(method, sampling.line(of)) for method, of in found if of.not_sampled]
    for method, line in lines:
        out.print(plain(f"{method}: {line}"))
    if lines:
        out.print(sampling.MEANT)


def show_differing(out: Console, found: Sequence[models.Path]) -> None:
    """A table a method, the path last: it is the longest, and the only column that folds."""
    if not found:
        out.print("\nno path differs beyond noise")
        return
    out.print(
        f"\npaths that differ ({words.count(len(found))}): in how many triples the candidate alone (raw-only), "
        "the secondary alone (noise-only) or both differ"
    )
    shown = found[:PATHS_SHOWN]
    for method in dict.fromkeys(one.method for one in shown):
        mine = [one for one in shown if one.method == method]
        out.print()
        out.print(plain(f"{method}, {words.plural(max(one.triples for one in mine), 'triple')}"))
        out.print(_paths_table(mine, wide=out.width >= EXCESS_FROM_COLUMNS))
    if len(found) > PATHS_SHOWN:
        out.print(f"and {words.plural(len(found) - PATHS_SHOWN, 'more path', 'more paths')}; --json has all")


def show_noise(out: Console, found: Sequence[models.Path]) -> None:
    """Those of the highest rates; nothing where there is none."""
    if not found:
        return
    blind = sum(one.blind for one in found)
    out.print(
        f"\nnoise explains {words.plural(len(found), 'path')}, where the secondary differs too"
        + (f" ({blind} of them blind: too noisy to judge)" if blind else "")
    )
    by_rate = sorted(found, key=lambda one: -one.noise_rate)
    listed = table("noise rate", "path", "kind", "method", numbers=("noise rate",))
    for one in by_rate[:NOISE_SHOWN]:
        listed.add_row(words.percent(one.noise_rate), plain(pattern_text(one)), one.kind, plain(one.method))
    out.print(listed)
    if len(found) > NOISE_SHOWN:
        out.print(f"and {len(found) - NOISE_SHOWN} more")


def _paths_table(paths: Sequence[models.Path], *, wide: bool) -> Table:
    numbers = ("raw", "noise", "both")
    listed = table("state", *numbers, *(("excess rate",) if wide else ()), "kind", "path", numbers=numbers)
    for column, width in zip(listed.columns, (9, 6, 6, 6, *((22,) if wide else ()), 9), strict=False):
        column.min_width = width  # the same in each method's table
    for one in paths:
        excess = f"{words.percent(one.excess)} {words.interval(one.excess_low, one.excess_high)}"
        listed.add_row(
            _state(one),
            *(words.count(n) for n in (one.raw_only, one.noise_only, one.both)),
            *((excess,) if wide else ()),
            one.kind,
            plain(pattern_text(one)),
        )
    return listed


def _state(one: models.Path) -> Text:
    """Its state, and what someone decided of it."""
    text = styled(one.state)
    if one.decision is not None:
        text.append(f", {one.decision.what}")
        if one.decision.expires is not None:
            text.append(f" to {one.decision.expires.isoformat()}")
    return text
