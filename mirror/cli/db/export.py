"""`mirror db export`: kept comparisons and counts for other tools, as JSON lines or Parquet."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.message import DecodeError

from mirror.cli.db.common import failed, opened, since
from mirror.cli.db.sinks import Format, sink_for
from mirror.cli.errors import UsageError
from mirror.cli.options import ConfigOption, StoreOption
from mirror.cli.reading import configured
from mirror.serve import shape, words
from mirror.serve.epochs import NotFoundError, find_run
from mirror.serve.sides import sides
from mirror.serve.site import Schemas
from mirror.store import Reader
from mirror.store.exporting import CountsRow, Filters, counts_rows, kept_ids


class What(StrEnum):
    """Which rows."""

    ALL = "all"
    COMPARISONS = "comparisons"
    COUNTS = "counts"


def export(  # noqa: PLR0913 - the options of a command
    *,
    config: ConfigOption = None,
    store: StoreOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there; the default is standard output.")
    ] = None,
    what: Annotated[What, typer.Option(help="Kept comparisons, counts by method and minute, or both.")] = What.ALL,
    form: Annotated[
        Format, typer.Option("--format", help="JSON lines; or Parquet, of one sort of rows, by the extra `parquet`.")
    ] = Format.JSONL,
    run: Annotated[str | None, typer.Option(metavar="NAME", help="Of this run only.")] = None,
    method: Annotated[str | None, typer.Option(metavar="METHOD", help="Of this one: shop.v1.Shop/Checkout.")] = None,
    path: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Comparisons that differ there: response.items[*].price. No counts."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="How long ago (30m, 2d), or a date and time, in UTC.")
    ] = None,
) -> None:
    """Export kept comparisons, with their differences and all sides, and counts. They hold payloads: mind who may read them.

    Private values are not among them: only hashes ever left the services. Writes nothing to the store. Exit code: 0 done, 1 it cannot be
    done, 2 usage or configuration.
    """
    settings = configured(config, store)
    if path is not None and what is What.COUNTS:
        raise UsageError("--path is of comparisons; it does not go with --what counts")
    filters = Filters(run, method, path, since(start) if start else None)
    written: Counter[str] = Counter()
    with opened(settings, write=False) as engine:
        reader = Reader(engine)
        _require_known(reader, run)
        try:
            with sink_for(form, out, what.value) as write:
                for row in _rows(reader, filters, what, written):
                    write(row)
        except BrokenPipeError:  # whoever read standard output has enough
            raise
        except OSError as error:
            failed(f"{f'--out {out}' if out else 'standard output'}: cannot be written: {error.strerror}")
    sys.stderr.write(f"exported {_summary(written)}\n")


def _require_known(reader: Reader, run: str | None) -> None:
    if run is None:
        with reader.connect():  # is it a store at all?
            return
    try:
        find_run(reader, run)
    except NotFoundError as problem:
        raise UsageError(str(problem)) from None


def _rows(reader: Reader, filters: Filters, what: What, written: Counter[str]) -> Iterator[dict[str, Any]]:
    """One at a time: no more than one comparison is in memory. `written` counts them."""
    if what is not What.COUNTS:
        schemas = Schemas(reader)
        for epoch_id, comparison_id in kept_ids(reader, filters):
            try:
                found = reader.comparison(comparison_id)
            except DecodeError:
                written["unreadable"] += 1
                continue
            written["gone" if found is None else "comparisons"] += 1
            if found is not None:
                shown = shape.comparison_out(sides(found, schemas.pool, aligned=False))
                yield {"type": "comparison", "epoch": epoch_id, **shown.model_dump(mode="json", by_alias=True)}
    if what is not What.COMPARISONS and filters.pattern is None:
        for row in counts_rows(reader, filters):
            written["counts"] += 1
            yield _counts(row)


def _counts(row: CountsRow) -> dict[str, Any]:
    key = row.epoch
    return {
        "type": "counts",
        "epoch": row.epoch_id,
        "run": key.run,
        "service": key.service,
        "primary_version": key.primary_version,
        "candidate_version": key.candidate_version,
        "method": row.method,
        "minute_s": row.minute * 60,
        **row.counts,
        "reasons": row.reasons,
    }


def _summary(written: Counter[str]) -> str:
    text = (
        f"{words.plural(written['comparisons'], 'kept comparison')}, {words.plural(written['counts'], 'row')} of counts"
    )
    if written["gone"]:
        text += f"; {written['gone']:,} were pruned meanwhile"
    if written["unreadable"]:
        text += f"; {written['unreadable']:,} cannot be read: see mirror db check"
    return text
