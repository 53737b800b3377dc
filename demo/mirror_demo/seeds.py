"""The faults that the candidate is seeded with, as a table: what is wrong, where it must be found, what brings it out.

Pure data. `faults` does them, `plan` brings each condition often enough, `checking` holds the store's hypotheses against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SERVICE: Final = "shop.v1.Shop"


@dataclass(frozen=True, slots=True)
class Seed:
    """One seeded fault. `expected` are the (path pattern, kind)s in any of which it is found; `share` of the method's calls."""

    name: str
    what: str
    method: str  # the method's own name
    expected: tuple[tuple[str, str], ...]
    trigger: str  # which requests bring it out, in words
    share: float  # of the calls of its method
    condition: str = ""  # the path of the request that sets those apart; empty: it is in every call

    @property
    def full_method(self) -> str:
        """The method as captures name it."""
        return f"{SERVICE}/{self.method}"

    @property
    def is_effect(self) -> bool:
        """Whether it is in what the service does, and nowhere in its answer."""
        return all(pattern.startswith("outbound") for pattern, _ in self.expected)


@dataclass(frozen=True, slots=True)
class Decoy:
    """Something that differs and is no fault: `quiet_by` says what keeps it from being reported."""

    name: str
    what: str
    method: str
    pattern: str
    quiet_by: str  # "rule" or "secondary"


SEEDS: Final = (
    Seed(
        "nested_value",
        "wrong value in a nested repeated message: the discount of a line is a cent short",
        "Quote",
        (("response.lines[*].discount.cents", "value"),),
        "a line of ten pieces or more",
        0.06,
        "request.items[*].quantity",
    ),
    Seed(
        "field_missing",
        "a field is missing: the dimensions of what is over two metres long",
        "GetProduct",
        (("response.dimensions", "missing"),),
        "product number % 100 in 60..64",
        0.05,
        "request.number",
    ),
    Seed(
        "wrong_enum",
        "wrong enum: PREORDER has become DISCONTINUED",
        "GetProduct",
        (("response.availability", "value"),),
        "product number % 100 in 70..74",
        0.05,
        "request.number",
    ),
    Seed(
        "sum_rounded",
        "a sum is rounded beyond the tolerance: totals of business carts to tens",
        "Quote",
        (("response.total", "value"),),
        "customer begins with business-",
        0.06,
        "request.customer",
    ),
    Seed(
        "map_entry_lost",
        "an entry of a map is lost: gift cards",
        "GetOrder",
        (("response.cents_by_category[*]", "missing"),),
        "order number % 10 is 7",
        0.06,
        "request.number",
    ),
    Seed(
        "oneof_changed",
        "a oneof has another branch: express orders wait at a station",
        "PlaceOrder",
        (("response.courier", "missing"), ("response.pickup", "added")),
        "express is set",
        0.05,
        "request.express",
    ),
    Seed(
        "stream_short",
        "a stream is one message short: the last of a long list",
        "ListProducts",
        (("responses[*]", "missing"),),
        "limit of 20 or more",
        0.1,
        "request.limit",
    ),
    Seed(
        "stream_order",
        "the order of a stream where it matters: the second and third event are swapped",
        "TrackParcel",
        (("responses", "order"),),
        "parcel number % 10 is 5",
        0.1,
        "request.parcel",
    ),
    Seed(
        "status_changed",
        "another status code: INVALID_ARGUMENT instead of NOT_FOUND",
        "GetOrder",
        (("status.code", "status"),),
        "an order that never was: number from 900000",
        0.06,
        "request.number",
    ),
    Seed(
        "details_changed",
        "other error details: the description of what is sold out",
        "PlaceOrder",
        (("status.details[*].(google.rpc.PreconditionFailure).violations[*].description", "value"),),
        "the cart holds product 13",
        0.05,
        "request.cart.items[*].product",
    ),
    Seed(
        "trailer_missing",
        "trailing metadata is missing: what a long conversation cost",
        "Assist",
        (('trailing_metadata["x-shop-cost"]', "missing"),),
        "five questions or more",
        0.12,
        "requests",
    ),
    Seed(
        "one_in_100",
        "wrong for one request in a hundred: no points for the anniversary",
        "GetProduct",
        (("response.loyalty_points", "value"),),
        "product number % 100 is 42",
        0.01,
        "request.number",
    ),
    Seed(
        "noisy_id_empty",
        "a random id, another in every answer, turns empty: that of an offer",
        "GetProduct",
        (("response.offer_id", "values"),),
        "product number % 100 in 80..87",
        0.08,
        "request.number",
    ),
    Seed(
        "clock_late",
        "a clock runs an hour late: the time at which some products were priced",
        "GetProduct",
        (("response.priced_at", "values"),),
        "product number % 100 in 90..95",
        0.06,
        "request.number",
    ),
    Seed(
        "id_empty",
        "an id turns empty: the receipt of a gift",
        "PlaceOrder",
        (("response.receipt", "missing"),),
        "reference begins with GIFT-",
        0.05,
        "request.reference",
    ),
    Seed(
        "any_type",
        "an Any holds another type: a gift wrap where there was an engraving",
        "GetOrder",
        (("response.extra", "value"),),
        "order number % 10 is 3",
        0.06,
        "request.number",
    ),
    Seed(
        "crash",
        "a crash: an exception nobody catches, on a review without a text",
        "ImportReviews",
        (("status.code", "status"),),
        "a review with an empty text",
        0.12,
        "requests[*].text",
    ),
    Seed(
        "newer_field",
        "a newer schema adds a field: the customer's segment",
        "GetCustomer",
        (("response.segment", "added"),),
        "every call",
        1.0,
    ),
    Seed(
        "other_amount",
        "charges another amount, and answers as ever: a euro more",
        "PlaceOrder",
        (('outbound["pay.v1.Payments/Charge"][*].request.cents', "value"),),
        "customer begins with vip-",
        0.05,
        "request.cart.customer",
    ),
    Seed(
        "mail_twice",
        "sends a mail twice",
        "PlaceOrder",
        (('outbound["mail.send"][*]', "added"),),
        "reference begins with AGAIN-",
        0.05,
        "request.reference",
    ),
    Seed(
        "refund_short",
        "pays back a cent too little, and says that it was all",
        "RefundOrder",
        (('outbound["pay.v1.Payments/Refund"][*].request.cents', "value"),),
        "order number % 10 is 9",
        0.12,
        "request.number",
    ),
)

