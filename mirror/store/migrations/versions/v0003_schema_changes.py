"""What candidates' schemas changed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create its table."""
    op.create_table(
        "schema_changes",
        sa.Column("method_id", _ID, nullable=False),
        sa.Column("primary_fingerprint", sa.Text(), nullable=False),
        sa.Column("candidate_fingerprint", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("first_s", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["method_id"], ["methods.id"], name="fk_schema_changes_method_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("method_id", "primary_fingerprint", "candidate_fingerprint", name="pk_schema_changes"),
    )
