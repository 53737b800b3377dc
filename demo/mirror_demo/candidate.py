"""The new build: the shop rewritten on grpc.aio, with a newer schema and the faults that SHOP_FAULTS names.

    SHOP_FAULTS=all PYTHONPATH=gen/newer MIRROR_ROLE=candidate python -m mirror_demo.candidate --port 10002

Where it differs on purpose without being wrong (decoys): tags in another order, the tax rounded to cents.
"""

# ruff: noqa: N802, D102, ARG002 - names and signatures of the handlers are grpc's; what they do says the .proto

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import grpc_mirror
import pay.v1.pay_pb2_grpc as pay
import shop.v1.shop_pb2 as pb
import shop.v1.shop_pb2_grpc as stubs
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2

from mirror_demo import answers, effects, serving
from mirror_demo.faults import Faults

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_GRACE_S: Final = 10.0
_LONG_LIST: Final = 20
_LONG_CONVERSATION: Final = 5


def _now() -> Timestamp:
    stamp = Timestamp()
    stamp.GetCurrentTime()
    return stamp


class Shop:
    """Handlers: what `answers` makes of the request, spoilt by the faults that are on."""

    def __init__(self, instance: str, faults: Faults, payments: Any) -> None:
        self._instance = instance
        self._faults = faults
        self._payments = payments

    async def GetProduct(self, request: pb.GetProductRequest, context: Any) -> pb.Product:
        answer = answers.product(request, _now(), str(uuid.uuid4()))
        answer.tags.sort(key=len, reverse=True)  # decoy: the rewrite keeps them in a set
        return self._faults.spoil("GetProduct", request, answer)

    async def Quote(self, request: pb.Cart, context: Any) -> pb.Quotation:
        answer = answers.quotation(request)
        answer.tax = round(answer.tax, 2)  # decoy
        return self._faults.spoil("Quote", request, answer)

    async def PlaceOrder(self, request: pb.PlaceOrderRequest, context: Any) -> pb.Order:
        try:
            answer = answers.order(request, _now(), str(uuid.uuid4()))
        except answers.RefusalError as refusal:
            return await self._refuse(context, refusal)
        charge = effects.charge_of(request)
        if self._faults.on("other_amount") and request.cart.customer.startswith("vip-"):
            charge.cents += 100
        if self._payments is not None:
            await self._payments.Charge(charge)
        effects.confirm(request)
        if self._faults.on("mail_twice") and request.reference.startswith("AGAIN-"):
            effects.confirm(request)
        return self._faults.spoil("PlaceOrder", request, answer)

    async def RefundOrder(self, request: pb.RefundOrderRequest, context: Any) -> pb.Refund:
        answer = answers.refund(request, done=True)
        refund = effects.refund_of(answer)
        if self._faults.on("refund_short") and request.number % 10 == 9:
            refund.cents -= 1
        try:
            if self._payments is not None:
                await self._payments.Refund(refund)
        except grpc.RpcError:  # it is tried again later
            return answers.refund(request, done=False)
        return answer

    async def GetOrder(self, request: pb.GetOrderRequest, context: Any) -> pb.OrderSummary:
        try:
            answer = answers.order_summary(request)
        except answers.RefusalError as refusal:
            return await self._refuse(context, refusal)
        return self._faults.spoil("GetOrder", request, answer)

    async def GetCustomer(self, request: pb.GetCustomerRequest, context: Any) -> pb.Customer:
        return self._faults.spoil("GetCustomer", request, answers.customer(request))

    async def CheckStock(self, request: pb.CheckStockRequest, context: Any) -> pb.Stock:
        return answers.stock(request, self._instance, str(uuid.uuid4()))

    async def GetOpeningHours(self, request: pb.GetOpeningHoursRequest, context: Any) -> pb.OpeningHours:
        return answers.opening_hours(request)

    async def ListProducts(self, request: pb.ListProductsRequest, context: Any) -> AsyncIterator[pb.CatalogEntry]:
        entries = answers.entries(request)
        if self._faults.on("stream_short") and len(entries) >= _LONG_LIST:
            entries.pop()
        for entry in entries:
            yield entry

    async def TrackParcel(self, request: pb.TrackParcelRequest, context: Any) -> AsyncIterator[pb.ParcelEvent]:
        events = answers.parcel_events(request)
        if self._faults.on("stream_order") and request.parcel % 10 == 5:
            events[1], events[2] = events[2], events[1]
        for event in events:
            yield event

    async def ImportReviews(self, request_iterator: AsyncIterator[pb.Review], context: Any) -> pb.ImportReport:
        reviews = [review async for review in request_iterator]
        if self._faults.on("crash"):
            longest = min(len(review.text.split()[0]) for review in reviews)  # IndexError without a word
            del longest
        return answers.import_report(reviews)

    async def Assist(self, request_iterator: AsyncIterator[pb.Question], context: Any) -> AsyncIterator[pb.Answer]:
        asked = 0
        async for question in request_iterator:
            asked += 1
            yield answers.answer_to(question)
        if not (self._faults.on("trailer_missing") and asked >= _LONG_CONVERSATION):
            context.set_trailing_metadata((("x-shop-cost", f"{asked} ct"),))

    async def _refuse(self, context: Any, refusal: answers.RefusalError) -> Any:
        status = refusal.status
        if self._faults.on("status_changed") and status.code == grpc.StatusCode.NOT_FOUND.value[0]:
            status.code = grpc.StatusCode.INVALID_ARGUMENT.value[0]
        if status.details and self._faults.on("details_changed"):
            failure = error_details_pb2.PreconditionFailure()
            status.details[0].Unpack(failure)
            failure.violations[0].description = "out of stock"
            status.details[0].Pack(failure)
        if status.details:
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        await context.abort(_CODES[status.code], status.message)


def _payments() -> Any:
    target = os.environ.get(effects.PAYMENTS)
    if not target:
        return None
    ours = grpc_mirror.aio_client_interceptors(effects.POLICIES)
    return pay.PaymentsStub(grpc.aio.insecure_channel(target, interceptors=ours))


async def serve(port: int, faults: Faults) -> None:
    """Serve until SIGTERM or SIGINT, then let calls in flight end."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = grpc.aio.server(interceptors=[grpc_mirror.aio_server_interceptor()], options=serving.OPTIONS)
    stubs.add_ShopServicer_to_server(Shop(serving.instance(), faults, _payments()), server)
    port = serving.bind(server.add_insecure_port, port)
    await server.start()
    serving.say_ready(port)
    await stop.wait()
    await server.stop(_GRACE_S)
    grpc_mirror.shutdown()


def main() -> None:
    """The faults come from SHOP_FAULTS: all (the default), none, or names with commas."""
    faults = Faults.parse(os.environ.get("SHOP_FAULTS", "all"))
    asyncio.run(serve(serving.arguments("The shop's new build.").port, faults))


if __name__ == "__main__":
    main()
