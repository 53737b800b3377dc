"""One way to log a fault of our own: where it happened and its type, never its text, which may hold payload."""

from __future__ import annotations

import logging
import traceback


def log_fault(log: logging.Logger, doing: str, fault: BaseException) -> None:
    """Log `fault` with the places of its traceback."""
    frames = traceback.extract_tb(fault.__traceback__)[-6:]
    places = " > ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames)
    log.error("internal error while %s: %s at %s", doing, type(fault).__name__, places)
