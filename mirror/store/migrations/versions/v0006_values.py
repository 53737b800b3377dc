"""Votes by label of what values are like, how many leaf values a method's answers have, latency, size and instances."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables, empty: calls from before are not looked at again."""
    op.add_column("methods", sa.Column("leaf_calls", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "value_minutes",
        sa.Column("hypothesis_id", _ID, nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("b", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("c", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["hypothesis_id"], ["hypotheses.id"], name="fk_value_minutes_hypothesis_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hypothesis_id", "minute", "family", "label", name="pk_value_minutes"),
    )
    op.create_table(
        "value_hours",
        sa.Column("hypothesis_id", _ID, nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("votes_raw", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("votes_noise", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["hypothesis_id"], ["hypotheses.id"], name="fk_value_hours_hypothesis_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hypothesis_id", "family", "label", "hour", name="pk_value_hours"),
    )
    op.create_table(
        "leaf_values",
        sa.Column("method_id", _ID, nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("ignored", sa.Boolean(), nullable=False),
        sa.Column("hashed", sa.Boolean(), nullable=False),
        sa.Column("unhashed", sa.Boolean(), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["method_id"], ["methods.id"], name="fk_leaf_values_method_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("method_id", "pattern", "ignored", "hashed", "unhashed", name="pk_leaf_values"),
    )
    op.add_column("epochs", sa.Column("speed_ranks", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "speed_minutes",
        sa.Column("method_id", _ID, nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("counted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["method_id"], ["methods.id"], name="fk_speed_minutes_method_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("method_id", "metric", "minute", name="pk_speed_minutes"),
    )
    op.create_index("ix_speed_minutes_counted_minute", "speed_minutes", ["counted", "minute"])
    op.create_table(
        "speed_hours",
        sa.Column("method_id", _ID, nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("votes", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["method_id"], ["methods.id"], name="fk_speed_hours_method_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("method_id", "metric", "hour", name="pk_speed_hours"),
    )
    op.create_table(
        "speeds",
        sa.Column("method_id", _ID, nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("rank", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("median_ratio", sa.Double(), nullable=False),
        sa.Column("tail_ratio", sa.Double(), nullable=False),
        sa.Column("since_s", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["method_id"], ["methods.id"], name="fk_speeds_method_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("method_id", "metric", name="pk_speeds"),
    )
    op.create_table(
        "instances",
        sa.Column("epoch_id", _ID, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("first_s", sa.Double(), nullable=False),
        sa.Column("last_s", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["epoch_id"], ["epochs.id"], name="fk_instances_epoch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("epoch_id", "role", "instance", name="pk_instances"),
    )
