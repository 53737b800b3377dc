"""Which calls the load makes: each seeded condition by quota, everything shuffled by the seed. Pure.

The quota makes a run's outcome depend on the build and not on luck: from 3,000 calls on each condition comes at least
10 times, and the coin of CheckStock falls evenly: with fair throws it would look like a fault in one run of forty.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from mirror_demo import catalog, seeds

# Of each hundred calls, by method. GetProduct has over a thousand of 3,000, so that 1 in 100 comes 10 times.
SHARES: Final = {
    "GetProduct": 35,
    "Quote": 9,
    "PlaceOrder": 11,
    "RefundOrder": 4,
    "GetOrder": 8,
    "GetCustomer": 5,
    "CheckStock": 4,
    "GetOpeningHours": 4,
    "ListProducts": 6,
    "TrackParcel": 6,
    "ImportReviews": 4,
    "Assist": 4,
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the fields of its request, or of each message of a streamed request, and the status it must end with."""

    method: str
    requests: tuple[dict[str, Any], ...]
    seed: str = ""  # the seeded fault that it brings out
    status: str = "OK"


def make(calls: int, seed: int) -> list[Call]:
    """`calls` calls (at least 1) in the order to make them; the same for the same seed."""
    chance = Random(seed)
    of_method = {method: iter(_of_method(method, count, chance)) for method, count in _counts(calls).items()}
    turns = [method for method, count in _counts(calls).items() for _ in range(count)]
    chance.shuffle(turns)
    return [next(of_method[method]) for method in turns]


def _counts(calls: int) -> dict[str, int]:
    counts = {method: calls * share // 100 for method, share in SHARES.items()}
    counts["GetProduct"] += calls - sum(counts.values())
    return counts


def _of_method(method: str, count: int, chance: Random) -> list[Call]:
    quotas = {s.name: math.ceil(s.share * count) for s in seeds.SEEDS if s.method == method and s.share < 1}
    names = [name for name, quota in quotas.items() for _ in range(quota)][:count]
    names += [""] * (count - len(names))
    chance.shuffle(names)
    return [_MAKERS[method](name, index, chance) for index, name in enumerate(names)]


def _get_product(seed: str, _index: int, chance: Random) -> Call:
    remainders = {
        "field_missing": range(60, 65),
        "wrong_enum": range(70, 75),
        "one_in_100": range(42, 43),
        "noisy_id_empty": range(80, 88),
        "clock_late": range(90, 96),
    }
    remainder = chance.choice(remainders.get(seed, range(40)))
    return Call("GetProduct", ({"number": 100 * chance.randrange(1, 1000) + remainder},), seed)


def _cart(seed: str, chance: Random) -> dict[str, Any]:
    most = 12 if seed == "nested_value" else 5
    items = [
        {"product": chance.randrange(14, 5000), "quantity": chance.randint(1, 5)} for _ in range(chance.randint(1, 4))
    ]
    items[0]["quantity"] = chance.randint(10, most) if seed == "nested_value" else items[0]["quantity"]
    return {"customer": f"customer-{chance.randrange(10_000)}", "items": items}


def _quote(seed: str, _index: int, chance: Random) -> Call:
    cart = _cart(seed, chance)
    if seed == "sum_rounded":
        cart["customer"] = f"business-{chance.randrange(10_000)}"
    return Call("Quote", (cart,), seed)


def _place_order(seed: str, index: int, chance: Random) -> Call:
    cart = _cart("", chance)
    if seed == "other_amount":
        cart["customer"] = f"vip-{chance.randrange(10_000)}"
    if seed == "details_changed":
        cart["items"].append({"product": catalog.SOLD_OUT, "quantity": 1})
    prefix = {"id_empty": "GIFT", "mail_twice": "AGAIN"}.get(seed, "ORDER")
    request = {
        "reference": f"{prefix}-{index}-{chance.randrange(10**9)}",
        "cart": cart,
        "express": seed == "oneof_changed",
    }
    return Call("PlaceOrder", (request,), seed, "FAILED_PRECONDITION" if seed == "details_changed" else "OK")


def _refund_order(seed: str, _index: int, chance: Random) -> Call:
    last = 9 if seed == "refund_short" else chance.randrange(9)
    return Call("RefundOrder", ({"number": 1000 + 10 * chance.randrange(1000) + last},), seed)


def _get_order(seed: str, _index: int, chance: Random) -> Call:
    last = {"map_entry_lost": 7, "any_type": 3}.get(seed, chance.choice((0, 1, 2, 4, 5, 6, 8, 9)))
    base = catalog.FIRST_UNKNOWN_ORDER if seed == "status_changed" else 1000
    number = base + 10 * chance.randrange(1000) + last
    return Call("GetOrder", ({"number": number},), seed, "NOT_FOUND" if seed == "status_changed" else "OK")


def _get_customer(_seed: str, _index: int, chance: Random) -> Call:
    return Call("GetCustomer", ({"number": chance.randrange(1, 100_000)},), "newer_field")


def _check_stock(_seed: str, index: int, chance: Random) -> Call:
    # Four calls in a row have the four cases: does the candidate, does the secondary differ from the primary?
    wanted = (index % 4 in {1, 2}, index % 4 in {1, 3})
    while True:
        product = chance.randrange(1_000_000)
        primary = catalog.shelf("primary", product)
        if wanted == (catalog.shelf("candidate", product) != primary, catalog.shelf("secondary", product) != primary):
            return Call("CheckStock", ({"product": product},))


def _get_opening_hours(_seed: str, _index: int, chance: Random) -> Call:
    return Call("GetOpeningHours", ({"city": chance.choice(catalog.CITIES)},))


def _list_products(seed: str, _index: int, chance: Random) -> Call:
    limit = chance.randint(20, 30) if seed == "stream_short" else chance.randint(1, 12)
    return Call("ListProducts", ({"category": chance.choice(catalog.CATEGORIES), "limit": limit},), seed)


def _track_parcel(seed: str, _index: int, chance: Random) -> Call:
    last = 5 if seed == "stream_order" else chance.choice((0, 1, 2, 3, 4, 6, 7, 8, 9))
    return Call("TrackParcel", ({"parcel": 10 * chance.randrange(100_000) + last},), seed)


def _import_reviews(seed: str, _index: int, chance: Random) -> Call:
    count = chance.randint(1, 8)
    reviews = [
        {"product": chance.randrange(5000), "stars": chance.randint(1, 5), "text": "Good enough."} for _ in range(count)
    ]
    if seed == "crash":
        chance.choice(reviews)["text"] = ""
    return Call("ImportReviews", tuple(reviews), seed)


def _assist(seed: str, _index: int, chance: Random) -> Call:
    count = chance.randint(5, 8) if seed == "trailer_missing" else chance.randint(1, 4)
    return Call("Assist", tuple({"text": f"Where is parcel {chance.randrange(10_000)}?"} for _ in range(count)), seed)


_MAKERS: Final[dict[str, Callable[[str, int, Random], Call]]] = {
    "GetProduct": _get_product,
    "Quote": _quote,
    "PlaceOrder": _place_order,
    "RefundOrder": _refund_order,
    "GetOrder": _get_order,
    "GetCustomer": _get_customer,
    "CheckStock": _check_stock,
    "GetOpeningHours": _get_opening_hours,
    "ListProducts": _list_products,
    "TrackParcel": _track_parcel,
    "ImportReviews": _import_reviews,
    "Assist": _assist,
}
