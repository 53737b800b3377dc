#!/bin/sh
# Installs a program that tests run and that is a Go module's, once, into the user's cache (a minute). Needs Go.
# Usage: go_program.sh NAME VERSION PACKAGE
set -eu
name=$1 version=$2 package=$3
out=${XDG_CACHE_HOME:-$HOME/.cache}/grpc-mirror/$name-$version
[ -x "$out/${package##*/}" ] && exit 0
command -v go >/dev/null 2>&1 || { echo "$name: Go is not installed; tests that need it are skipped" >&2; exit 1; }
mkdir -p "$out"
GOBIN=$out go install "$package@$version"
