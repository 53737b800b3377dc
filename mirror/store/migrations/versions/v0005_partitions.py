"""How far each partition of the journal, or of Kafka, was read, and which of its spans are open."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table. A journal or topic that the store does not know is read from its beginning."""
    op.create_table(
        "partitions",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("partition", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("next_position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lowest_open", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("open", sa.LargeBinary(), nullable=False),
        sa.Column("changed_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("source", "partition", name="pk_partitions"),
    )
