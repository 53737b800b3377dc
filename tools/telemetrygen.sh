#!/bin/sh
# Installs telemetrygen, OpenTelemetry's generator of spans, which tests/live/test_telemetrygen.py runs, once, into the user's cache
# (a minute). Needs Go.
set -eu
version=v0.161.0
out=${XDG_CACHE_HOME:-$HOME/.cache}/grpc-mirror/telemetrygen-$version
[ -x "$out/telemetrygen" ] && exit 0
command -v go >/dev/null 2>&1 || { echo "telemetrygen: Go is not installed; tests that need it are skipped" >&2; exit 1; }
mkdir -p "$out"
GOBIN=$out go install "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen@$version"
