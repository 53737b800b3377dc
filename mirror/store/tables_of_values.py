"""The tables of what values are like, of latency and size, and of instances. See `tables`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Table,
    false,
)

from mirror.store.columns import count_of, metadata, of, second, text

value_minutes: Final = Table(
    "value_minutes",
    metadata,
    of("hypotheses", "hypothesis_id", key=True),
    Column("minute", BigInteger, primary_key=True),
    text("family", key=True),
    text("label", key=True),
    count_of("b"),
    count_of("c"),
)

value_hours: Final = Table(
    "value_hours",
    metadata,
    of("hypotheses", "hypothesis_id", key=True),
    text("family", key=True),
    text("label", key=True),
    Column("hour", BigInteger, primary_key=True),  # from the epoch's start
    count_of("votes_raw"),
    count_of("votes_noise"),
)

# Leaf values in the sampled answers of a method (see methods.leaf_calls), by path pattern.
leaf_values: Final = Table(
    "leaf_values",
    metadata,
    of("methods", "method_id", key=True),
    text("pattern", key=True),
    Column("ignored", Boolean, primary_key=True),
    Column("hashed", Boolean, primary_key=True),
    Column("unhashed", Boolean, primary_key=True),
    count_of("n"),
)

# Latency and size of a method: what came in a minute, the votes of an hour, and how much more the candidate's is at least.
speed_minutes: Final = Table(
    "speed_minutes",
    metadata,
    of("methods", "method_id", key=True),
    text("metric", key=True),
    Column("minute", BigInteger, primary_key=True),
    text("counts"),  # JSON of a MinuteSpeed
    Column("counted", Boolean, nullable=False, server_default=false()),  # whether it is in speed_hours as it stands
    Index(None, "counted", "minute"),
)

speed_hours: Final = Table(
    "speed_hours",
    metadata,
    of("methods", "method_id", key=True),
    text("metric", key=True),
    Column("hour", BigInteger, primary_key=True),  # from the epoch's start
    text("votes"),  # JSON: raw and noise at each ratio, of the median and each tail
    text("counts"),  # JSON: triples, minutes, and a sketch of each role
)

speeds: Final = Table(
    "speeds",
    metadata,
    of("methods", "method_id", key=True),
    text("metric", key=True),
    count_of("rank"),
    Column("median_ratio", Double, nullable=False),  # 0: no sign that the candidate's is more
    Column("tail_ratio", Double, nullable=False),
    second("since_s"),
)

instances: Final = Table(
    "instances",
    metadata,
    of("epochs", "epoch_id", key=True),
    text("role", key=True),
    text("instance", key=True),
    count_of("calls"),
    second("first_s"),
    second("last_s"),
)
