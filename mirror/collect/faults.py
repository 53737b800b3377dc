"""One way to log a fault of our own: where it happened and its type, never its text, which may hold payload."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any, Final

_log: Final = logging.getLogger(__name__)


def log_fault(log: logging.Logger, doing: str, fault: BaseException) -> None:
    """Log `fault` with the places of its traceback."""
    frames = traceback.extract_tb(fault.__traceback__)[-6:]
    places = " > ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames)
    log.error("internal error while %s: %s at %s", doing, type(fault).__name__, places)


class Guarded:
    """Does pieces of work so that a fault in one does not keep the next from being done. `fault` is told of each, by its stage."""

    def __init__(self, fault: Callable[[str], None]) -> None:
        self._fault = fault

    def __call__(self, stage: str, work: Callable[..., None], *given: Any) -> bool:
        """Do one; a fault of ours is told, and logged without payload. False: there was one."""
        try:
            work(*given)
        except Exception as fault:  # noqa: BLE001 - one group must not end the pipeline
            self._fault(stage)
            log_fault(_log, f"{stage} in the pipeline", fault)
            return False
        return True
