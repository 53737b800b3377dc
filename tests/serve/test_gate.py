"""Who may see page, API and metrics: by token, by certificate, and not from another site's page."""

from __future__ import annotations

import base64

import pytest
from fastapi.testclient import TestClient

from mirror.collect.counters import Counters
from mirror.collect.guard import Guard
from mirror.collect.hosting import CLIENT_CERTIFICATE
from mirror.config import load
from mirror.serve.app import web_app
from mirror.serve.gate import Gate
from tests.collect.certificates import Authority

READ, WRITE, OTHER = "r" * 32, "w" * 32, "x" * 32
GUARDED = (
    "/",
    "/runs/checkout-rewrite",
    "/collector",
    "/api/v1/runs",
    "/api/openapi.json",
    "/metrics",
    "/static/mirror.css",
)
TOKENS = {"MIRROR_AUTH_READ_TOKENS": READ, "MIRROR_AUTH_WRITE_TOKENS": WRITE}


def gated(served, env=None, *, certificate=False):
    config = load(None, TOKENS if env is None else env)
    counters = Counters()
    app = web_app(served.reader, config, counters.snapshot, lambda: (), gate=Gate(Guard(config), counters))

    async def shown(scope, receive, send):
        scope["state"] = {CLIENT_CERTIFICATE: certificate}  # as the server says of the connection
        await app(scope, receive, send)

    return TestClient(shown, base_url="http://localhost"), counters


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def basic(token, user="anna"):
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()}


@pytest.mark.parametrize("address", GUARDED)
def test_everything_but_health_asks_for_a_token(served, address):
    client, counters = gated(served)
    answer = client.get(address)
    assert answer.status_code == 401
    assert answer.headers.get_list("www-authenticate") == [
        'Basic realm="mirror", charset="UTF-8"',
        'Bearer realm="mirror"',
    ]
    assert "A token is missing that may read" in answer.text
    assert counters.value("mirror_web_denied_total", reason="no_token") == 1
    assert client.get(address, headers=bearer(READ)).status_code == 200
    assert client.get(address, headers=basic(READ)).status_code == 200


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_health_is_open(served, address):
    assert gated(served)[0].get(address).status_code == 200


@pytest.mark.parametrize("near", ["/healthz/", "//healthz", "/healthz/../", "/HEALTHZ", "/readyz/x", "/nothing"])
def test_what_only_looks_like_health_is_not(served, near):
    assert gated(served)[0].get(near, follow_redirects=False).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        (bearer(OTHER), 401, "unknown_token"),
        (basic(OTHER), 401, "unknown_token"),
        ({"authorization": READ}, 401, "no_token"),
        (bearer(WRITE), 403, "wrong_scope"),
        (basic(WRITE), 403, "wrong_scope"),
    ],
)
def test_other_tokens_are_told_apart_and_shown_nowhere(served, headers, status, reason, caplog):
    client, counters = gated(served)
    for address in ("/", "/api/v1/runs"):
        answer = client.get(address, headers=headers)
        assert answer.status_code == status
        for token in (READ, WRITE, OTHER):
            assert token not in f"{answer.text} {answer.headers} {caplog.text}"
    assert counters.value("mirror_web_denied_total", reason=reason) == 2
    assert client.get("/api/v1/runs", headers=headers).json()["error"]["code"] in ("unauthorized", "forbidden")


def test_a_token_in_the_address_is_none(served):
    """It would stand in histories and logs."""
    client, _ = gated(served)
    for query in ("token", "access_token", "authorization"):
        assert client.get("/", params={query: READ}).status_code == 401


def test_answers_to_those_turned_away_have_the_headers_of_all(served):
    headers = gated(served)[0].get("/").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("env", [TOKENS, {}])
@pytest.mark.parametrize(
    ("fetched", "let_in"),
    [
        (("none", "navigate", "document"), True),
        (("same-origin", "no-cors", "style"), True),
        (("cross-site", "navigate", "document"), True),
        (("cross-site", "navigate", "iframe"), False),
        (("cross-site", "no-cors", "script"), False),
        (("cross-site", "cors", "empty"), False),
        (("same-site", "no-cors", "image"), False),
    ],
)
def test_other_sites_may_link_and_nothing_else(served, env, fetched, let_in):
    """A browser adds the password by itself, whoever made it ask; on loopback there may be none at all."""
    client, counters = gated(served, env)
    headers = dict(zip(("sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"), fetched, strict=True))
    answer = client.get("/api/v1/runs", headers=headers | basic(READ))
    assert answer.status_code == (200 if let_in else 403)
    assert counters.value("mirror_web_denied_total", reason="cross_site") == (0 if let_in else 1)


def test_without_tokens_and_certificates_nobody_is_asked(served):
    client, _ = gated(served, {})
    assert client.get("/").status_code == 200


def test_where_a_certificate_is_asked_for_it_is_missed_before_the_token(served, tmp_path):
    authority = Authority(tmp_path)
    server = authority.issue("server")
    env = TOKENS | {
        "MIRROR_TLS_CERT_FILE": server.cert_file,
        "MIRROR_TLS_KEY_FILE": server.key_file,
        "MIRROR_TLS_WEB_CLIENT_CA_FILE": authority.file,
    }
    client, counters = gated(served, env)
    answer = client.get("/", headers=bearer(READ))
    assert (answer.status_code, "client certificate is missing" in answer.text) == (403, True)
    assert counters.value("mirror_web_denied_total", reason="no_certificate") == 1
    assert client.get("/readyz").status_code == 200
    client, _ = gated(served, env, certificate=True)
    assert client.get("/").status_code == 401
    assert client.get("/", headers=bearer(READ)).status_code == 200
