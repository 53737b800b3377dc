"""Measures one kind, in a process of its own, and says whether the promise was kept."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from mirror.core.compare import Comparer, compare
from mirror.core.path import Field
from mirror.core.rules import MethodRules
from mirror.core.streams import Body, compare_stream

from .kinds import KINDS, Kind

PROMISE_S: Final = 2.0
PROMISE_MB: Final = 100
SCRIPT: Final = Path(__file__).resolve().parent.parent / "hostile.py"


def measure(name: str, left: Path, right: Path) -> dict[str, Any]:
    """In this process: what comes of one kind, in what time, and by how much the peak of memory rose."""
    kind = KINDS[name]
    rules = MethodRules(kind.rules)
    one, other = (kind.message_type.FromString(file.read_bytes()) for file in (left, right))
    compare(kind.message_type(), kind.message_type(), rules, options=kind.options)  # plans are made once
    before = _peak_mb()
    bodies = [_bodies(kind, message, side) for side, message in enumerate((one, other))] if kind.stream else None
    before = _peak_mb()
    start, cpu = time.perf_counter(), time.process_time()
    if bodies is None:
        result = compare(one, other, rules, options=kind.options)
    else:
        path = (Field("responses"),)
        result = Comparer(rules, kind.options).run(lambda walk: compare_stream(walk, *bodies, path, rules.walk(path)))
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        "kind": name,
        "seconds": round(cpu, 3),
        "wall_seconds": round(took, 3),
        "memory_mb": round(_peak_mb() - before, 1),
        "differences": result.count,
        "kept": len(result.differences),
        "kept_max": 2 * kind.options.differences_max,
        "complete": result.complete and not any("too complex" in d.note for d in result.differences),
        "notes": sorted({d.note for d in result.differences if "too complex" in d.note})[:3],
    }


def _bodies(kind: Kind, message: Any, side: int) -> list[Body]:
    return [
        Body(kid, private={f"secrets[{n}].name": b"%016d%016d" % (n, at * 2 + side) for n in range(kind.private)})
        for at, kid in enumerate(message.kids)
    ]


def _peak_mb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1_000_000


def run(name: str, timeout_s: float = 120) -> dict[str, Any]:
    """Measure one kind in a process of its own. Of one that fails or passes `timeout_s`: kind and `failed`, its last words."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / side for side in ("left", "right")]
        for file, data in zip(files, KINDS[name].build(), strict=True):
            file.write_bytes(data)
        command = [sys.executable, str(SCRIPT), "--measure", name, *map(str, files)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, check=False, timeout=timeout_s, text=True
            )
        except subprocess.TimeoutExpired:
            return {"kind": name, "failed": f"not done after {timeout_s:.0f} s"}
    if done.returncode:
        return {"kind": name, "failed": (done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def line_of(figures: dict[str, Any]) -> str:
    """A row of the table."""
    if "failed" in figures:
        return f"{figures['kind']:30} FAILED: {figures['failed']}"
    how = "complete" if figures["complete"] else "; ".join(figures["notes"])
    mark = "" if kept(figures) else "  BROKEN"
    times = f"{figures['seconds']:8.2f} {figures['wall_seconds']:8.2f}"
    numbers = f"{times} {figures['memory_mb']:7.1f} {figures['differences']:9}"
    return f"{figures['kind']:30} {numbers}  {how:.90}{mark}"


def kept(figures: dict[str, Any]) -> bool:
    """Whether the promise was."""
    return "failed" not in figures and figures["seconds"] <= PROMISE_S and figures["memory_mb"] <= PROMISE_MB
