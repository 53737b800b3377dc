"""The live build: the shop as a synchronous grpc server. The secondary is this program with MIRROR_ROLE=secondary.

PYTHONPATH=gen/current python -m mirror_demo.primary --port 10001
"""

# ruff: noqa: N802, D102, ARG002 - names and signatures of the handlers are grpc's; what they do says the .proto

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NoReturn

import grpc
import grpc_mirror
import pay.v1.pay_pb2_grpc as pay
import shop.v1.shop_pb2 as pb
import shop.v1.shop_pb2_grpc as stubs
from google.protobuf.timestamp_pb2 import Timestamp

from mirror_demo import answers, effects, serving

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_THREADS: Final = 16
_GRACE_S: Final = 10.0


def _now() -> Timestamp:
    stamp = Timestamp()
    stamp.GetCurrentTime()
    return stamp


def _refuse(context: grpc.ServicerContext, refusal: answers.RefusalError) -> NoReturn:
    status = refusal.status
    if status.details:
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(_CODES[status.code], status.message)
    raise AssertionError("abort raises")


class Shop:
    """Handlers: the request in, what `answers` makes of it out."""

    def __init__(self, instance: str, payments: pay.PaymentsStub | None) -> None:
        self._instance = instance
        self._payments = payments

    def GetProduct(self, request: pb.GetProductRequest, context: grpc.ServicerContext) -> pb.Product:
        return answers.product(request, _now(), str(uuid.uuid4()))

    def Quote(self, request: pb.Cart, context: grpc.ServicerContext) -> pb.Quotation:
        return answers.quotation(request)

    def PlaceOrder(self, request: pb.PlaceOrderRequest, context: grpc.ServicerContext) -> pb.Order:
        try:
            answer = answers.order(request, _now(), str(uuid.uuid4()))
        except answers.RefusalError as refusal:
            _refuse(context, refusal)
        if self._payments is not None:
            self._payments.Charge(effects.charge_of(request))
        effects.confirm(request)
        return answer

    def RefundOrder(self, request: pb.RefundOrderRequest, context: grpc.ServicerContext) -> pb.Refund:
        answer = answers.refund(request, done=True)
        try:
            if self._payments is not None:
                self._payments.Refund(effects.refund_of(answer))
        except grpc.RpcError:  # it is tried again later
            return answers.refund(request, done=False)
        return answer

    def GetOrder(self, request: pb.GetOrderRequest, context: grpc.ServicerContext) -> pb.OrderSummary:
        try:
            return answers.order_summary(request)
        except answers.RefusalError as refusal:
            _refuse(context, refusal)

    def GetCustomer(self, request: pb.GetCustomerRequest, context: grpc.ServicerContext) -> pb.Customer:
        return answers.customer(request)

    def CheckStock(self, request: pb.CheckStockRequest, context: grpc.ServicerContext) -> pb.Stock:
        return answers.stock(request, self._instance, str(uuid.uuid4()))

    def GetOpeningHours(self, request: pb.GetOpeningHoursRequest, context: grpc.ServicerContext) -> pb.OpeningHours:
        return answers.opening_hours(request)

    def ListProducts(self, request: pb.ListProductsRequest, context: grpc.ServicerContext) -> Iterator[pb.CatalogEntry]:
        yield from answers.entries(request)

    def TrackParcel(self, request: pb.TrackParcelRequest, context: grpc.ServicerContext) -> Iterator[pb.ParcelEvent]:
        yield from answers.parcel_events(request)

    def ImportReviews(self, request_iterator: Iterator[pb.Review], context: grpc.ServicerContext) -> pb.ImportReport:
        return answers.import_report(request_iterator)

    def Assist(self, request_iterator: Iterator[pb.Question], context: grpc.ServicerContext) -> Iterator[pb.Answer]:
        asked = 0
        for question in request_iterator:
            asked += 1
            yield answers.answer_to(question)
        context.set_trailing_metadata((("x-shop-cost", f"{asked} ct"),))


def _payments() -> pay.PaymentsStub | None:
    target = os.environ.get(effects.PAYMENTS)
    if not target:
        return None
    channel = grpc.intercept_channel(grpc.insecure_channel(target), grpc_mirror.client_interceptor(effects.POLICIES))
    return pay.PaymentsStub(channel)


def main() -> None:
    """Serve until SIGTERM or SIGINT, then let calls in flight end."""
    port = serving.arguments("The shop's live build.").port
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = grpc.server(
        ThreadPoolExecutor(_THREADS), interceptors=[grpc_mirror.server_interceptor()], options=serving.OPTIONS
    )
    stubs.add_ShopServicer_to_server(Shop(serving.instance(), _payments()), server)
    port = serving.bind(server.add_insecure_port, port)
    server.start()
    serving.say_ready(port)
    stop.wait()
    server.stop(_GRACE_S).wait()
    grpc_mirror.shutdown()


if __name__ == "__main__":
    main()
