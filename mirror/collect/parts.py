"""What the stages of judging work with."""

from __future__ import annotations

from dataclasses import dataclass

from mirror.collect.counters import Counters
from mirror.collect.forward import Forwarder
from mirror.collect.judge import Judge
from mirror.collect.library import Library
from mirror.collect.rule_watch import RuleWatch
from mirror.collect.schema_watch import SchemaWatch
from mirror.collect.writer import Writer


@dataclass(frozen=True, slots=True)
class Parts:
    """Once they run, they are the only user of judge to writer."""

    counters: Counters
    forwarder: Forwarder | None
    runs: frozenset[str]  # those that are accepted
    judge: Judge
    library: Library
    watch: RuleWatch
    schema_watch: SchemaWatch
    writer: Writer
