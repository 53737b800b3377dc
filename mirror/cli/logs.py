"""The log of commands that run until a signal: lines for people, or one JSON object a line for a log store."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import typer

_QUIET: Final = ("uvicorn", "alembic")
_GRPC: Final = "grpc._cython.cygrpc"  # its logger, and where the next is defined
_NOBODY_THERE: Final = "ExecuteBatchError"  # what sending an answer raises where the client went a moment ago
_log: Final = logging.getLogger("mirror")


class LogFormat(StrEnum):
    """How lines look."""

    TEXT = "text"
    JSON = "json"


class JsonFormatter(logging.Formatter):
    """time (UTC), level, logger, message; of an exception its type and places, never its text, which may hold payload."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage().rstrip("\n"),
        }
        if record.exc_info and (fault := record.exc_info[1]) is not None:
            line["exception"] = type(fault).__name__
            frames = traceback.extract_tb(fault.__traceback__)[-6:]
            line["at"] = " > ".join(f"{one.filename.rsplit('/', 1)[-1]}:{one.lineno} {one.name}" for one in frames)
        return json.dumps(line, ensure_ascii=False)


def _concerns_us(record: logging.LogRecord) -> bool:
    """Not what grpc says, with a traceback, of each client that goes before it is answered: what it sent was counted."""
    fault = record.exc_info[0] if record.exc_info else None
    return fault is None or (fault.__module__, fault.__name__) != (_GRPC, _NOBODY_THERE)


def begin_log(log_format: LogFormat) -> None:
    """Lines on stderr, from INFO on."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger(_GRPC).addFilter(_concerns_us)
    for chatty in _QUIET:
        logging.getLogger(chatty).setLevel(logging.WARNING)


def say(line: str) -> None:
    """A line of what an operator reads at the start: as it is, or as a line of the log where that is JSON."""
    if any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers):
        _log.info(line.strip())
    else:
        typer.echo(line, err=True)
