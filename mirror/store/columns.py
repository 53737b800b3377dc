"""What the tables are made of: their metadata, and the columns that most of them have."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    Text,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite gives out row ids only for a column called exactly INTEGER.
ID: Final = BigInteger().with_variant(Integer(), "sqlite")


def count_of(name: str) -> Column[int]:
    """A number of things, 0 to begin with."""
    return Column(name, BigInteger, nullable=False, server_default="0")


def text(name: str, *, key: bool = False) -> Column[str]:
    """Text that is always there."""
    return Column(name, Text, nullable=False, primary_key=key)


def second(name: str, *, known: bool = True) -> Column[float]:
    """A moment in unix seconds; `known`: it always is."""
    return Column(name, Double, nullable=not known)


def of(table: str, column: str, *, key: bool = False) -> Column[int]:
    """Which row of another table it belongs to, and goes with."""
    return Column(column, ID, ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=False, primary_key=key)
