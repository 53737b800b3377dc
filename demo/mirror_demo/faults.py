"""The seeded faults: each a small function that spoils one answer where its condition holds. Pure.

`seeds` describes them; a test holds that every name there has its place here or, where a fault is not about a message
(status, trailer, crash, a message too few), that the candidate asks `Faults.on` for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import shop.v1.shop_pb2 as pb

from mirror_demo import seeds


def _nested_value(_request: pb.Cart, answer: pb.Quotation) -> None:
    for line in answer.lines:
        if line.discount.cents:
            line.discount.cents -= 1


def _sum_rounded(request: pb.Cart, answer: pb.Quotation) -> None:
    if request.customer.startswith("business-"):
        answer.total = round(answer.total, -1) or 10.0  # nought would be no total at all


def _field_missing(_request: pb.GetProductRequest, answer: pb.Product) -> None:
    if answer.dimensions.length_cm > 200:
        answer.ClearField("dimensions")


def _wrong_enum(_request: pb.GetProductRequest, answer: pb.Product) -> None:
    if answer.availability == pb.AVAILABILITY_PREORDER:
        answer.availability = pb.AVAILABILITY_DISCONTINUED


def _one_in_100(request: pb.GetProductRequest, answer: pb.Product) -> None:
    if request.number % 100 == 42:
        answer.loyalty_points = 5


def _noisy_id_empty(request: pb.GetProductRequest, answer: pb.Product) -> None:
    if request.number % 100 in range(80, 88):
        answer.offer_id = ""


def _clock_late(request: pb.GetProductRequest, answer: pb.Product) -> None:
    if request.number % 100 in range(90, 96):
        answer.priced_at.seconds += 3600


def _map_entry_lost(_request: pb.GetOrderRequest, answer: pb.OrderSummary) -> None:
    answer.cents_by_category.pop("gift cards", None)


def _any_type(_request: pb.GetOrderRequest, answer: pb.OrderSummary) -> None:
    if answer.extra.Is(pb.Engraving.DESCRIPTOR):
        answer.extra.Pack(pb.GiftWrap(colour="green"))


def _oneof_changed(request: pb.PlaceOrderRequest, answer: pb.Order) -> None:
    if request.express:
        answer.pickup.station = "Main station"


def _id_empty(request: pb.PlaceOrderRequest, answer: pb.Order) -> None:
    if request.reference.startswith("GIFT-"):
        answer.receipt = ""


def _newer_field(request: pb.GetCustomerRequest, answer: pb.Customer) -> None:
    answer.segment = "regular" if request.number % 7 else "new"


_SPOILERS: Final[dict[str, Callable[[Any, Any], None]]] = {
    "nested_value": _nested_value,
    "sum_rounded": _sum_rounded,
    "field_missing": _field_missing,
    "wrong_enum": _wrong_enum,
    "one_in_100": _one_in_100,
    "noisy_id_empty": _noisy_id_empty,
    "clock_late": _clock_late,
    "map_entry_lost": _map_entry_lost,
    "any_type": _any_type,
    "oneof_changed": _oneof_changed,
    "id_empty": _id_empty,
    "newer_field": _newer_field,
}


class Faults:
    """Which of the seeded faults are on. Frozen once made."""

    def __init__(self, names: Iterable[str]) -> None:
        self._on = frozenset(seeds.by_name(name).name for name in names)

    @classmethod
    def parse(cls, text: str) -> Faults:
        """From "all", "none" or names with commas; KeyError for a name that is none."""
        if text == "all":
            return cls(seed.name for seed in seeds.SEEDS)
        return cls([] if text == "none" else (name.strip() for name in text.split(",")))

    def on(self, name: str) -> bool:
        """Whether this fault is on."""
        return seeds.by_name(name).name in self._on

    def spoil(self, method: str, request: Any, answer: Any) -> Any:
        """`answer` to `request`, changed in place by each fault of `method` that is on."""
        for seed in seeds.SEEDS:
            if seed.method == method and seed.name in self._on and seed.name in _SPOILERS:
                _SPOILERS[seed.name](request, answer)
        return answer
