"""Compared calls by the set of what differs, their newest examples, and the fields of a few requests of each."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables. Of calls from before nothing is known: clusters begin with the next ones."""
    op.create_table(
        "difference_sets",
        sa.Column("id", _ID, nullable=False),
        sa.Column("method_id", _ID, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("first_s", sa.Double(), nullable=False),
        sa.Column("last_s", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["method_id"], ["methods.id"], name="fk_difference_sets_method_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_difference_sets"),
        sa.UniqueConstraint("method_id", "digest", name="uq_difference_sets_method_id_digest"),
    )
    op.create_table(
        "set_examples",
        sa.Column("comparison_seq", _ID, nullable=False),
        sa.Column("set_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison_seq"], ["comparisons.seq"], name="fk_set_examples_comparison_seq", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["set_id"], ["difference_sets.id"], name="fk_set_examples_set_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("comparison_seq", name="pk_set_examples"),
    )
    op.create_index("ix_set_examples_set_id_comparison_seq", "set_examples", ["set_id", "comparison_seq"])
    op.create_table(
        "request_samples",
        sa.Column("method_id", _ID, nullable=False),
        sa.Column("bucket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("set_id", _ID, nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["method_id"], ["methods.id"], name="fk_request_samples_method_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["set_id"], ["difference_sets.id"], name="fk_request_samples_set_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("method_id", "bucket", "number", name="pk_request_samples"),
    )
    op.create_index("ix_request_samples_set_id", "request_samples", ["set_id"])
    op.create_index("ix_request_samples_at_s", "request_samples", ["at_s"])
