"""Under which rules a method's counts were made, since when they count, and what changes of rules restarted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns and tables. The rules of counts from before are not known: the next ones in force are taken for them."""
    op.add_column("methods", sa.Column("rules", sa.Text()))
    op.add_column("methods", sa.Column("triples_before", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("methods", sa.Column("before", sa.Text(), server_default="{}", nullable=False))
    op.add_column("hypotheses", sa.Column("triples_before", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "rule_sets",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_rule_sets"),
    )
    op.create_table(
        "rule_changes",
        sa.Column("id", _ID, nullable=False),
        sa.Column("epoch_id", _ID, nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("added", sa.Text(), nullable=False),
        sa.Column("removed", sa.Text(), nullable=False),
        sa.Column("restarts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["epoch_id"], ["epochs.id"], name="fk_rule_changes_epoch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_rule_changes"),
    )
    op.create_index("ix_rule_changes_epoch_id", "rule_changes", ["epoch_id"])
