#!/bin/sh
# Fetches the Kafka broker that tests start, once, into the user's cache (43 MB, some seconds): needs Java 17+ and Maven.
set -eu
cd "$(dirname "$0")/kafka"
version=4.4.0  # as in pom.xml
out=${XDG_CACHE_HOME:-$HOME/.cache}/grpc-mirror/kafka-$version
[ -d "$out" ] && exit 0
for tool in java mvn; do
  command -v $tool >/dev/null 2>&1 || { echo "kafka: $tool is not installed; tests that need it are skipped" >&2; exit 1; }
done
mkdir -p "$(dirname "$out")"
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT
mvn -q -B -f pom.xml dependency:copy-dependencies -DoutputDirectory="$work" -DincludeScope=runtime
chmod 755 "$work"
mv "$work" "$out"
