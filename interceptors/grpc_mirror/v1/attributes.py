"""The names of the span attributes and headers that both distributions agree on.

Nothing but strings: services and the collector import them, neither defines its own.
"""

from typing import Final

# Span attributes of a captured call, beside the RPC conventions.
ID: Final = "mirror.id"
RUN: Final = "mirror.run"
ROLE: Final = "mirror.role"
EXPECT: Final = "mirror.expect"  # comma-separated roles: "candidate,secondary"
ATTEMPT: Final = "mirror.attempt"  # int; 0 or absent: unknown
CAPTURE: Final = "mirror.capture"  # bytes: one mirror.v1.Capture
# Beside those, of a call that the service made while it served a mirrored one.
OUTBOUND: Final = "mirror.outbound"  # whom it called: pay.v1.Pay/Charge, or the name given to outbound(...)
OUTBOUND_REQUEST_HASH: Final = "mirror.outbound.request_hash"  # hexadecimal; as in mirror.v1.Outbound
OUTBOUND_ORDINAL: Final = "mirror.outbound.ordinal"  # int, from 0: of equal requests to the same method
OUTBOUND_POLICY: Final = "mirror.outbound.policy"  # sent, blocked, stubbed
OUTBOUND_SERVED: Final = "mirror.outbound.served"  # the mirrored call's own method
# Span attributes of a process's own reports.
SCHEMA: Final = "mirror.schema"  # bytes: one mirror.v1.Schema
REPORT: Final = "mirror.report"  # bytes: one mirror.v1.SourceReport
# All whose values are payload, or tell it to whoever guesses, and never leave the collector.
PAYLOAD_ATTRIBUTES: Final = frozenset({CAPTURE, SCHEMA, REPORT, OUTBOUND_REQUEST_HASH})

# RPC conventions (OpenTelemetry semantic conventions 1.45).
RPC_SYSTEM: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"  # fully qualified: shop.v1.Shop/GetProduct
RPC_STATUS: Final = "rpc.status_code"  # the status's name: OK, NOT_FOUND, ...
SERVER_ADDRESS: Final = "server.address"

# Resource attributes.
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE: Final = "service.instance.id"

# Headers that the Envoy route stamps.
HEADER_ID: Final = "x-mirror-id"
HEADER_RUN: Final = "x-mirror-run"
HEADER_ROLE: Final = "x-mirror-role"
HEADER_EXPECT: Final = "x-mirror-expect"
HEADER_ATTEMPT: Final = "x-envoy-attempt-count"
# What a shadow stamps on the calls that it makes.
HEADER_SHADOW: Final = "x-mirror-shadow"

PRIMARY: Final = "primary"
CANDIDATE: Final = "candidate"
SECONDARY: Final = "secondary"
ROLES: Final = (PRIMARY, CANDIDATE, SECONDARY)

# Spans of ours and their instrumentation scope.
SCOPE: Final = "grpc_mirror"
SPAN_SCHEMA: Final = "mirror.schema"
SPAN_REPORT: Final = "mirror.report"
SPAN_COMPARE: Final = "mirror.compare"
