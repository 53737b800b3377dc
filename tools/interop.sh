#!/bin/sh
# Installs grpc-go's interop client, which tests/live/test_interop_client.py runs, once, into the user's cache (half a minute).
# Needs Go; the messages that it speaks are in ../shared/components/interop, which a user's clone does not have.
set -eu
version=v1.85.0
out=${XDG_CACHE_HOME:-$HOME/.cache}/grpc-mirror/interop-$version
[ -x "$out/client" ] && exit 0
command -v go >/dev/null 2>&1 || { echo "interop: Go is not installed; tests that need the interop client are skipped" >&2; exit 1; }
mkdir -p "$out"
GOBIN=$out go install "google.golang.org/grpc/interop/client@$version"
