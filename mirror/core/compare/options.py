"""How two calls or messages are compared: frozen settings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Trailing metadata that differs between any two answers, or says nothing about the build. Glob patterns, lower case.
# `grpc-*` are the transport's own: status, message and details are compared as such.
METADATA_IGNORE: Final = (
    "grpc-*",
    "date",
    "server",
    "via",
    "user-agent",
    "content-type",
    "x-envoy-*",
    "x-mirror-*",
    "x-request-id",
    "x-b3-*",
    "b3",
    "traceparent",
    "tracestate",
    "baggage",
)


class Lists(StrEnum):
    """How the elements of a repeated field find each other. All but ALIGNED are MessageDifferencer's."""

    ALIGNED = "aligned"  # by position or, of different lengths, by least cost; another order is one difference
    LIST = "list"  # by position, what is left over at the end
    SET = "set"  # elements that are the same, wherever they stand
    SMART_LIST = "smart_list"  # the same ones that keep their order; no element is modified
    SMART_SET = "smart_set"  # the same ones wherever they stand, then those with the fewest differences


@dataclass(frozen=True, slots=True)
class FieldOptions:
    """What holds for one field wherever its message occurs. `name`: its full name, `shop.v1.Item.price`.

    Of a map, value and key have names of their own: `shop.v1.Order.LabelsEntry.value`.
    """

    name: str
    ignore: bool = False
    lists: Lists | None = None  # of a repeated field
    by: tuple[str, ...] = ()  # of a repeated message: key paths below the element, `sku`, `product.id`; over `lists`
    margin: float | None = None  # a float may be off by max(margin, fraction * the larger magnitude)
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What holds for all messages. What may differ in one place is a rule's to say.

    The defaults are what a comparison of answers wants; REFERENCE is MessageDifferencer as it comes.
    """

    # Limits
    differences_max: int = 100  # differences returned; the true count is kept
    depth_max: int = 128  # nesting of messages, through Any too; beyond: "too complex"
    work_max: int = 1_000_000  # fields and elements looked at in one comparison; beyond: "too complex"
    # Meaning
    nan_equal: bool = True  # NaN equals NaN: two builds that both answer NaN answer alike
    by_meaning: bool = True  # Timestamp, Duration and FieldMask are one value each, numbers of a Struct are numbers
    equivalent: bool = False  # unset equals default, and unknown fields are not looked at
    partial: bool = False  # only what the left one has counts; sets and keyed lists may have more on the right
    force_no_presence: bool = False  # with partial: a field without presence counts even where the left has its default
    approximate: bool = False  # floats by tolerance; without margin and fraction: |l - r| < 32 epsilon of the type
    margin: float | None = None  # the default tolerance of all floats
    fraction: float | None = None
    lists: Lists = Lists.ALIGNED
    fields: tuple[FieldOptions, ...] = ()
    only: tuple[tuple[str, ...], tuple[str, ...]] | None = None  # of the two roots: names of the fields to look at
    # What is reported beside differences, as remarks
    matches: bool = False
    moves: bool = False
    ignores: bool = False  # fields that are set and ignored, whether they differ or not
    aggregates: bool = False  # also each message with something modified inside
    # Of calls
    status_message: bool = False  # whether status.message counts
    trailing_metadata_ignore: tuple[str, ...] = METADATA_IGNORE


REFERENCE: Final = CompareOptions(
    nan_equal=False, by_meaning=False, lists=Lists.LIST, moves=True, ignores=True, differences_max=1_000_000
)
