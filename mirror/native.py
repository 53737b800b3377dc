"""Which compiled parts there are: those of `grpc-mirror-native`, where it is installed and of the contract that is known here.

Whoever asks gets None where there are none, and does the same in Python. MIRROR_NATIVE=0 goes without.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

CONTRACT: Final = 1  # of grpc_mirror_native
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


def _found() -> _Parts:
    if os.environ.get("MIRROR_NATIVE") == "0":
        return _Parts(missing="MIRROR_NATIVE=0 goes without them")
    try:
        import grpc_mirror_native  # noqa: PLC0415 - there or not

        if grpc_mirror_native.CONTRACT != CONTRACT:
            return _Parts(missing="those that are installed are of another version than this collector knows")
        from grpc_mirror_native import captures, spans  # noqa: PLC0415
    except ModuleNotFoundError:
        return _Parts(missing="they are not installed")
    except ImportError as problem:
        return _Parts(missing=f"they cannot be loaded ({problem})")
    return _Parts(captures.same, spans.Cutter)


same, new_cutter, missing = _found()  # `missing`: why there are none; empty where there are
