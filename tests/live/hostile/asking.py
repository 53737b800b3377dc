"""Hostile questions: to API and page, and to the Lookup service; not a test."""

from __future__ import annotations

from grpc_mirror.v1 import lookup_pb2

from tests.live.hostile.target import Case, call, get

LOOKUP = "/mirror.v1.Recordings/Lookup"
NOWHERE = "There is no such page"
HUGE = "9" * 400

WRONG_PARAMETERS = {
    "limit of 0": "/api/v1/comparisons?run=checkout&limit=0",
    "limit below 0": "/api/v1/comparisons?run=checkout&limit=-1",
    "limit of 501": "/api/v1/comparisons?run=checkout&limit=501",
    "limit beyond all numbers": f"/api/v1/comparisons?run=checkout&limit={HUGE}",
    "limit with an exponent": "/api/v1/comparisons?run=checkout&limit=1e9",
    "limit that is empty": "/api/v1/comparisons?run=checkout&limit=",
    "limit in hex": "/api/v1/comparisons?run=checkout&limit=0x10",
    "epoch 0": "/api/v1/runs/checkout?epoch=0",
    "epoch below 0": "/api/v1/runs/checkout?epoch=-5",
    "epoch that is a word": "/api/v1/runs/checkout?epoch=newest",
    "epoch with SQL": "/api/v1/runs/checkout?epoch=1%20OR%201=1",
    "before that is a word": "/api/v1/comparisons?run=checkout&before=now",
    "before that is no number": "/api/v1/comparisons?run=checkout&before=nan",
    "before that has no end": "/api/v1/comparisons?run=checkout&before=-inf",
    "an unknown kind": "/api/v1/comparisons?run=checkout&kind=odd",
    "an unknown verdict": "/api/v1/comparisons?run=checkout&verdict=guilty",
    "an unknown state": "/api/v1/runs/checkout/paths?state=__class__",
    "no run": "/api/v1/comparisons",
    "no run and no service": "/api/v1/verdict",
    "before that has no end, of a page": "/runs/checkout/comparisons?epoch=1&before=inf",
    "a path that is a word": "/runs/checkout/paths/first",
    "a page without its epoch": "/runs/checkout/comparisons",
}
UNKNOWN = {
    "run": "/api/v1/runs/nobody",
    "run with a line break": "/api/v1/runs/a%0d%0aset-cookie:x",
    "run with a zero byte": "/api/v1/runs/%00",
    "run in odd letters": "/api/v1/runs/%F0%9F%98%80%E2%80%AE",
    "run that is no UTF-8": "/api/v1/runs/%ff%fe",
    "run with SQL": "/api/v1/runs/'%3B%20DROP%20TABLE%20epochs%3B--",
    "run with a template": "/runs/%7B%7B7*7%7D%7D",
    "run with a script": "/runs/%3Cscript%3Ealert(1)",
    "run of 50,000 letters": f"/api/v1/runs/{'r' * 50_000}",
    "epoch": "/api/v1/runs/checkout?epoch=999999",
    "epoch of 63 bits": f"/api/v1/runs/checkout?epoch={2**63 - 1}",
    "epoch of 64 bits": f"/api/v1/runs/checkout?epoch={2**64}",
    "epoch of 400 digits": f"/api/v1/runs/checkout?epoch={HUGE}",
    "path of 64 bits": f"/runs/checkout/paths/{2**64}",
    "comparison": "/api/v1/comparisons/nothing",
    "comparison with a zero byte": "/api/v1/comparisons/a%00b",
    "comparison of 50,000 letters": f"/comparisons/{'c' * 50_000}",
    "comparison that is a wildcard": "/api/v1/comparisons/%25",
}
NO_SUCH_PAGE = {
    "up from static": "/static/../../../../etc/passwd",
    "up from static, escaped": "/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "up from static, escaped twice": "/static/%252e%252e/%252e%252e/etc/passwd",
    "up from static, with slashes escaped": "/static/..%2f..%2f..%2fapp.py",
    "up from static, with backslashes": "/static/..%5c..%5capp.py",
    "an absolute path in static": "/static//etc/passwd",
    "a zero byte in static": "/static/mirror.css%00.html",
    "a folder": "/static/",
    "a name of 300 letters in static": f"/static/{'a' * 300}",
    "up from the API": "/api/v1/../../metrics/x",
    "two slashes": "//evil.example/api/v1/runs",
    "a thousand slashes": "/" * 1000,
    "an admin page": "/admin",
    "Python's documentation": "/docs",
    "a half escape": "/%2",
}

