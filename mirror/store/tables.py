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
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite gives out row ids only for a column called exactly INTEGER.
_ID: Final = BigInteger().with_variant(Integer(), "sqlite")


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, nullable=False, primary_key=key)


def _second(name: str, *, known: bool = True) -> Column[float]:
    return Column(name, Double, nullable=not known)


def _of(table: str, column: str, *, key: bool = False) -> Column[int]:
    return Column(column, _ID, ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=False, primary_key=key)


meta: Final = Table("meta", metadata, _text("name", key=True), _text("value"))

epochs: Final = Table(
    "epochs",
    metadata,
    Column("id", _ID, primary_key=True),
    _text("run"),
    _text("service"),
    _text("primary_version"),
    _text("candidate_version"),
    _second("started_s"),
    _second("last_s"),
    Column("start_minute", BigInteger, nullable=False),  # hours are counted from it; it never moves
    _count("ranks"),  # the last rank given
    Column("has_secondary", Boolean, nullable=False, server_default=false()),  # one was expected at least once
    UniqueConstraint("run", "service", "primary_version", "candidate_version"),
)

methods: Final = Table(
    "methods",
    metadata,
    Column("id", _ID, primary_key=True),
    _of("epochs", "epoch_id"),
    _text("name"),
    _count("triples"),
    Column("rules", Text),  # digest of the rules that its counts were made under; NULL: not known yet
    _count("triples_before"),  # at the last change of its rules: hypotheses found since then count from there
    Column(
        "before", Text, nullable=False, server_default="{}"
    ),  # counts that its bound leaves out, JSON of MethodCounts
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
    _of("methods", "method_id", key=True),
    Column("minute", BigInteger, primary_key=True),
    *(_count(name) for name in COUNTS),
)

method_reasons: Final = Table(
    "method_reasons",
    metadata,
    _of("methods", "method_id", key=True),
    Column("minute", BigInteger, primary_key=True),
    _text("reason", key=True),
    _count("n"),
)

hypotheses: Final = Table(
    "hypotheses",
    metadata,
    Column("id", _ID, primary_key=True),
    _of("methods", "method_id"),
    _text("pattern"),
    _text("kind"),
    _count("rank"),  # 0: no vote yet
    _text("state"),
    _second("since_s"),
    _second("first_seen_s"),
    _second("regressed_at_s", known=False),
    Column("log_e_star", Double, nullable=False, server_default="0"),
    _count("b"),
    _count("c"),
    _count("d"),
    _count("pairs"),
    _count("triples_before"),  # of its method, which do not count for it: they came under other rules
    _count("left_out"),  # pairs whose signature was stored without it, since noise explained it then
    UniqueConstraint("method_id", "pattern", "kind"),
)

hypothesis_minutes: Final = Table(
    "hypothesis_minutes",
    metadata,
    _of("hypotheses", "hypothesis_id", key=True),
    Column("minute", BigInteger, primary_key=True),
    _count("b"),
    _count("c"),
    _count("d"),
    _count("pairs"),
    Column(
        "counted", Boolean, nullable=False, server_default=false()
    ),  # whether it is in hypothesis_hours as it stands
    Index(None, "counted", "minute"),
)

hypothesis_hours: Final = Table(
    "hypothesis_hours",
    metadata,
    _of("hypotheses", "hypothesis_id", key=True),
    Column("hour", BigInteger, primary_key=True),  # from the epoch's start
    _count("votes_raw"),
    _count("votes_noise"),
)

epoch_fails: Final = Table(
    "epoch_fails",
    metadata,
    _of("epochs", "epoch_id", key=True),
    _text("code", key=True),
    _text("place", key=True),
    _text("text"),
    _text("figures"),  # JSON object
    _second("at_s"),
)

signatures: Final = Table(
    "signatures",
    metadata,
    _of("methods", "method_id", key=True),
    _text("digest", key=True),  # "": the overflow
    _text("hypothesis_ids"),  # JSON list; empty: unexplained, whatever it was
    _count("n"),
)

