"""What the shop really did beside answering, and what it should have: every effect of the primary once, none of a shadow."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mirror_demo.plan import Call


@dataclass(frozen=True, slots=True)
class Done:
    """How often a card was charged, an order paid back, a mail sent."""

    charges: int
    refunds: int
    mails: int

    def __str__(self) -> str:
        return f"{self.charges} charges, {self.refunds} refunds, {self.mails} mails"


def wanted(calls: Iterable[Call]) -> Done:
    """What the primary does for these calls."""
    ended = [call.method for call in calls if call.status == "OK"]
    orders = ended.count("PlaceOrder")
    return Done(charges=orders, refunds=ended.count("RefundOrder"), mails=orders)


def done_in(ledger: Path, outbox: Path) -> Done:
    """What the payment service's ledger and the outbox hold."""
    entries = _records(ledger)
    charges = sum("charged" in entry for entry in entries)
    return Done(charges=charges, refunds=len(entries) - charges, mails=len(_records(outbox)))


def _records(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
