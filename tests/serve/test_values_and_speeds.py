"""The kind `values`, latency and size, as API and page show them."""

from __future__ import annotations

import random
import re
import uuid
from dataclasses import replace

import pytest

from mirror.collect.comparisons import comparison_of
from mirror.config import Config
from mirror.core.model import Difference, Kind, Role
from mirror.core.policy import Policy
from mirror.core.speed.votes import Metric, Speed, cell_of
from mirror.store import JudgeOptions, Reader, Store
from tests.serve import shopdata
from tests.serve.conftest import serve
from tests.serve.shopdata import store_url
from tests.store.building import METHOD, RUN, A, comparison, several


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> str:
    """A run with a noisy id that turned empty, in calls that took 1.4 times the secondary's time."""
    made = f"sqlite:///{tmp_path_factory.mktemp('store')}/mirror.db"
    speeds = (Speed(Metric.LATENCY, 9e6, 14e6, 10e6, cell_of(14, 10)), Speed(Metric.SIZE, 5, 5, 5, cell_of(5, 5)))
    labels = {("class", "empty"): 1, ("class", "uuid"): -1}
    with Store.open(made, judge=JudgeOptions(vote_by="call")) as store:
        changes = store.changes()
        for one in several(60, candidate=[A], secondary=[A]):
            changes.add(replace(one, speeds=speeds, values={A: labels}), comparison(one))
        store.commit(changes, 1_700_000_100.0)
    return made


@pytest.fixture
def served(url):
    reader = Reader.open(url)
    yield serve(reader, Config(runs=(RUN,)))
    reader.close()


def test_a_path_of_values_says_which_labels(served):
    paths = served.client.get(f"/api/v1/runs/{RUN}/paths").json()["paths"]
    (path,) = (one for one in paths if one["kind"] == "values")
    assert (path["pattern"], path["state"], path["both"], path["raw_only"]) == (A, "regressed", 60, 0)
    assert [(one["label"], one["text"], one["candidate"], one["secondary"]) for one in path["labels"]] == [
        ("empty", "is empty", 60, 0),
        ("uuid", "is uuid", 0, 60),
    ]
    page = served.client.get(f"/runs/{RUN}/paths/{path['id']}").text
    assert "What is unlike in the values" in page
    assert "is empty" in page
    assert "Excess rate" not in page
    assert "/comparisons/id-" in page  # what differs there in any way is an example


def test_examples_of_values_are_first_those_that_show_what_is_unlike(tmp_path):
    """A random id differs in every call, and is empty in the candidate's every fifth."""
    rng, path = random.Random(5), shopdata.path("response", "request_id")
    with Store.open(store_url(tmp_path), judge=JudgeOptions(vote_by="call")) as store:
        changes = store.changes()
        changes.schema(shopdata.FINGERPRINT, shopdata.SCHEMA)
        for number in range(60):
            asked = shopdata.request(1, rng)
            orders = {role: shopdata.order(number, rng) for role in shopdata.ROLES}
            for role in shopdata.ROLES:
                orders[role].request_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
            if number % 5 == 2:
                orders[Role.CANDIDATE].request_id = ""
            ids = {role: orders[role].request_id for role in shopdata.ROLES}
            outcomes = {
                role: shopdata.outcome(Difference(path, Kind.VALUE, ids[Role.PRIMARY], ids[role]))
                for role in (Role.CANDIDATE, Role.SECONDARY)
            }
            one = replace(asked, orders=orders, outcomes=outcomes)
            votes = {("class", "empty"): 1, ("class", "uuid"): -1} if number % 5 == 2 else {}
            made = shopdata.judged(number, shopdata.NOW_S - 400, run=RUN, version="2.0", asked=one)
            made = replace(made, values={"response.request_id": votes} if votes else {})
            changes.add(made, comparison_of(made).SerializeToString())
        store.commit(changes, shopdata.NOW_S - 300)
        served = serve(store.reader(), Config(runs=(RUN,)))
        (values,) = [
            one for one in served.client.get(f"/api/v1/runs/{RUN}/paths").json()["paths"] if one["kind"] == "values"
        ]
        page = served.client.get(f"/runs/{RUN}/paths/{values['id']}").text
    shown = [int(found, 16) % 5 == 2 for found in re.findall(r">m-([0-9a-f]{8})<", page)]
    assert shown == [True] * 4 + [False] * 6  # of the 20 that are kept of a minute
    assert "first those that show what is unlike" in page


def test_speeds_have_bounds_quantiles_and_instances(served):
    found = served.client.get(f"/api/v1/runs/{RUN}/speeds").json()
    latency, size = found["speeds"]
    assert (latency["method"], latency["metric"], latency["median_ratio"], latency["slower"]) == (
        METHOD,
        "latency",
        1.3,
        True,
    )
    assert latency["quantiles"]["candidate"][0] == pytest.approx(14e6, rel=0.02)
    assert (size["median_ratio"], size["slower"], size["evidence"]) == (0.0, False, "no sign that it is larger")
    assert {(one["role"], one["instance"], one["calls"]) for one in found["instances"]} == {
        (role, f"{role}-1", 60) for role in ("primary", "candidate", "secondary")
    }
    assert served.client.get(f"/api/v1/runs/{RUN}/speeds", params={"method": "no/Such"}).json()["speeds"] == []


def test_the_page_shows_latency_beside_the_verdict_and_says_what_it_does(served, url):
    page = served.client.get(f"/runs/{RUN}").text
    assert "in most minutes, most calls took over 1.3 times the secondary&#39;s time" in page
    assert "reported, never failing the run" in page
    reader = Reader.open(url)
    strict = serve(reader, Config(runs=(RUN,), policy=Policy(on_latency="fail", vote_by="call")))
    assert "latency over 1.2 times fails the run" in strict.client.get(f"/runs/{RUN}").text
    verdict = strict.client.get("/api/v1/verdict", params={"run": RUN}).json()
    assert "slower" in {reason["code"] for reason in verdict["reasons"]}
    reader.close()
