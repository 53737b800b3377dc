"""Which compiled parts there are: those of `grpc-mirror-native`, where it is installed and of the contract that is known here.

Whoever asks gets None where there are none, and does the same in Python. MIRROR_NATIVE=0 goes without.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Final, Protocol

CONTRACT: Final = 1  # of grpc_mirror_native
CutCall = tuple[bytes, str, bytes, bytes, bytes, int, int, int, int, int]
CutSpan = CutCall | bytes | None
Same = tuple[int, int, int, int]


class Cutter(Protocol):
    """See `grpc_mirror_native.spans`."""

    def cut(self, body: bytes) -> list[tuple[bytes, list[CutSpan]]] | None:
        """The resources of an OTLP request, with their spans."""


def _found() -> tuple[Callable[[bytes, bytes], Same | None] | None, Callable[[str, str, Iterable[str]], Cutter] | None]:
    if os.environ.get("MIRROR_NATIVE") == "0":
        return None, None
    try:
        import grpc_mirror_native  # noqa: PLC0415 - there or not

        if grpc_mirror_native.CONTRACT != CONTRACT:
            return None, None
        from grpc_mirror_native import captures, spans  # noqa: PLC0415
    except ImportError:
        return None, None
    return captures.same, spans.Cutter


same, new_cutter = _found()
