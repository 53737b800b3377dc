"""The shop's answers as messages. Pure: the clock and chance are arguments.

Both builds answer through these functions, so that a candidate without faults is faithful; `faults` spoils what they made.
Needs the generated code of one schema version on the path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import shop.v1.legacy_pb2 as legacy
import shop.v1.shop_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2

from mirror_demo import catalog


class RefusalError(Exception):
    """The call ends with this status instead of an answer. `details` are those of google.rpc.Status, packed."""

    def __init__(self, code: int, message: str, *details: error_details_pb2.PreconditionFailure) -> None:
        super().__init__(message)
        self.status = status_pb2.Status(code=code, message=message)
        for detail in details:
            self.status.details.add().Pack(detail)


def product(request: pb.GetProductRequest, now: Timestamp, offer_id: str) -> pb.Product:
    """One product; `priced_at` is the server's clock, `offer_id` a random one."""
    number = request.number
    answer = pb.Product(
        number=number,
        name=catalog.name(number),
        price=pb.Money(currency="EUR", cents=catalog.price_cents(number)),
        availability=pb.AVAILABILITY_PREORDER if catalog.is_preorder(number) else pb.AVAILABILITY_IN_STOCK,
        dimensions=pb.Dimensions(length_cm=220 if catalog.is_bulky(number) else 20, width_cm=12.5, height_cm=7.25),
        tags=catalog.tags(number),
        warranty=legacy.Warranty(terms=f"{catalog.category(number)} as usual", covers=["parts", "labour"]),
        loyalty_points=500 if catalog.is_anniversary(number) else catalog.price_cents(number) // 100,
        priced_at=now,
        offer_id=offer_id,
    )
    if number % 3:
        answer.brand.value = catalog.BRANDS[number % len(catalog.BRANDS)]
    if number % 2:
        answer.warranty.months = 36
        answer.warranty.Extensions[legacy.insurer] = "Mutual"
    return answer


def quotation(request: pb.Cart) -> pb.Quotation:
    """What a cart costs: lines, the total less discounts, and the tax in it to the last digit."""
    answer = pb.Quotation()
    cents = 0
    for item in request.items:
        full, less = (
            catalog.price_cents(item.product) * item.quantity,
            catalog.discount_cents(item.product, item.quantity),
        )
        line = answer.lines.add(product=item.product)
        line.price.CopyFrom(pb.Money(currency="EUR", cents=full))
        line.discount.CopyFrom(pb.Money(currency="EUR", cents=less))
        cents += full - less
    answer.total = cents / 100
    answer.tax = answer.total * catalog.TAX_RATE
    answer.valid_for.FromSeconds(900)
    return answer


def order(request: pb.PlaceOrderRequest, now: Timestamp, tracking_id: str) -> pb.Order:
    """Place an order. Raises RefusalError (FAILED_PRECONDITION, with details) when the cart holds what is sold out."""
    gone = [item.product for item in request.cart.items if item.product == catalog.SOLD_OUT]
    if gone:
        failure = error_details_pb2.PreconditionFailure()
        failure.violations.add(type="STOCK", subject=f"product/{gone[0]}", description="sold out until spring")
        raise RefusalError(9, "sold out", failure)
    answer = pb.Order(
        reference=request.reference, receipt=catalog.receipt(request.reference), tracking_id=tracking_id, placed_at=now
    )
    days = 1 if request.express else 2 + catalog.digest(request.reference) % 3
    answer.courier.CopyFrom(pb.Courier(company="Swift" if request.express else "Post", days=days))
    return answer


def cart_cents(cart: pb.Cart) -> int:
    """What a cart costs, less its discounts."""
    return sum(
        catalog.price_cents(item.product) * item.quantity - catalog.discount_cents(item.product, item.quantity)
        for item in cart.items
    )


def refund(request: pb.RefundOrderRequest, *, done: bool) -> pb.Refund:
    """What an order had cost goes back; `done`: the payment service took it."""
    state = pb.REFUND_STATE_DONE if done else pb.REFUND_STATE_PENDING
    return pb.Refund(number=request.number, cents=catalog.price_cents(request.number), state=state)


def order_summary(request: pb.GetOrderRequest) -> pb.OrderSummary:
    """One order. Raises RefusalError (NOT_FOUND) for numbers that never were."""
    number = request.number
    if number >= catalog.FIRST_UNKNOWN_ORDER:
        raise RefusalError(5, f"no order {number}")
    answer = pb.OrderSummary(number=number)
    for offset in range(1 + number % 3):
        answer.cents_by_category[catalog.category(number + offset)] = catalog.price_cents(number + offset)
    if number % 10 == 7:
        answer.cents_by_category["gift cards"] = 2500
    if number % 10 == 3:
        answer.extra.Pack(pb.Engraving(text=f"for no. {number}"))
    elif number % 2:
        answer.extra.Pack(pb.GiftWrap(colour="green"))
    return answer


def customer(request: pb.GetCustomerRequest) -> pb.Customer:
    """One customer; nickname, newsletter and age are present for some."""
    number = request.number
    answer = pb.Customer(number=number, name=f"Customer {number}")
    if number % 2:
        answer.nickname.value = "" if number % 4 == 1 else f"c{number}"
    if number % 3:
        answer.newsletter.value = number % 3 == 1
    if number % 5:
        answer.age = 20 + number % 50
    return answer


def stock(request: pb.CheckStockRequest, instance: str, request_id: str) -> pb.Stock:
    """How many pieces are left, by which of two caches this instance asked."""
    product = request.product
    pieces = catalog.digest(f"stock {product}") % 90
    return pb.Stock(product=product, pieces=pieces, shelf=catalog.shelf(instance, product), request_id=request_id)


def opening_hours(request: pb.GetOpeningHoursRequest) -> pb.OpeningHours:
    """When the shop of a city is open."""
    answer = pb.OpeningHours(city=request.city)
    answer.opens.FromSeconds(8 * 3600)
    answer.closes.FromSeconds(18 * 3600 + 1800 * (catalog.digest(request.city) % 3))
    answer.counters.value = catalog.digest(request.city) % 4
    return answer


def entries(request: pb.ListProductsRequest) -> list[pb.CatalogEntry]:
    """The first `limit` products of a category."""
    first = catalog.CATEGORIES.index(request.category) if request.category in catalog.CATEGORIES else 0
    numbers = range(first, first + request.limit * len(catalog.CATEGORIES), len(catalog.CATEGORIES))
    return [pb.CatalogEntry(number=number, name=catalog.name(number)) for number in numbers]


def parcel_events(request: pb.TrackParcelRequest) -> list[pb.ParcelEvent]:
    """What happened to a parcel so far, in order: three to six events."""
    events = [pb.ParcelEvent(where=where) for where in catalog.STATIONS[: 3 + request.parcel % 4]]
    for hour, event in enumerate(events):
        event.after.FromSeconds(3600 * hour)
    return events


def import_report(reviews: Iterable[pb.Review]) -> pb.ImportReport:
    """Count reviews by their stars; those without a text count as well."""
    stars = Counter(review.stars for review in reviews)
    return pb.ImportReport(accepted=stars.total(), by_stars=stars)


def assist(questions: Iterable[pb.Question]) -> Iterator[pb.Answer]:
    """One answer to each question, as it comes."""
    for question in questions:
        yield answer_to(question)


def answer_to(question: pb.Question) -> pb.Answer:
    """The answer to one question, with a proof of 8 bytes."""
    return pb.Answer(text=f"You asked: {question.text}", proof=catalog.digest(question.text).to_bytes(8, "big"))
