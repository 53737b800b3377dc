"""The tables of signatures, kept comparisons and samples of requests. See `tables`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    UniqueConstraint,
)

from mirror.store.columns import ID, count_of, metadata, of, second, text

signatures: Final = Table(
    "signatures",
    metadata,
    of("methods", "method_id", key=True),
    text("digest", key=True),  # "": the overflow
    text("hypothesis_ids"),  # JSON list; empty: unexplained, whatever it was
    count_of("n"),
)

comparisons: Final = Table(
    "comparisons",
    metadata,
    Column("seq", ID, primary_key=True),  # in the order of keeping
    text("id"),
    of("methods", "method_id"),
    text("mirror_id"),
    text("trace_id"),
    text("verdict"),
    text("reason"),
    second("compared_at_s"),
    Column("minute", BigInteger, nullable=False),
    count_of("size"),  # bytes of its blob
    UniqueConstraint("id"),
    Index(None, "method_id", "compared_at_s"),
    Index(None, "compared_at_s", "size"),  # answers how much is held, and which is the oldest, by itself
)

# Beside the comparisons, so that lists of them read no payloads.
comparison_blobs: Final = Table(
    "comparison_blobs",
    metadata,
    Column("comparison_seq", ID, ForeignKey("comparisons.seq", ondelete="CASCADE"), primary_key=True),
    Column("blob", LargeBinary, nullable=False),  # mirror.v1.Comparison
)

comparison_paths: Final = Table(
    "comparison_paths",
    metadata,
    Column("comparison_seq", ID, ForeignKey("comparisons.seq", ondelete="CASCADE"), primary_key=True),
    text("pattern", key=True),
    text("kind", key=True),
    Column("ignored", Boolean, primary_key=True),
    of("methods", "method_id"),
    Index(None, "method_id", "pattern", "kind", "comparison_seq"),
)

# Every compared call stands in one of a method's sets: by what only the candidate differs in, a matched one in the empty set.
difference_sets: Final = Table(
    "difference_sets",
    metadata,
    Column("id", ID, primary_key=True),
    of("methods", "method_id"),
    text("digest"),
    text("members"),  # JSON list of [pattern, kind], sorted; what is beyond the cap is [["(overflow)", "any"]]
    text("status"),  # "OK -> UNKNOWN" where the calls ended otherwise
    count_of("n"),
    second("first_s"),
    second("last_s"),
    UniqueConstraint("method_id", "digest"),
)

# In which set a kept comparison is.
set_examples: Final = Table(
    "set_examples",
    metadata,
    Column("comparison_seq", ID, ForeignKey("comparisons.seq", ondelete="CASCADE"), primary_key=True),
    of("difference_sets", "set_id"),
    Index(None, "set_id", "comparison_seq"),
)

# Fields of a few calls: of all of a method (bucket 0), and of each of its sets (bucket: its id) that differs. Those of the
# smallest numbers made from their mirror ids: a sample that does not depend on when they came.
request_samples: Final = Table(
    "request_samples",
    metadata,
    of("methods", "method_id", key=True),
    Column("bucket", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    of("difference_sets", "set_id"),
    text("instance"),  # of the candidate
    text("fields"),  # JSON of core.request_fields
    second("at_s"),
    Index(None, "set_id"),
    Index(None, "at_s"),
)
