"""The first tables: counts, states, signatures, kept comparisons, schemas, sources."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "epochs",
        sa.Column("id", _ID, nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("primary_version", sa.Text(), nullable=False),
        sa.Column("candidate_version", sa.Text(), nullable=False),
        sa.Column("started_s", sa.Double(), nullable=False),
        sa.Column("last_s", sa.Double(), nullable=False),
        sa.Column("start_minute", sa.BigInteger(), nullable=False),
        sa.Column("ranks", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("has_secondary", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_epochs"),
        sa.UniqueConstraint(
            "run",
            "service",
            "primary_version",
            "candidate_version",
            name="uq_epochs_run_service_primary_version_candidate_version",
        ),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
    )
    op.create_table(
        "rule_hits",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("run", "rule", name="pk_rule_hits"),
    )
    op.create_table(
        "rule_statuses",
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("rule", "run", "method", name="pk_rule_statuses"),
    )
    op.create_table(
        "schema_problems",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("first_s", sa.Double(), nullable=False),
        sa.Column("last_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_schema_problems"),
    )
    op.create_table(
        "schemas",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("first_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_schemas"),
    )
    op.create_table(
        "sources",
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("captured", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("dropped", sa.Text(), nullable=False),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("first_s", sa.Double(), nullable=False),
        sa.Column("last_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("source_id", name="pk_sources"),
    )
    op.create_table(
        "totals",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name", "run", name="pk_totals"),
    )
    op.create_table(
        "unknown_runs",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("first_s", sa.Double(), nullable=False),
        sa.Column("last_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_unknown_runs"),
    )
    op.create_table(
        "epoch_fails",
        sa.Column("epoch_id", _ID, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["epoch_id"], ["epochs.id"], name="fk_epoch_fails_epoch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("epoch_id", "code", "place", name="pk_epoch_fails"),
    )
    op.create_table(
        "methods",
        sa.Column("id", _ID, nullable=False),
        sa.Column("epoch_id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("triples", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["epoch_id"], ["epochs.id"], name="fk_methods_epoch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_methods"),
        sa.UniqueConstraint("epoch_id", "name", name="uq_methods_epoch_id_name"),
    )
    op.create_table(
        "comparisons",
        sa.Column("seq", _ID, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("method_id", _ID, nullable=False),
        sa.Column("mirror_id", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("compared_at_s", sa.Double(), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["method_id"], ["methods.id"], name="fk_comparisons_method_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq", name="pk_comparisons"),
        sa.UniqueConstraint("id", name="uq_comparisons_id"),
    )
    op.create_index("ix_comparisons_compared_at_s_size", "comparisons", ["compared_at_s", "size"])
    op.create_index("ix_comparisons_method_id_compared_at_s", "comparisons", ["method_id", "compared_at_s"])
    op.create_table(
        "comparison_blobs",
        sa.Column("comparison_seq", _ID, nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison_seq"], ["comparisons.seq"], name="fk_comparison_blobs_comparison_seq", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("comparison_seq", name="pk_comparison_blobs"),
    )
    op.create_table(
        "hypotheses",
        sa.Column("id", _ID, nullable=False),
        sa.Column("method_id", _ID, nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rank", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since_s", sa.Double(), nullable=False),
        sa.Column("first_seen_s", sa.Double(), nullable=False),
        sa.Column("regressed_at_s", sa.Double(), nullable=True),
        sa.Column("log_e_star", sa.Double(), server_default="0", nullable=False),
        sa.Column("b", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("c", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("d", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pairs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("left_out", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["method_id"], ["methods.id"], name="fk_hypotheses_method_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_hypotheses"),
        sa.UniqueConstraint("method_id", "pattern", "kind", name="uq_hypotheses_method_id_pattern_kind"),
    )
    op.create_table(
        "method_minutes",
        sa.Column("method_id", _ID, nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("pairs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("matched", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("mismatched", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ignored", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("incomplete", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("incomparable", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("triples", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("primary_errors", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("secondary_status", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["method_id"], ["methods.id"], name="fk_method_minutes_method_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("method_id", "minute", name="pk_method_minutes"),
    )
    op.create_table(
        "method_reasons",
        sa.Column("method_id", _ID, nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["method_id"], ["methods.id"], name="fk_method_reasons_method_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("method_id", "minute", "reason", name="pk_method_reasons"),
    )
    op.create_table(
        "signatures",
        sa.Column("method_id", _ID, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("hypothesis_ids", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["method_id"], ["methods.id"], name="fk_signatures_method_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("method_id", "digest", name="pk_signatures"),
    )
    op.create_table(
        "comparison_paths",
        sa.Column("comparison_seq", _ID, nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ignored", sa.Boolean(), nullable=False),
        sa.Column("method_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison_seq"], ["comparisons.seq"], name="fk_comparison_paths_comparison_seq", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["method_id"], ["methods.id"], name="fk_comparison_paths_method_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("comparison_seq", "pattern", "kind", "ignored", name="pk_comparison_paths"),
    )
    op.create_index(
        "ix_comparison_paths_method_id_pattern_kind_comparison_seq",
        "comparison_paths",
        ["method_id", "pattern", "kind", "comparison_seq"],
    )
    op.create_table(
        "hypothesis_hours",
        sa.Column("hypothesis_id", _ID, nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("votes_raw", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("votes_noise", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["hypothesis_id"], ["hypotheses.id"], name="fk_hypothesis_hours_hypothesis_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hypothesis_id", "hour", name="pk_hypothesis_hours"),
    )
    op.create_table(
        "hypothesis_minutes",
        sa.Column("hypothesis_id", _ID, nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("b", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("c", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("d", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pairs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("counted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["hypothesis_id"], ["hypotheses.id"], name="fk_hypothesis_minutes_hypothesis_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hypothesis_id", "minute", name="pk_hypothesis_minutes"),
    )
    op.create_index("ix_hypothesis_minutes_counted_minute", "hypothesis_minutes", ["counted", "minute"])
