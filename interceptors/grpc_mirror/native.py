"""The compiled parts, where they are installed: `grpc_mirror_native`, which is optional. Whoever asks has the same in Python."""

from __future__ import annotations

import importlib
import os
from typing import Any

_CONTRACT = 4  # what goes in and out of the parts that are known here

_OFF = ("0", "false", "no", "off")  # values of MIRROR_NATIVE


def part(name: str) -> Any | None:
    """A compiled module by its name; None: not installed, of another contract, or not wanted (`MIRROR_NATIVE=0`)."""
    if os.environ.get("MIRROR_NATIVE", "").lower() in _OFF:
        return None
    try:
        if importlib.import_module("grpc_mirror_native").CONTRACT != _CONTRACT:
            return None
        return importlib.import_module(f"grpc_mirror_native.{name}")
    except (ImportError, AttributeError):
        return None
