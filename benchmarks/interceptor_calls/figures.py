"""From the figures of the rounds to the table, and to what is promised. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

CAPTURED_MAX, NOT_MIRRORED_MAX, FAULTY_MAX = 1.15, 1.03, 1.03
QUEUE_MIB = 32  # what the interceptor may hold for a collector that takes nothing
SMALL_BYTES = (
    10_000  # calls of smaller bodies cost what handling a call costs; with larger ones the bytes themselves count
)
P99_CALLS_MIN = 500  # in a round: its p99 is that of five calls or more
PROMISED = f"""
Promised: a captured call costs at most {CAPTURED_MAX} of the CPU and the p99 of a bare one and less CPU than under contrib instrumentation, which
keeps and sends no bodies. Large ones are captured with their messages as far as the limit of bytes a second allows, here that of continuous
load; without a limit they cost at most {CAPTURED_MAX} of a bare server that keeps as many bytes and sends them (`sends`). p99: of rounds with
{P99_CALLS_MIN} calls or more; unclear where two bare servers differ by more than what is allowed, or where there are fewer calls. A dead, hanging or
slow collector costs at most {FAULTY_MAX} of what a ready one does: unclear where it differs no more than two servers with ready ones do."""


class Used(NamedTuple):
    """What one variant's server used in one round."""

    cpu_s: float
    taken_s: list[float]  # of each call, as its client sees it
    peak_mib: float
    dropped: dict[str, int]
    not_sampled: int  # calls that were captured without their messages

    @property
    def cpu_us(self) -> float:
        """Of one call."""
        return self.cpu_s / len(self.taken_s) * 1e6


def percentile_ms(one: Used, share: float) -> float:
    """Of the calls of a round."""
    taken = sorted(one.taken_s)
    return taken[min(len(taken) - 1, int(len(taken) * share))] * 1e3