DECOYS: Final = (
    Decoy("random_id", "a random request id", "CheckStock", "response.request_id", "secondary"),
    Decoy("random_uuid", "a random tracking id, declared to be a uuid", "PlaceOrder", "response.tracking_id", "rule"),
    Decoy("random_offer", "a random id of each offer", "GetProduct", "response.offer_id", "secondary"),
    Decoy("clock", "the time at which a product was priced", "GetProduct", "response.priced_at", "secondary"),
    Decoy("clock_window", "the time at which an order was placed", "PlaceOrder", "response.placed_at", "rule"),
    Decoy(
        "random_key",
        "a random key of each charge, declared to be a uuid",
        "PlaceOrder",
        'outbound["pay.v1.Payments/Charge"][*].request.idempotency_key',
        "rule",
    ),
    Decoy(
        "blocked",
        "whether a refund is through: in a shadow it is blocked, and stays pending",
        "RefundOrder",
        "response.state",
        "rule",
    ),
    Decoy("unordered", "tags in another order", "GetProduct", "response.tags", "rule"),
    Decoy("rounding", "the tax rounded to cents", "Quote", "response.tax", "rule"),
    Decoy(
        "coin",
        "which cache was asked: differs between any two instances half of the time",
        "CheckStock",
        "response.shelf",
        "secondary",
    ),
)


def by_name(name: str) -> Seed:
    """The seed of that name; KeyError names those there are."""
    for seed in SEEDS:
        if seed.name == name:
            return seed
    raise KeyError(f"no seeded fault {name!r}; there are {', '.join(seed.name for seed in SEEDS)}")
