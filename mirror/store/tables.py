"""The tables. Names and counts only, but for `schemas` and the kept `comparisons`: growth is by paths and minutes, not by calls.

Portable between SQLite and PostgreSQL. Whoever changes them writes a migration; a test compares the two.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from mirror.store import tables_of_examples, tables_of_values  # noqa: F401 - who has some tables has all
from mirror.store.columns import ID, count_of, metadata, of, second, text

meta: Final = Table("meta", metadata, text("name", key=True), text("value"))

epochs: Final = Table(
    "epochs",
    metadata,
    Column("id", ID, primary_key=True),
    text("run"),
    text("service"),
    text("primary_version"),
    text("candidate_version"),
    second("started_s"),
    second("last_s"),
    Column("start_minute", BigInteger, nullable=False),  # hours are counted from it; it never moves
    count_of("ranks"),  # the last rank given
    count_of("speed_ranks"),  # the same, among latencies and sizes
    Column("has_secondary", Boolean, nullable=False, server_default=false()),  # one was expected at least once
    UniqueConstraint("run", "service", "primary_version", "candidate_version"),
)

methods: Final = Table(
    "methods",
    metadata,
    Column("id", ID, primary_key=True),
    of("epochs", "epoch_id"),
    text("name"),
    count_of("triples"),
    Column("rules", Text),  # digest of the rules that its counts were made under; NULL: not known yet
    count_of("triples_before"),  # at the last change of its rules: hypotheses found since then count from there
    Column(
        "before", Text, nullable=False, server_default="{}"
    ),  # counts that its bound leaves out, JSON of MethodCounts
    count_of("leaf_calls"),  # of which the leaf values were counted
    UniqueConstraint("epoch_id", "name"),
)

COUNTS: Final = (
    "pairs",
    "matched",
    "mismatched",
    "ignored",
    "incomplete",
    "incomparable",
    "triples",
    "primary_errors",
    "secondary_status",
)
method_minutes: Final = Table(
    "method_minutes",
    metadata,
    of("methods", "method_id", key=True),
    Column("minute", BigInteger, primary_key=True),
    *(count_of(name) for name in COUNTS),
)

method_reasons: Final = Table(
    "method_reasons",
    metadata,
    of("methods", "method_id", key=True),
    Column("minute", BigInteger, primary_key=True),
    text("reason", key=True),
    count_of("n"),
)

hypotheses: Final = Table(
    "hypotheses",
    metadata,
    Column("id", ID, primary_key=True),
    of("methods", "method_id"),
    text("pattern"),
    text("kind"),
    count_of("rank"),  # 0: no vote yet
    text("state"),
    second("since_s"),
    second("first_seen_s"),
    second("regressed_at_s", known=False),
    Column("log_e_star", Double, nullable=False, server_default="0"),
    count_of("b"),
    count_of("c"),
    count_of("d"),
    count_of("pairs"),
    count_of("triples_before"),  # of its method, which do not count for it: they came under other rules
    count_of("left_out"),  # pairs whose signature was stored without it, since noise explained it then
    UniqueConstraint("method_id", "pattern", "kind"),
)

hypothesis_minutes: Final = Table(
    "hypothesis_minutes",
    metadata,
    of("hypotheses", "hypothesis_id", key=True),
    Column("minute", BigInteger, primary_key=True),
    count_of("b"),
    count_of("c"),
    count_of("d"),
    count_of("pairs"),
    Column(
        "counted", Boolean, nullable=False, server_default=false()
    ),  # whether it is in hypothesis_hours as it stands
    Index(None, "counted", "minute"),
)

hypothesis_hours: Final = Table(
    "hypothesis_hours",
    metadata,
    of("hypotheses", "hypothesis_id", key=True),
    Column("hour", BigInteger, primary_key=True),  # from the epoch's start
    count_of("votes_raw"),
    count_of("votes_noise"),
)

# Of hypotheses of the kind `values`: votes by label, as `hypothesis_minutes` and `hypothesis_hours` are of the others. Whether a
# minute is counted stands there.
epoch_fails: Final = Table(
    "epoch_fails",
    metadata,
    of("epochs", "epoch_id", key=True),
    text("code", key=True),
    text("place", key=True),
    text("text"),
    text("figures"),  # JSON object
    second("at_s"),
)

# What people decided of a path: the newest row of an epoch, method, pattern and kind holds.
decisions: Final = Table(
    "decisions",
    metadata,
    Column("id", ID, primary_key=True),
    of("epochs", "epoch_id"),
    text("method"),
    text("pattern"),
    text("kind"),
    text("what"),
    text("owner"),
    text("reason"),
    Column("expires", Text),  # the last day of an acceptance, 2027-01-31
    second("at_s"),
    Index(None, "epoch_id"),
)

# Each change of an epoch's verdict, to be told to whoever wants to hear of it.
verdict_changes: Final = Table(
    "verdict_changes",
    metadata,
    Column("id", ID, primary_key=True),
    of("epochs", "epoch_id"),
    text("uid"),
    text("verdict"),
    text("body"),  # JSON object
    second("at_s"),
    Index(None, "epoch_id"),
    sqlite_autoincrement=True,  # no id is given out twice: positions are told by it
)

webhook_positions: Final = Table(
    "webhook_positions",
    metadata,
    text("name", key=True),
    Column("change_id", BigInteger, nullable=False),  # up to this one everything was told or dropped
)

schemas: Final = Table(
    "schemas",
    metadata,
    text("fingerprint", key=True),
    Column("blob", LargeBinary, nullable=False),  # mirror.v1.Schema
    second("first_s"),
)


# The changes that one schema made to the other: each pair is looked at once.
schema_changes: Final = Table(
    "schema_changes",
    metadata,
    of("methods", "method_id", key=True),
    text("primary_fingerprint", key=True),
    text("candidate_fingerprint", key=True),
    count_of("n"),  # the true count, where the list was cut
    Column("complete", Boolean, nullable=False),
    text("changes"),  # JSON list of objects
    second("first_s"),
)


def _named(table: str) -> Table:
    return Table(table, metadata, text("name", key=True), count_of("n"), second("first_s"), second("last_s"))


schema_problems: Final = _named("schema_problems")
unknown_runs: Final = _named("unknown_runs")

totals: Final = Table("totals", metadata, text("name", key=True), text("run", key=True), count_of("n"))

sources: Final = Table(
    "sources",
    metadata,
    text("source_id", key=True),
    text("service"),
    text("version"),
    text("instance"),
    count_of("sequence"),
    count_of("captured"),
    text("dropped"),  # JSON object, cumulative
    text("conditions"),  # JSON object, cumulative
    second("first_s"),
    second("last_s"),
)

# What the reports of a minute added, by build: a drop that was reported before a run began is none of its own.
source_minutes: Final = Table(
    "source_minutes",
    metadata,
    text("service", key=True),
    text("version", key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    count_of("captured"),
    count_of("dropped"),
)

# The rules of one method at one time, by RuleSet.digest: what a later set is held against.
rule_sets: Final = Table("rule_sets", metadata, text("digest", key=True), text("rules"))  # JSON list of RuleMarks

rule_changes: Final = Table(
    "rule_changes",
    metadata,
    Column("id", ID, primary_key=True),
    of("epochs", "epoch_id"),
    second("at_s"),
    text("added"),  # JSON list of RuleMarks, with what became of each
    text("removed"),
    text("restarts"),  # JSON list, one a method
    Index(None, "epoch_id"),
)

rule_hits: Final = Table(
    "rule_hits", metadata, text("run", key=True), text("rule", key=True), count_of("n"), second("last_s")
)

rule_uses: Final = Table(
    "rule_uses",
    metadata,
    text("run", key=True),
    text("rule", key=True),
    text("meaning"),  # digest of what it said when it was last in force; of another one nothing is counted
    count_of("compared"),
    count_of("applied"),
)

rule_statuses: Final = Table(
    "rule_statuses",
    metadata,
    text("rule", key=True),
    text("run", key=True),
    text("method", key=True),
    text("status"),
    text("text"),
)

# How far each partition of a log of records was read: see core/ledger.
partitions: Final = Table(
    "partitions",
    metadata,
    text("source", key=True),
    Column("partition", BigInteger, primary_key=True, autoincrement=False),
    count_of("generation"),  # raised by whoever claims it; a checkpoint demands its own
    text("owner"),  # who claimed it last
    count_of("next_position"),  # everything below was read
    count_of("lowest_open"),  # where reading again begins
    Column("open", LargeBinary, nullable=False),  # the open positions below, by ledger.encode_open
    second("changed_s"),
)
