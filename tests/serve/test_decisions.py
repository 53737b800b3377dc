"""Decisions by the API: who may take them, what is refused, and where they are shown."""

from __future__ import annotations

import logging

import pytest

from tests.serve.using import FAILING, SUSPECT, client_of, filled
from tests.store.building import METHOD, RUN, A

READ, WRITE = "r" * 32, "w" * 32
TOKENS = {"MIRROR_AUTH_READ_TOKENS": READ, "MIRROR_AUTH_WRITE_TOKENS": WRITE}
ADDRESS = f"/api/v1/runs/{RUN}/decisions"
ACCEPT = {
    "what": "accepted", "method": METHOD, "pattern": A, "kind": "value", "owner": "ada",
    "reason": "<b>rounding</b> is meant", "expires": "2099-01-31",
}  # fmt: skip


@pytest.fixture
def store(tmp_path):
    with filled(f"sqlite:///{tmp_path}/mirror.db", FAILING) as opened:
        yield opened


def verdict(client, headers=None):
    return client.get(f"/api/v1/verdict?run={RUN}", headers=headers).json()


def test_accepting_by_the_api_turns_the_verdict_and_is_shown_everywhere(store, caplog):
    client = client_of(store)
    assert verdict(client)["verdict"] == "fail"
    with caplog.at_level(logging.WARNING, "mirror.audit"):
        answer = client.post(ADDRESS, json=ACCEPT)
    assert answer.status_code == 201
    assert f"audit: run {RUN}, epoch 1, {METHOD}: {A} (value): accepted by ada until 2099-01-31" in caplog.text
    after = verdict(client)
    assert after["verdict"] == "pass"
    assert any("does not count: accepted by ada until 2099-01-31" in spot for spot in after["blind_spots"])
    (path,) = [p for p in client.get(f"/api/v1/runs/{RUN}/paths").json()["paths"] if p["kind"] == "value"]
    assert (path["state"], path["decision"]["owner"]) == ("regressed", "ada")
    (kept,) = client.get(ADDRESS).json()["decisions"]
    assert {name: kept[name] for name in ACCEPT} == ACCEPT
    pages = (client.get(f"/runs/{RUN}").text, client.get(f"/runs/{RUN}/paths/{path['id']}").text)
    assert "accepted to 2099-01-31" in pages[0]
    for page in pages:
        assert "accepted by ada until 2099-01-31: &lt;b&gt;rounding&lt;/b&gt; is meant" in page


def test_rejecting_a_suspect_fails_the_run_and_withdrawing_takes_it_back(tmp_path):
    with filled(f"sqlite:///{tmp_path}/other.db", SUSPECT) as store:
        client = client_of(store)
        said = ACCEPT | {"what": "rejected", "expires": None, "reason": "a bug"}
        assert verdict(client)["missing"][0]["code"] == "suspect"
        assert client.post(ADDRESS, json=said).status_code == 201
        assert [r["code"] for r in verdict(client)["reasons"]] == ["rejected"]
        assert client.post(ADDRESS, json=said | {"what": "withdrawn"}).status_code == 201
        assert verdict(client)["missing"][0]["code"] == "suspect"
        again = client.post(ADDRESS, json=said | {"what": "withdrawn"})
        assert (again.status_code, "no decision on this path" in again.text) == (422, True)


@pytest.mark.parametrize(
    ("changed", "status", "told"),
    [
        ({"expires": None}, 422, "expires is missing"),
        ({"expires": "2023-11-13"}, 422, "has passed"),
        ({"expires": "soon"}, 422, "expires"),
        ({"owner": "  "}, 422, "owner is missing"),
        ({"reason": "x" * 1001}, 422, "reason"),
        ({"reason": "a\u0000b"}, 422, "control characters"),
        ({"what": "waived"}, 422, "accepted"),
        ({"kind": "missing"}, 404, f"It differs as: {METHOD} {A} (value)"),
        ({"pattern": "response.aa"}, 404, "Did you mean 'response.a'?"),
        ({"epoch": 99}, 404, "no epoch 99"),
        ({"until": "2099-01-31"}, 422, "until"),
    ],
)
def test_what_does_not_do_is_refused_and_nothing_kept(store, changed, status, told):
    client = client_of(store)
    answer = client.post(ADDRESS, json=ACCEPT | changed)
    assert answer.status_code == status
    assert told in answer.json()["error"]["message"]
    assert client.get(ADDRESS).json()["decisions"] == []


def test_only_a_write_token_decides(store):
    client = client_of(store, TOKENS)
    for headers, status in (
        ({}, 401),
        ({"authorization": f"Bearer {READ}"}, 403),
        ({"authorization": f"Bearer {WRITE}"}, 201),
    ):
        assert client.post(ADDRESS, json=ACCEPT, headers=headers).status_code == status
    assert client.get(ADDRESS, headers={"authorization": f"Bearer {WRITE}"}).status_code == 403


def test_where_only_reading_asks_for_a_token_nobody_writes(store):
    """Else a stranger could decide what he may not even see."""
    client = client_of(store, {"MIRROR_AUTH_READ_TOKENS": READ})
    for headers in ({}, {"authorization": f"Bearer {READ}"}):
        answer = client.post(ADDRESS, json=ACCEPT, headers=headers)
        assert (answer.status_code, "auth.write_tokens" in answer.text) == (403, True)
    assert verdict(client, {"authorization": f"Bearer {READ}"})["verdict"] == "fail"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_browser_sends_for_another_site_without_asking_is_refused(store, kind):
    client = client_of(store)
    answer = client.post(ADDRESS, content=__import__("json").dumps(ACCEPT), headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")
    assert "content-type: application/json" in answer.text
    crossing = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
    assert client.post(ADDRESS, json=ACCEPT, headers=crossing).status_code == 403
    assert client.get(ADDRESS).json()["decisions"] == []


def test_a_server_that_only_reads_says_so(store):
    assert client_of(store, writes=False).post(ADDRESS, json=ACCEPT).status_code == 405
