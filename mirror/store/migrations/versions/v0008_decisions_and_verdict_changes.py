"""What people decided of paths, and each change of a verdict with how far webhooks were told of them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables. The verdicts of before are told as new ones at the next look."""
    op.create_table(
        "decisions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("epoch_id", _ID, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("expires", sa.Text()),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["epoch_id"], ["epochs.id"], name="fk_decisions_epoch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
    )
    op.create_index("ix_decisions_epoch_id", "decisions", ["epoch_id"])
    op.create_table(
        "verdict_changes",
        sa.Column("id", _ID, nullable=False),
        sa.Column("epoch_id", _ID, nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["epoch_id"], ["epochs.id"], name="fk_verdict_changes_epoch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_verdict_changes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_verdict_changes_epoch_id", "verdict_changes", ["epoch_id"])
    op.create_table(
        "webhook_positions",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("change_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_webhook_positions"),
    )
