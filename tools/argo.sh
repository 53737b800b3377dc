#!/bin/sh
# Builds tools/argo, by which tests/examples measure the AnalysisTemplate as Argo Rollouts does, once, into the user's cache (two minutes).
# Needs Go; without it these tests are skipped.
set -eu
cd "$(dirname "$0")/argo"
out=${XDG_CACHE_HOME:-$HOME/.cache}/grpc-mirror/argo-$(cat go.mod main.go | cksum | cut -d' ' -f1)
[ -x "$out" ] && exit 0
command -v go >/dev/null 2>&1 || { echo "argo: Go is not installed; tests that need it are skipped" >&2; exit 1; }
mkdir -p "$(dirname "$out")"
go build -o "$out.part" .
mv "$out.part" "$out"
