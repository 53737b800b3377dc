"""Which compiled parts there are: those of `grpc-mirror-native`, where it is installed and of the contract that is known here.

Whoever asks gets None where there are none, and does the same in Python. MIRROR_NATIVE=0 (or false, no, off) goes without.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

CONTRACT: Final = 4  # of grpc_mirror_native
OFF: Final = ("0", "false", "no", "off")  # values of MIRROR_NATIVE
CutCall = tuple[bytes, str, bytes, bytes, bytes, int, int, int, int, int]
CutSpan = CutCall | bytes | None
Same = tuple[int, int, int, int]


class Cutter(Protocol):
    """See `grpc_mirror_native.spans`."""

    def cut(self, body: bytes) -> list[tuple[bytes, list[CutSpan]]] | None:
        """The resources of an OTLP request, with their spans."""


class _Parts(NamedTuple):
    same: Callable[[bytes, bytes], Same | None] | None = None
    new_cutter: Callable[[str, str, Iterable[str]], Cutter] | None = None
    missing: str = ""
    expected_missing: bool = False


def _found() -> _Parts:
    switch = os.environ.get("MIRROR_NATIVE", "")
    if switch.lower() in OFF:
        return _Parts(missing=f"MIRROR_NATIVE={switch} goes without them", expected_missing=True)
    try:
        import grpc_mirror_native  # noqa: PLC0415 - there or not

        contract = getattr(grpc_mirror_native, "CONTRACT", None)
        if contract is None:
            return _Parts(missing="an empty grpc_mirror_native stands in their place; remove that folder")
        if contract != CONTRACT:
            return _Parts(missing=f"those that are installed are of contract {contract}, and {CONTRACT} is known here")
        from grpc_mirror_native import captures, spans  # noqa: PLC0415
    except ModuleNotFoundError:
        return _Parts(missing="they are not installed", expected_missing=True)
    except ImportError as problem:
        return _Parts(missing=f"they cannot be loaded ({problem})")
    return _Parts(captures.same, spans.Cutter)


# `missing`: why there are none; empty where there are. `expected_missing`: somebody wanted it so, or did not install them.
same, new_cutter, missing, expected_missing = _found()
