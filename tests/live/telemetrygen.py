"""OpenTelemetry's generator of spans; not a test. `make telemetrygen` installs it (Go)."""

from __future__ import annotations

from tests.conftest import require
from tests.live.otelcol import BUILT

PROGRAM = BUILT / "telemetrygen-v0.161.0" / "telemetrygen"


def command(address: str, *more: str, traces: int, spans: int, http: bool = False) -> list[str]:
    """To send each span in a request of its own; its own batching loses some where nothing slows it down. `spans` of a trace: 2 or more.

    Skips the test where it is not installed.
    """
    require("telemetrygen", "not installed; `make telemetrygen` does it where Go is", present=PROGRAM.exists())
    count = ["--workers", "1", "--traces", str(traces), "--child-spans", str(spans - 1)]
    to = ["--otlp-endpoint", address, "--otlp-insecure", *(["--otlp-http"] if http else [])]
    return [str(PROGRAM), "traces", *to, "--rate", "0", "--batch=false", *count, *more]


def carrying(attributes: dict[str, str]) -> list[str]:
    """The arguments that put these on each span."""
    return [part for key, text in attributes.items() for part in ("--telemetry-attributes", f'{key}="{text}"')]
