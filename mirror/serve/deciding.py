"""Taking a decision on a path, for command line and API: find the path meant, check what is said, keep it, write the audit line."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import Engine

from mirror.core.decisions import Decision, Ruling, problems
from mirror.core.model import Kind
from mirror.serve import epochs
from mirror.serve.epochs import NotFoundError
from mirror.store import Reader
from mirror.store.deciding import day_of, decide
from mirror.store.limits import OTHER
from mirror.store.views import EpochView, HypothesisView, RunView

LISTED_MAX: Final = 10
_log: Final = logging.getLogger("mirror.audit")


class DecisionError(Exception):
    """A decision that cannot be taken; the text says what to say instead."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What someone asks for. `method` and `kind` may be empty where the pattern alone says which path is meant."""

    what: Ruling
    pattern: str
    owner: str
    reason: str
    expires: date | None = None
    method: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """A decision that was kept, and where."""

    run: str
    epoch: EpochView
    path: HypothesisView
    decision: Decision


def take(  # noqa: PLR0913 - who asks for what, where
    reader: Reader, engine: Engine, run: RunView, epoch: int | None, asked: Asked, *, now_s: float
) -> Taken:
    """Keep a decision by `engine`, which writes, on a path of the run's newest epochs, or of `epoch`.

    Raises NotFoundError (no such path, several that could be meant), DecisionError (what is said does not do) and
    StoreError.
    """
    shown, path = _find(reader, run, epoch, asked)
    decision = Decision(path.hypothesis, asked.what, asked.owner.strip(), asked.reason.strip(), asked.expires, now_s)
    wrong = problems(decision, day_of(now_s))
    if decision.hypothesis.pattern == OTHER and asked.what is Ruling.ACCEPTED:
        wrong.append(f"{OTHER} stands for all paths beyond the store's cap, also for those to come: write rules")
    if asked.what is Ruling.WITHDRAWN and path.decision is None:
        wrong.append("there is no decision on this path that could be withdrawn")
    if wrong:
        raise DecisionError("; ".join(wrong))
    decide(engine, shown.id, decision, now_s)
    name = decision.hypothesis
    _log.warning(
        "audit: run %s, epoch %d, %s: %s (%s): %s",
        run.name,
        shown.id,
        name.method,
        name.pattern,
        name.kind,
        decision.words,
    )
    return Taken(run.name, shown, path, decision)


def _find(reader: Reader, run: RunView, epoch: int | None, asked: Asked) -> tuple[EpochView, HypothesisView]:
    shown = [epochs.find_epoch(run, epoch)] if epoch is not None else epochs.newest_by_service(run.epochs)
    every = [(one, path) for one in shown for path in reader.hypotheses(one.id)]
    found = [
        (one, path)
        for one, path in every
        if path.hypothesis.pattern == asked.pattern
        and asked.method in ("", path.hypothesis.method)
        and asked.kind in ("", path.hypothesis.kind)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFoundError(
            "ambiguous_path", f"Several paths are called so; say method and kind: {_listed([p for _, p in found])}."
        )
    raise NotFoundError("unknown_path", _unknown(run, asked, [path for _, path in every]))


def _unknown(run: RunView, asked: Asked, every: Sequence[HypothesisView]) -> str:
    patterns = sorted({path.hypothesis.pattern for path in every if path.hypothesis.kind is not Kind.ANY})
    near = difflib.get_close_matches(asked.pattern, patterns, n=1, cutoff=0.5)
    same = [path for path in every if path.hypothesis.pattern == asked.pattern]
    said = " ".join(part for part in (asked.method, asked.pattern, asked.kind) if part)
    hint = f" It differs as: {_listed(same)}." if same else f" Did you mean {near[0]!r}?" if near else ""
    return f"Nothing differed at {said} in run {run.name!r}.{hint}"


def _listed(paths: Sequence[HypothesisView]) -> str:
    names = [f"{p.hypothesis.method} {p.hypothesis.pattern} ({p.hypothesis.kind})" for p in paths[:LISTED_MAX]]
    more = len(paths) - LISTED_MAX
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
