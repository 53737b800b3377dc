"""The gates that Flagger asks: 200 is a yes and means the verdict; everything else is a no."""

from __future__ import annotations

import base64

import pytest

from tests.serve.using import FAILING, PASSING, UNDECIDED, client_of, filled
from tests.store.building import RUN

READ, WRITE = "r" * 32, "w" * 32
TOKENS = {"MIRROR_AUTH_READ_TOKENS": READ, "MIRROR_AUTH_WRITE_TOKENS": WRITE}


@pytest.fixture(params=["pass", "fail", "inconclusive", "nothing seen"])
def state(request, tmp_path):
    groups = {"pass": PASSING, "fail": FAILING, "inconclusive": UNDECIDED}.get(request.param, [])
    with filled(f"sqlite:///{tmp_path}/mirror.db", groups) as store:
        yield request.param, client_of(store)


def flagger(**metadata):
    """What Flagger sends to a webhook."""
    return {"name": "shop", "namespace": "prod", "phase": "WaitingPromotion", "checksum": "7f", "metadata": metadata}


def test_promote_says_yes_only_on_pass(state):
    verdict, client = state
    answer = client.post("/api/v1/gates/promote", json=flagger(service="shop", candidate="2.0"))
    assert answer.status_code == (200 if verdict == "pass" else 409)
    told = answer.json()
    assert (told["gate"], told["open"]) == ("promote", verdict == "pass")
    assert told["verdict"]["verdict"] == (verdict if verdict != "nothing seen" else "inconclusive")
    assert answer.status_code == 200 or answer.status_code > 202  # what Flagger takes for a no


def test_rollback_says_yes_only_on_fail(state):
    verdict, client = state
    answer = client.post("/api/v1/gates/rollback", json=flagger(service="shop", candidate="2.0"))
    assert answer.status_code == (200 if verdict == "fail" else 409)


@pytest.mark.parametrize("gate", ["promote", "rollback"])
def test_the_query_says_which_verdict_is_meant_where_it_is_given(state, gate):
    verdict, client = state
    for body in (None, flagger(run="planned")):
        answer = client.post(f"/api/v1/gates/{gate}?run={RUN}", json=body)
        opens = verdict == {"promote": "pass", "rollback": "fail"}[gate]
        assert answer.status_code == (200 if opens else 409)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (flagger(), 422, "invalid_parameter"),
        (flagger(service="shop"), 422, "invalid_parameter"),
        (flagger(run="rewrit"), 404, "unknown_run"),
        ({"metadata": "rewrite"}, 422, "invalid_parameter"),
        (None, 422, "invalid_parameter"),
    ],
)
def test_whoever_does_not_say_what_is_meant_gets_no_yes(tmp_path, body, status, code):
    with filled(f"sqlite:///{tmp_path}/mirror.db", PASSING) as store:
        for gate in ("promote", "rollback"):
            answer = client_of(store).post(f"/api/v1/gates/{gate}", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_version_not_yet_seen_opens_neither_though_the_one_before_passed(tmp_path):
    with filled(f"sqlite:///{tmp_path}/mirror.db", PASSING) as store:
        client = client_of(store)
        for gate in ("promote", "rollback"):
            answer = client.post(f"/api/v1/gates/{gate}", json=flagger(service="shop", candidate="2.1"))
            assert (answer.status_code, answer.json()["verdict"]["verdict"]) == (409, "inconclusive")


def test_gates_are_read_and_a_token_in_the_address_will_do(tmp_path):
    """Flagger sends no headers of ours, but Go turns user and password of an address into HTTP Basic."""
    with filled(f"sqlite:///{tmp_path}/mirror.db", PASSING) as store:
        client, asked = client_of(store, TOKENS), f"/api/v1/gates/promote?run={RUN}"
        basic = "Basic " + base64.b64encode(f"flagger:{READ}".encode()).decode()
        assert client.post(asked).status_code == 401
        assert client.post(asked, headers={"authorization": f"Bearer {WRITE}"}).status_code == 403
        assert client.post(asked, headers={"authorization": f"Bearer {READ}"}).status_code == 200
        assert client.post(asked, headers={"authorization": basic}).status_code == 200


def test_a_get_is_no_gate(tmp_path):
    with filled(f"sqlite:///{tmp_path}/mirror.db", PASSING) as store:
        assert client_of(store).get("/api/v1/gates/promote").status_code == 405
