#!/bin/sh
# Builds a Go component that live tests start, once, into the user's cache (minutes cold, a second after that): component.sh NAME VERSION.
# Needs Go and the pinned module in ../shared/components/NAME, which a user's clone does not have: the tests are skipped there.
set -eu
cd "$(dirname "$0")/.."
name=$1
out=${XDG_CACHE_HOME:-$HOME/.cache}/grpc-mirror/$name-$2
[ -x "$out" ] && exit 0
[ -d "../shared/components/$name" ] || { echo "$name: ../shared/components/$name is not here; tests that need it are skipped" >&2; exit 1; }
command -v go >/dev/null 2>&1 || { echo "$name: Go is not installed; tests that need it are skipped" >&2; exit 1; }
mkdir -p "$(dirname "$out")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "../shared/components/$name"/* "$work/"
echo "$name: building (minutes, the first time)" >&2
(cd "$work" && sh ./build.sh "$work/$name")
mv "$work/$name" "$out"