def rows_of(cell: str, rounds: Sequence[Mapping[str, Used]], against: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row for each variant: medians of the rounds' figures and ratios. Of the CPU's ratios also the quartiles."""
    rows = []
    for name, base in against.items():
        own = [one[name] for one in rounds]
        row: dict[str, Any] = {
            "cell": cell,
            "variant": name,
            "against": base,
            "calls": len(own[0].taken_s),  # of a round
            "cpu_us": statistics.median(one.cpu_us for one in own),
            "p50_ms": statistics.median(percentile_ms(one, 0.5) for one in own),
            "p99_ms": statistics.median(percentile_ms(one, 0.99) for one in own),
            "peak_mib": own[-1].peak_mib,
            "dropped": own[-1].dropped,
        }
        if base:
            row |= _ratios(own, [one[base] for one in rounds])
        if any(one.not_sampled for one in own):
            row["whole"] = statistics.median(1 - one.not_sampled / len(one.taken_s) for one in own)
        if name == "captured whole":
            row["sends_ratio"] = _ratios(own, [one["sends"] for one in rounds])["cpu_ratio"]
        if name == "bare, plain":
            row["same_p99_ratio"] = _ratios(own, [one["bare"] for one in rounds])["p99_ratio"]
        rows.append(row)
    return rows


def _ratios(own: Sequence[Used], theirs: Sequence[Used]) -> dict[str, Any]:
    pairs = list(zip(own, theirs, strict=True))
    cpu = sorted(one.cpu_us / other.cpu_us for one, other in pairs)
    found: dict[str, Any] = {
        "cpu_ratio": statistics.median(cpu),
        "cpu_quartiles": statistics.quantiles(cpu, n=4)[::2] if len(cpu) > 1 else cpu * 2,
    }
    for name, share in (("p50_ratio", 0.5), ("p99_ratio", 0.99)):
        found[name] = statistics.median(percentile_ms(one, share) / percentile_ms(other, share) for one, other in pairs)
    return found


HEAD = f"{'':>45} {'CPU us':>8} {'p50 ms':>7} {'p99 ms':>7}   {'CPU':>5} {'(quartiles)':>13} {'p50':>6} {'p99':>6}  {'MiB':>5}"


def line_of(row: Mapping[str, Any]) -> str:
    """A row of the table."""
    text = f"{row['cell']:>28} {row['variant']:>16} {row['cpu_us']:>8.0f} {row['p50_ms']:>7.2f} {row['p99_ms']:>7.2f}"
    if row["against"]:
        low, high = row["cpu_quartiles"]
        text += f"   {row['cpu_ratio']:5.2f}  {low:5.2f}..{high:5.2f} {row['p50_ratio']:6.2f} {row['p99_ratio']:6.2f}"
    else:
        text += f"   {'-':>5} {'':>13} {'-':>6} {'-':>6}"
    whole = f"{row['whole']:.0%} with messages" if "whole" in row else ""
    return f"{text}  {row['peak_mib']:>5.0f}  {row['dropped'] or whole}"


def promises(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, bool | None]]:
    """Each promise with its figures, and whether it is kept; None: this run cannot tell."""
    by_cell: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_cell.setdefault(row["cell"], {})[row["variant"]] = row
    for cell, found in by_cell.items():
        captured = found.get("captured")
        if captured is not None and captured["against"]:
            yield from _of_captured(cell, captured, found)
        for fault in ("dead", "hanging", "slow"):
            if captured is not None and fault in found:
                yield from _of_faulty(cell, captured, found[fault], found["captured, again"])


def _of_captured(
    cell: str, captured: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, bool | None]]:
    cpu, p99, contrib = captured["cpu_ratio"], captured["p99_ratio"], found["contrib"]["cpu_ratio"]
    same = found["bare, plain"]["same_p99_ratio"]
    share = f" ({captured['whole']:.0%} of the calls with their messages)" if "whole" in captured else ""
    yield f"{cell}: captured costs at most {CAPTURED_MAX} of the CPU: {cpu:.2f}{share}", cpu <= CAPTURED_MAX
    whole = found.get("captured whole")
    if whole is not None:
        ratio, floor = whole["sends_ratio"], found["sends"]["cpu_ratio"]
        text = f"{cell}: with all messages at most {CAPTURED_MAX} of the CPU of keeping and sending as many bytes: {ratio:.2f}"
        yield f"{text} ({whole['cpu_ratio']:.2f} of bare, {floor:.2f} of which is that)", ratio <= CAPTURED_MAX
    unclear = captured["calls"] < P99_CALLS_MIN or not 1 / CAPTURED_MAX <= same <= CAPTURED_MAX
    text = f"{cell}: at most {CAPTURED_MAX} of the p99: {p99:.2f} (two bare servers: {same:.2f}; {captured['calls']} calls a round)"
    yield text, None if unclear else p99 <= CAPTURED_MAX
    yield f"{cell}: less CPU than contrib instrumentation: {cpu:.2f} < {contrib:.2f}", cpu < contrib
    plain = found["not mirrored"]["cpu_ratio"]
    yield f"{cell}: not mirrored at most {NOT_MIRRORED_MAX}: {plain:.2f}", plain <= NOT_MIRRORED_MAX


def _of_faulty(
    cell: str, captured: Mapping[str, Any], faulty: Mapping[str, Any], equal: Mapping[str, Any]
) -> Iterator[tuple[str, bool | None]]:
    name = f"{cell}: a {faulty['variant']} collector"
    for figure in ("cpu", "p50", "p99"):
        ratio, same = faulty[f"{figure}_ratio"], equal[f"{figure}_ratio"]
        told_apart = ratio > FAULTY_MAX * max(same, 1 / same)
        unclear = (figure == "p99" and captured["calls"] < P99_CALLS_MIN) or (ratio > FAULTY_MAX and not told_apart)
        text = f"{name} costs at most {FAULTY_MAX} of the {figure}: {ratio:.2f} (two equal servers: {same:.2f})"
        yield text, None if unclear else ratio <= FAULTY_MAX
    more = faulty["peak_mib"] - captured["peak_mib"]
    yield f"{name} costs at most {2 * QUEUE_MIB} MiB more: {more:.0f}", more <= 2 * QUEUE_MIB
