"""Votes by label of what values are like, and how many leaf values a method's answers have."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0004"
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
