"""What the reports of processes added, by build and minute: old drops are told from those of a run."""

import json
from collections import Counter

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the table. What was reported before counts in the minute of each process's last report: when it was is not known."""
    op.create_table(
        "source_minutes",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("minute", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("captured", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("dropped", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("service", "version", "minute", name="pk_source_minutes"),
    )
    names = ("service", "version", "captured", "dropped", "last_s")
    sources = sa.table("sources", *(sa.column(name) for name in names))
    captured: Counter[tuple[str, str, int]] = Counter()
    dropped: Counter[tuple[str, str, int]] = Counter()
    for row in op.get_bind().execute(sa.select(sources)):
        key = (row.service, row.version, int(row.last_s // 60))
        captured[key] += row.captured
        dropped[key] += sum(json.loads(row.dropped).values())
    minutes = sa.table(
        "source_minutes", *(sa.column(name) for name in ("service", "version", "minute", "captured", "dropped"))
    )
    if captured:
        op.bulk_insert(
            minutes,
            [
                {
                    "service": service,
                    "version": version,
                    "minute": minute,
                    "captured": n,
                    "dropped": dropped[service, version, minute],
                }
                for (service, version, minute), n in captured.items()
            ],
        )
