"""The payment service of the demo: takes every charge and refund, and writes each into a ledger, a line of JSON each.

SHOP_LEDGER=ledger.jsonl PYTHONPATH=gen/current python -m mirror_demo.payments --port 10009
"""

# ruff: noqa: N802, D102, ARG002 - names and signatures of the handlers are grpc's; what they do says the .proto

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import grpc
import pay.v1.pay_pb2 as pay
import pay.v1.pay_pb2_grpc as stubs

from mirror_demo import effects, serving

LEDGER: Final = "SHOP_LEDGER"
_THREADS: Final = 8


class Payments:
    """Handlers."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger

    def Charge(self, request: pay.ChargeRequest, context: grpc.ServicerContext) -> pay.Receipt:
        effects.append(self._ledger, {"charged": request.reference, "cents": request.cents})
        return pay.Receipt(id=f"charge-{request.idempotency_key}")

    def Refund(self, request: pay.RefundRequest, context: grpc.ServicerContext) -> pay.Receipt:
        effects.append(self._ledger, {"refunded": request.order, "cents": request.cents})
        return pay.Receipt(id=f"refund-{request.order}")


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    port = serving.arguments("The shop's payment service.").port
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=serving.OPTIONS)
    stubs.add_PaymentsServicer_to_server(Payments(Path(os.environ[LEDGER])), server)
    port = serving.bind(server.add_insecure_port, port)
    server.start()
    serving.say_ready(port)
    stop.wait()
    server.stop(1.0).wait()


if __name__ == "__main__":
    main()
