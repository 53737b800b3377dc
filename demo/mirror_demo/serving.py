"""What both builds' processes share: a free port, the line that says it, and an orderly end."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
from collections.abc import Callable
from typing import Final

# A port per server, not shared with another process of the same number.
OPTIONS: Final = (("grpc.so_reuseport", 0),)
READY: Final = "READY "
_FREE: Final = range(20_000, 32_768)  # above it a refused connect on loopback may connect to itself
_TRIES: Final = 64


def arguments(description: str) -> argparse.Namespace:
    """The command line of a replica: `--port` (0: any free one)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0, help="on loopback; 0: any free one below 32768")
    return parser.parse_args()


def bind(add_port: Callable[[str], int], port: int) -> int:
    """Bind a gRPC server's `add_insecure_port` to `port` on loopback, or to a free one; the port it got.

    Raises OSError when the port is in use, or when no free one was found.
    """
    tries = [port] if port else random.sample(_FREE, _TRIES)
    for each in tries:
        with contextlib.suppress(RuntimeError):  # how grpc says that the port is in use
            if add_port(f"127.0.0.1:{each}") == each:
                return each
    raise OSError(f"port {port} on 127.0.0.1 is in use" if port else f"no free port among {_TRIES} below 32768")


def say_ready(port: int) -> None:
    """One line on stdout that the starter waits for."""
    sys.stdout.write(f"{READY}{port}\n")
    sys.stdout.flush()


def instance() -> str:
    """This replica's name, which its decoys draw on: its role."""
    return os.environ.get("MIRROR_ROLE", "primary")
