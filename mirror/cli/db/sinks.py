"""Where exported rows go: a file, whole or not at all and for its owner only, or standard output. One row at a time."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from mirror.cli.errors import UsageError

GROUP_MAX_ROWS: Final = 1000
GROUP_MAX_CHARS: Final = 16 << 20
Write: TypeAlias = Callable[[dict[str, Any]], None]


class Format(StrEnum):
    """How rows are written."""

    JSONL = "jsonl"
    PARQUET = "parquet"


@contextmanager
def sink_for(form: Format, out: Path | None, what: str) -> Iterator[Write]:
    """What takes rows, closed at the end. Raises UsageError where this cannot be, OSError where writing fails."""
    if form is Format.JSONL:
        with _file(out) as file:
            yield lambda row: _write_line(file, row)
        return
    if out is None:
        raise UsageError("--format parquet needs a file: say --out FILE")
    if what == "all":
        raise UsageError("a Parquet file holds one sort of rows: say --what comparisons or --what counts")
    try:
        parquet, arrow = importlib.import_module("pyarrow.parquet"), importlib.import_module("pyarrow")
    except ImportError:
        raise UsageError(
            "--format parquet needs pyarrow: pip install 'grpc-mirror-collector[parquet]', or say --format jsonl"
        ) from None
    with _file(out) as file:
        groups = _Groups(arrow, parquet, file, what)
        yield groups.write
        groups.close()


def _write_line(file: IO[bytes], row: dict[str, Any]) -> None:
    file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")


@contextmanager
def _file(out: Path | None) -> Iterator[IO[bytes]]:
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: name a file in a directory that exists")
    with tempfile.NamedTemporaryFile(dir=out.absolute().parent, prefix=f".{out.name}.", delete=False) as half:
        try:
            yield half
            half.flush()
            Path(half.name).replace(out)
        except BaseException:
            Path(half.name).unlink(missing_ok=True)
            raise


class _Groups:
    """Rows as Parquet, in row groups of bounded size. What is nested stands as JSON text."""

    def __init__(self, arrow: Any, parquet: Any, file: IO[bytes], what: str) -> None:
        from mirror.store.tables import COUNTS  # noqa: PLC0415 - other formats need no columns

        texts = ("type", "run", "service", "method")
        if what == "counts":
            columns = {name: arrow.string() for name in (*texts, "primary_version", "candidate_version", "reasons")}
            columns |= dict.fromkeys(("epoch", "minute_s", *COUNTS), arrow.int64())
        else:
            columns = {name: arrow.string() for name in (*texts, "id", "mirror_id", "trace_id", "verdict", "sides")}
            columns |= {"epoch": arrow.int64(), "compared_at_s": arrow.float64()}
        self._table = arrow.Table
        self._schema = arrow.schema([*columns.items()])
        self._writer = parquet.ParquetWriter(file, self._schema)
        self._rows: list[dict[str, Any]] = []
        self._chars = 0

    def write(self, row: dict[str, Any]) -> None:
        """Take a row; a full group goes out."""
        flat = {name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in row.items()}
        self._rows.append(flat)
        self._chars += sum(len(value) for value in flat.values() if isinstance(value, str))
        if len(self._rows) >= GROUP_MAX_ROWS or self._chars >= GROUP_MAX_CHARS:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the file's end."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._chars = [], 0
