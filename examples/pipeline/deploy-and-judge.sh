#!/bin/sh
# Deploy a candidate, wait for the verdict on it, and stop unless it is a pass.
#
# DEPLOY     command that deploys the build named by VERSION as the candidate, e.g. "helm upgrade shop-candidate ./chart --wait --set image.tag=$VERSION"
# PROMOTE    command for the build that passed, e.g. "helm upgrade shop ./chart --wait --set image.tag=$VERSION"
# WITHDRAW   command that takes a candidate away that did not, e.g. "helm rollback shop-candidate"
# SERVICE    OTEL_SERVICE_NAME of the deployments; VERSION: service.version of the new build
# COLLECTOR  address of the collector; MIRROR_BEARER holds a read token, where it asks for one
# WAIT       how long the verdict may take (45m)
#
# Exit code: 0 promoted, 1 the candidate fails, 3 the time was over first, 2 something is wrong with what is asked.
set -eu
: "${DEPLOY:?}" "${PROMOTE:?}" "${SERVICE:?}" "${VERSION:?}" "${COLLECTOR:?}"

sh -c "$DEPLOY"

# By version, not by run alone: right after a deployment the run's newest verdict is still that of the build before.
code=0
mirror verdict --url "$COLLECTOR" --service "$SERVICE" --candidate "$VERSION" --wait "${WAIT:-45m}" --json >verdict.json || code=$?

case $code in
0) sh -c "$PROMOTE" ;;
*)
  jq -r '.verdict, (.reasons[] | "- " + .text)' verdict.json >&2 || cat verdict.json >&2
  sh -c "${WITHDRAW:-true}"
  exit "$code"
  ;;
esac
