"""What the shop does beside answering: it charges cards, pays back, and sends mails. Shared by both builds.

In a shadow none of it happens. The charge has a stand-in, since the handler needs a receipt; the refund has no policy, so it
is blocked; the mail asks whether it may be sent, and its function runs in the primary alone anyway. What each would have
sent is captured all the same.
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Final

import grpc_mirror
import pay.v1.pay_pb2 as pay
import shop.v1.shop_pb2 as pb

from mirror_demo import answers

PAYMENTS: Final = "SHOP_PAYMENTS"  # environment: host:port of pay.v1.Payments; unset: nothing is paid
OUTBOX: Final = "SHOP_OUTBOX"  # environment: the file to which mails go, a line of JSON each; unset: nowhere
MAIL: Final = "mail.send"
POLICIES: Final = {"pay.v1.Payments/Charge": grpc_mirror.stub(pay.Receipt(id="none, in a shadow"))}


def charge_of(request: pb.PlaceOrderRequest) -> pay.ChargeRequest:
    """What the customer is charged for an order."""
    return pay.ChargeRequest(
        reference=request.reference,
        customer=request.cart.customer,
        cents=answers.cart_cents(request.cart),
        idempotency_key=str(uuid.uuid4()),
    )


def refund_of(answer: pb.Refund) -> pay.RefundRequest:
    """What is paid back."""
    return pay.RefundRequest(order=answer.number, cents=answer.cents)


def confirm(request: pb.PlaceOrderRequest) -> None:
    """Mail the customer that the order was taken."""
    mail = {"to": f"{request.cart.customer}@example.com", "subject": f"Your order {request.reference}"}
    with grpc_mirror.outbound(MAIL, request=mail, policy="ask") as sending:
        if not sending.blocked:
            _post(mail)
        sending.response({"queued": not sending.blocked})


@grpc_mirror.primary_only()
def _post(mail: dict[str, str]) -> None:
    outbox = os.environ.get(OUTBOX)
    if outbox:
        append(Path(outbox), mail)


def append(file: Path, record: dict[str, object] | dict[str, str]) -> None:
    """One line of JSON at the end of a file, whole though other processes write there too."""
    line = json.dumps(record).encode() + b"\n"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
