"""What the shop knows: every figure follows from the request's own numbers. Pure; both builds read the same.

No state, so that replicas cannot drift apart: what differs between two of them is a decoy or a seeded fault.
"""

from __future__ import annotations

import hashlib
from typing import Final

CATEGORIES: Final = ("books", "garden", "kitchen", "music", "toys")
TAGS: Final = ("bargain", "boxed", "handmade", "imported", "new", "popular", "recycled", "vegan")
BRANDS: Final = ("Alder", "Birch", "Cedar", "Rowan")
CITIES: Final = ("Graz", "Linz", "Salzburg", "Wien")
STATIONS: Final = ("sorted", "loaded", "customs", "depot", "van", "door")

SOLD_OUT: Final = 13  # the product that is never there
FIRST_UNKNOWN_ORDER: Final = 900_000  # orders from here on never were
TAX_RATE: Final = 0.0725


def digest(text: str) -> int:
    """A number of 64 bits that follows from `text`, the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def category(number: int) -> str:
    """The category of a product."""
    return CATEGORIES[number % len(CATEGORIES)]


def name(number: int) -> str:
    """The name of a product."""
    return f"{BRANDS[number % len(BRANDS)]} {category(number)} no. {number}"


def price_cents(number: int) -> int:
    """The price of one piece; always ends in 99."""
    return 99 + 100 * (digest(f"price {number}") % 40)


def tags(number: int) -> list[str]:
    """Three or four of the tags, in the order of the alphabet."""
    start, count = number % len(TAGS), 3 + number % 2
    return sorted((TAGS + TAGS)[start : start + count])


def is_preorder(number: int) -> bool:
    """Whether a product can only be ordered ahead: 5 numbers of 100."""
    return 70 <= number % 100 < 75


def is_bulky(number: int) -> bool:
    """Whether a product is over two metres long: 5 numbers of 100."""
    return 60 <= number % 100 < 65


def is_anniversary(number: int) -> bool:
    """Whether a product earns the points of the anniversary: 1 number of 100."""
    return number % 100 == 42


def discount_cents(number: int, quantity: int) -> int:
    """What one line of a cart is cheaper by: a tenth from ten pieces on."""
    return price_cents(number) * quantity // 10 if quantity >= 10 else 0


def receipt(reference: str) -> str:
    """The receipt of an order: follows from the customer's reference."""
    return f"R-{digest(reference):016x}"


def shelf(instance: str, product: int) -> str:
    """The cache that `instance` asks for a product: of any two instances the answers differ for half of the products."""
    return "left" if digest(f"{instance} {product}") % 2 else "right"
