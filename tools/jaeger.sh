#!/bin/sh
# Builds the Jaeger that tests/live/test_jaeger.py starts, once, into the user's cache (4 minutes cold, a second after that).
# Needs Go and the pinned module in ../shared/components/jaeger, which a user's clone does not have: the test is skipped there.
set -eu
cd "$(dirname "$0")/.."
out=${XDG_CACHE_HOME:-$HOME/.cache}/grpc-mirror/jaeger-2.13.0
[ -x "$out" ] && exit 0
[ -d ../shared/components/jaeger ] || { echo "jaeger: ../shared/components/jaeger is not here; tests that need Jaeger are skipped" >&2; exit 1; }
command -v go >/dev/null 2>&1 || { echo "jaeger: Go is not installed; tests that need Jaeger are skipped" >&2; exit 1; }
mkdir -p "$(dirname "$out")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp ../shared/components/jaeger/* "$work/"
echo "jaeger: building (minutes, the first time)" >&2
(cd "$work" && sh ./build.sh "$work/jaeger")
mv "$work/jaeger" "$out"