LOOKUPS = {
    "no message": (b"\xff\xff", "INVALID_ARGUMENT", "no mirror.v1.LookupRequest"),
    "cut off": (b"\x0a\x05ab", "INVALID_ARGUMENT", "no mirror.v1.LookupRequest"),
    "no UTF-8": (b"\x0a\x02\xff\xfe", "INVALID_ARGUMENT", "no mirror.v1.LookupRequest"),
    "groups": (b"\x0b" * 10_000, "INVALID_ARGUMENT", "no mirror.v1.LookupRequest"),
}


def lookup(**fields: object) -> bytes:
    return lookup_pb2.LookupRequest(**fields).SerializeToString()  # type: ignore[arg-type]


NOT_FOUND = repr(lookup_pb2.LookupResponse(result=lookup_pb2.LOOKUP_RESULT_NOT_FOUND).SerializeToString())
ASKED = {
    "nothing": lookup(),
    "a run that nobody allows, for ever": lookup(run="other", wait_ms=2**32 - 1),
    "an id of 900,000 letters": lookup(run="checkout", mirror_id="i" * 900_000),
    "a hash of 900,000 bytes": lookup(run="checkout", request_hash=bytes(900_000)),
    "a method with zero bytes": lookup(run="checkout", mirror_id="\x00", method="\x00/\x00"),
    "the last ordinal": lookup(run="checkout", mirror_id="m1", ordinal=2**32 - 1),
}

CASES = [
    *(Case(f"web: {name}", get(path), "422", "invalid_parameter|/api/docs") for name, path in WRONG_PARAMETERS.items()),
    *(Case(f"web: unknown {name}", get(path), "404", "unknown_|not kept|no run|No |has no") for name, path in UNKNOWN.items()),
    *(Case(f"web: {name}", get(path), "404", NOWHERE) for name, path in NO_SUCH_PAGE.items()),
    *(
        Case(f"web: {verb} of {path}", get(path, verb=verb), "405", "Method Not Allowed|method_not_allowed")
        for verb in ("POST", "PUT", "DELETE", "OPTIONS", "BREW")
        for path in ("/api/v1/runs", "/")
    ),
    Case("web: asked by another name", get("/api/v1/runs", host="evil.example"), "421", "on loopback only"),
    Case("web: asked by a name that looks like ours", get("/", host="localhost.evil.example"), "421", "loopback"),
    Case("web: asked by a name that is none", get("/", host="[::1"), "421|400", "loopback|Invalid"),
    Case("web: asked by another site", get("/api/v1/runs", sec_fetch_site="cross-site"), "403", "Another site"),
    Case("web: framed by another site", get("/", sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="iframe"), "403", "Another site"),
    Case("web: parts of a file beyond its end", get("/static/mirror.css", range="bytes=999999999-"), "416"),
    Case("web: parts of a file, turned round", get("/static/mirror.css", range="bytes=5-2"), "400|416"),
    Case("web: a thousand parts of a file", get("/static/mirror.css", range="bytes=" + ",".join(["0-9"] * 1000)), "200|206|400|416"),
    Case("web: a query of 40,000 letters", get(f"/api/v1/runs?{'q' * 40_000}"), "200", '"runs"'),
    Case("web: two thousand parameters", get("/api/v1/comparisons?run=checkout&" + "&".join(["limit=0"] * 2000)), "422", "limit"),
    Case("otlp_http: traces elsewhere", get("/v1/traces/../metrics", "otlp_http", "POST"), "404", "/v1/traces"),
    Case("otlp_http: traces by GET", get("/v1/traces", "otlp_http"), "405", "POST /v1/traces"),
    Case("otlp_http: the API", get("/api/v1/runs", "otlp_http"), "404", "/v1/traces"),
    *(Case(f"lookup: {name}", call(body, LOOKUP), code, words) for name, (body, code, words) in LOOKUPS.items()),
    *(Case(f"lookup of {name}", call(body, LOOKUP), "OK", f"^{NOT_FOUND[:-1]}".replace("\\", r"\\")) for name, body in ASKED.items()),
    *(
        Case(f"grpc: method {method!r}", call(b"", method), "UNIMPLEMENTED", "(?i)method")
        for method in ("/mirror.v1.Recordings/Delete", "/grpc.health.v1.Health/Check", "/a/../b", "//", "/x", "/" + "m" * 5000)
    ),
]  # fmt: skip