comparisons: Final = Table(
    "comparisons",
    metadata,
    Column("seq", _ID, primary_key=True),  # in the order of keeping
    _text("id"),
    _of("methods", "method_id"),
    _text("mirror_id"),
    _text("trace_id"),
    _text("verdict"),
    _text("reason"),
    _second("compared_at_s"),
    Column("minute", BigInteger, nullable=False),
    _count("size"),  # bytes of its blob
    UniqueConstraint("id"),
    Index(None, "method_id", "compared_at_s"),
    Index(None, "compared_at_s", "size"),  # answers how much is held, and which is the oldest, by itself
)

# Beside the comparisons, so that lists of them read no payloads.
comparison_blobs: Final = Table(
    "comparison_blobs",
    metadata,
    Column("comparison_seq", _ID, ForeignKey("comparisons.seq", ondelete="CASCADE"), primary_key=True),
    Column("blob", LargeBinary, nullable=False),  # mirror.v1.Comparison
)

comparison_paths: Final = Table(
    "comparison_paths",
    metadata,
    Column("comparison_seq", _ID, ForeignKey("comparisons.seq", ondelete="CASCADE"), primary_key=True),
    _text("pattern", key=True),
    _text("kind", key=True),
    Column("ignored", Boolean, primary_key=True),
    _of("methods", "method_id"),
    Index(None, "method_id", "pattern", "kind", "comparison_seq"),
)

schemas: Final = Table(
    "schemas",
    metadata,
    _text("fingerprint", key=True),
    Column("blob", LargeBinary, nullable=False),  # mirror.v1.Schema
    _second("first_s"),
)


# The changes that one schema made to the other: each pair is looked at once.
schema_changes: Final = Table(
    "schema_changes",
    metadata,
    _of("methods", "method_id", key=True),
    _text("primary_fingerprint", key=True),
    _text("candidate_fingerprint", key=True),
    _count("n"),  # the true count, where the list was cut
    Column("complete", Boolean, nullable=False),
    _text("changes"),  # JSON list of objects
    _second("first_s"),
)


def _named(table: str) -> Table:
    return Table(table, metadata, _text("name", key=True), _count("n"), _second("first_s"), _second("last_s"))


schema_problems: Final = _named("schema_problems")
unknown_runs: Final = _named("unknown_runs")

totals: Final = Table("totals", metadata, _text("name", key=True), _text("run", key=True), _count("n"))

sources: Final = Table(
    "sources",
    metadata,
    _text("source_id", key=True),
    _text("service"),
    _text("version"),
    _text("instance"),
    _count("sequence"),
    _count("captured"),
    _text("dropped"),  # JSON object, cumulative
    _text("conditions"),  # JSON object, cumulative
    _second("first_s"),
    _second("last_s"),
)

# The rules of one method at one time, by RuleSet.digest: what a later set is held against.
rule_sets: Final = Table("rule_sets", metadata, _text("digest", key=True), _text("rules"))  # JSON list of RuleMarks

rule_changes: Final = Table(
    "rule_changes",
    metadata,
    Column("id", _ID, primary_key=True),
    _of("epochs", "epoch_id"),
    _second("at_s"),
    _text("added"),  # JSON list of RuleMarks, with what became of each
    _text("removed"),
    _text("restarts"),  # JSON list, one a method
    Index(None, "epoch_id"),
)

rule_hits: Final = Table(
    "rule_hits", metadata, _text("run", key=True), _text("rule", key=True), _count("n"), _second("last_s")
)

rule_uses: Final = Table(
    "rule_uses",
    metadata,
    _text("run", key=True),
    _text("rule", key=True),
    _text("meaning"),  # digest of what it said when it was last in force; of another one nothing is counted
    _count("compared"),
    _count("applied"),
)

rule_statuses: Final = Table(
    "rule_statuses",
    metadata,
    _text("rule", key=True),
    _text("run", key=True),
    _text("method", key=True),
    _text("status"),
    _text("text"),
)

# How far each partition of a log of records was read: see core/ledger.
partitions: Final = Table(
    "partitions",
    metadata,
    _text("source", key=True),
    Column("partition", BigInteger, primary_key=True, autoincrement=False),
    _count("generation"),  # raised by whoever claims it; a checkpoint demands its own
    _text("owner"),  # who claimed it last
    _count("next_position"),  # everything below was read
    _count("lowest_open"),  # where reading again begins
    Column("open", LargeBinary, nullable=False),  # the open positions below, by ledger.encode_open
    _second("changed_s"),
)
