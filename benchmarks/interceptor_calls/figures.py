"""From the figures of the rounds to the table, and to what is promised. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

CAPTURED_MAX, NOT_MIRRORED_MAX, FAULTY_MAX = 1.15, 1.03, 1.03
QUEUE_MIB = 32  # what the interceptor may hold for a collector that takes nothing


class Used(NamedTuple):
    """What one variant's server used in one round."""

    cpu_s: float
    taken_s: list[float]  # of each call, as its client sees it
    peak_mib: float
    dropped: dict[str, int]

    @property
    def cpu_us(self) -> float:
        """Of one call."""
        return self.cpu_s / len(self.taken_s) * 1e6


def percentile_ms(rounds: Sequence[Used], share: float) -> float:
    """Of the calls of all rounds: a single round has too few for the slow ones."""
    taken = sorted(second for one in rounds for second in one.taken_s)
    return taken[min(len(taken) - 1, int(len(taken) * share))] * 1e3


def rows_of(cell: str, rounds: Sequence[Mapping[str, Used]], against: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row for each variant. CPU: the median of the rounds' ratios, and their quartiles; latencies: of all rounds' calls."""
    rows = []
    for name, base in against.items():
        own = [one[name] for one in rounds]
        row: dict[str, Any] = {
            "cell": cell,
            "variant": name,
            "against": base,
            "cpu_us": statistics.median(one.cpu_us for one in own),
            "p50_ms": percentile_ms(own, 0.5),
            "p99_ms": percentile_ms(own, 0.99),
            "peak_mib": own[-1].peak_mib,
            "dropped": own[-1].dropped,
        }
        if base:
            theirs = [one[base] for one in rounds]
            ratios = sorted(one.cpu_us / other.cpu_us for one, other in zip(own, theirs, strict=True))
            row["cpu_ratio"] = statistics.median(ratios)
            row["cpu_quartiles"] = statistics.quantiles(ratios, n=4)[::2] if len(ratios) > 1 else ratios * 2
            row["p50_ratio"] = row["p50_ms"] / percentile_ms(theirs, 0.5)
            row["p99_ratio"] = row["p99_ms"] / percentile_ms(theirs, 0.99)
        rows.append(row)
    return rows


HEAD = f"{'':>45} {'CPU us':>8} {'p50 ms':>7} {'p99 ms':>7}   {'CPU':>5} {'(quartiles)':>13} {'p50':>6} {'p99':>6}  {'MiB':>5}"


def line_of(row: Mapping[str, Any]) -> str:
    """A row of the table."""
    text = f"{row['cell']:>28} {row['variant']:>16} {row['cpu_us']:>8.0f} {row['p50_ms']:>7.2f} {row['p99_ms']:>7.2f}"
    if row["against"]:
        low, high = row["cpu_quartiles"]
        text += f"   {row['cpu_ratio']:5.2f}  {low:5.2f}..{high:5.2f} {row['p50_ratio']:6.2f} {row['p99_ratio']:6.2f}"
    else:
        text += f"   {'-':>5} {'':>13} {'-':>6} {'-':>6}"
    return f"{text}  {row['peak_mib']:>5.0f}  {row['dropped'] or ''}"


def promises(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, bool]]:
    """Each promise with its figures, and whether it is kept."""
    by_cell: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_cell.setdefault(row["cell"], {})[row["variant"]] = row
    for cell, found in by_cell.items():
        captured = found.get("captured")
        if captured is not None and captured["against"]:
            yield from _of_captured(cell, captured, found)
        for fault in ("dead", "hanging", "slow"):
            if captured is not None and fault in found:
                yield from _of_faulty(cell, captured, found[fault])


def _of_captured(
    cell: str, captured: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, bool]]:
    cpu, p99 = captured["cpu_ratio"], captured["p99_ratio"]
    yield f"{cell}: captured costs at most {CAPTURED_MAX} of the CPU: {cpu:.2f}", cpu <= CAPTURED_MAX
    yield f"{cell}: and of the p99: {p99:.2f}", p99 <= CAPTURED_MAX
    contrib = found["contrib"]["cpu_ratio"]
    yield f"{cell}: less CPU than contrib instrumentation: {cpu:.2f} < {contrib:.2f}", cpu < contrib
    plain = found["not mirrored"]["cpu_ratio"]
    yield f"{cell}: not mirrored at most {NOT_MIRRORED_MAX}: {plain:.2f}", plain <= NOT_MIRRORED_MAX


def _of_faulty(cell: str, captured: Mapping[str, Any], faulty: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    name = f"{cell}: a {faulty['variant']} collector"
    for figure in ("cpu", "p50", "p99"):
        ratio = faulty[f"{figure}_ratio"]
        yield f"{name} costs at most {FAULTY_MAX} of the {figure}: {ratio:.2f}", ratio <= FAULTY_MAX
    more = faulty["peak_mib"] - captured["peak_mib"]
    yield f"{name} costs at most {2 * QUEUE_MIB} MiB more: {more:.0f}", more <= 2 * QUEUE_MIB
