#!/bin/sh
# Builds the OpenTelemetry Collector that tests/live/test_otel_collector.py starts, once, into the user's cache (2 minutes cold).
# Needs Go and the pinned module in ../shared/components/otelcol, which a user's clone does not have: the test is skipped there.
set -eu
cd "$(dirname "$0")/.."
out=${XDG_CACHE_HOME:-$HOME/.cache}/grpc-mirror/otelcol-0.160.0
[ -x "$out" ] && exit 0
[ -d ../shared/components/otelcol ] || { echo "otelcol: ../shared/components/otelcol is not here; tests that need it are skipped" >&2; exit 1; }
command -v go >/dev/null 2>&1 || { echo "otelcol: Go is not installed; tests that need it are skipped" >&2; exit 1; }
mkdir -p "$(dirname "$out")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp ../shared/components/otelcol/* "$work/"
echo "otelcol: building (minutes, the first time)" >&2
(cd "$work" && sh ./build.sh "$work/otelcol")
mv "$work/otelcol" "$out"
