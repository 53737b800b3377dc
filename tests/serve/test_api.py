"""/api/v1 over a filled store: what a pipeline reads, and what it is told when it asks wrongly."""

import pytest

from mirror.core.model import Kind
from mirror.core.noise import State
from mirror.serve import epochs
from tests.serve.shopdata import METHODS

RUN = "checkout-rewrite"


def get(served, path, status=200, **query):
    answer = served.client.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_runs_tell_their_verdict_and_the_newest_epoch_of_each_service(served):
    (run,) = get(served, "runs")["runs"]
    assert (run["name"], run["verdict"]) == (RUN, "fail")
    assert [epoch["candidate_version"] for epoch in run["epochs"]] == ["2.0.0-rc2"]
    assert run["epochs"][0]["counts"]["pairs"] == 6_000


def test_a_run_lists_methods_and_all_its_epochs(served):
    detail = get(served, f"runs/{RUN}")
    assert {one["method"] for one in detail["methods"]} == set(METHODS)
    assert sum(one["counts"]["pairs"] for one in detail["methods"]) == detail["epoch"]["counts"]["pairs"]
    older = detail["epochs"][1]
    assert get(served, f"runs/{RUN}", epoch=older["id"])["epoch"]["candidate_version"] == "2.0.0-rc1"


def test_an_allowed_run_without_pairs_is_empty_and_not_an_error(served):
    assert get(served, "runs/java-21")["epoch"] is None
    assert get(served, "runs/java-21/paths")["paths"] == []
    assert get(served, "comparisons", run="java-21")["comparisons"] == []
    verdict = get(served, "verdict", run="java-21")
    assert (verdict["verdict"], verdict["missing"][0]["code"]) == ("inconclusive", "no_pairs")


def test_paths_put_the_worst_first_and_explain_themselves(served):
    paths = get(served, f"runs/{RUN}/paths")["paths"]
    assert paths[0]["state"] == "regressed"
    by_name = {(p["method"], p["pattern"], p["kind"]): p for p in paths}
    label = by_name[METHODS[0], "response.labels[*]", "missing"]
    assert (label["raw_only"], label["noise_only"], label["explained"]) == (label["pairs"], 0, False)
    assert label["excess_low"] < label["excess"] < label["excess_high"]
    noise = by_name[METHODS[0], "response.request_id", "value"]
    assert (noise["state"], noise["explained"], noise["blind"]) == ("noisy", True, True)


def test_paths_are_filtered_by_method_and_state(served):
    found = get(served, f"runs/{RUN}/paths", method=METHODS[2], state="regressed")["paths"]
    assert {(p["method"], p["state"]) for p in found} == {(METHODS[2], "regressed")}
    assert "status.code" in {p["pattern"] for p in found}


def test_the_verdict_names_every_reason_and_what_it_could_not_see(served):
    verdict = get(served, "verdict", run=RUN)
    assert verdict["verdict"] == "fail"
    assert any("response.labels[*]" in reason["text"] for reason in verdict["reasons"])
    assert verdict["blind_spots"]
    assert verdict["page"].startswith(f"/runs/{RUN}?epoch=")
    assert verdict["services"][0]["service"] == "shop"


def test_the_verdict_of_a_version_is_found_by_service_and_version(served):
    assert get(served, "verdict", service="shop", candidate="2.0.0-rc2")["verdict"] == "fail"
    unseen = get(served, "verdict", service="shop", candidate="9.9")
    assert (unseen["verdict"], unseen["epoch"]) == ("inconclusive", None)


def test_comparisons_are_paged_without_gaps(served):
    first = get(served, "comparisons", run=RUN, pattern="response.items[*].price", limit=10)
    second = get(served, "comparisons", run=RUN, pattern="response.items[*].price", limit=20)
    rest = get(served, "comparisons", run=RUN, pattern="response.items[*].price", limit=10, before=first["next_before"])
    ids = [c["id"] for c in first["comparisons"] + rest["comparisons"]]
    assert ids == [c["id"] for c in second["comparisons"]]
    assert all({"pattern": "response.items[*].price", "kind": "value"} in c["differs"] for c in first["comparisons"])


def test_a_comparison_has_all_sides_as_json_with_noise_marked(served):
    listed = get(served, "comparisons", run=RUN, method=METHODS[0], pattern="response.labels[*]", limit=1)
    one = get(served, f"comparisons/{listed['comparisons'][0]['id']}")
    primary, candidate, secondary = one["sides"]
    assert [side["role"] for side in one["sides"]] == ["primary", "candidate", "secondary"]
    response = next(m["json"] for m in primary["call"]["messages"] if m["direction"] == "response")
    assert response["labels"] == {"channel": "web", "warehouse": "lyon"}
    assert response["status"] == "STATUS_PAID"
    marked = {d["path"]: d["noise"] for d in candidate["differences"]}
    assert marked == marked | {'response.labels["warehouse"]': False, "response.request_id": True}
    assert primary["call"]["trailing_metadata"] == {"x-cost": "12", "x-region": "eu-west-3"}
    assert secondary["call"]["status"] == "OK"


def test_a_side_that_never_answered_is_null(served):
    listed = get(served, "comparisons", run=RUN, verdict="incomplete")["comparisons"]
    one = get(served, f"comparisons/{listed[0]['id']}")
    assert one["sides"][1]["call"] is None
    assert one["sides"][1]["differences"][0]["kind"] == "no_answer"


def test_rules_tell_hits_and_status(served):
    tolerance, unordered = get(served, "rules")["rules"]
    assert tolerance["hits"] > 0
    assert {status["status"] for status in tolerance["statuses"]} == {"valid"}
    assert (unordered["hits"], unordered["statuses"]) == (0, [])
    assert (unordered["compared"], unordered["never_matched"]) == (3000, True)
    assert (tolerance["compared"], tolerance["never_matched"]) == (0, False)


def test_the_account_of_a_run_adds_up(served):
    account = get(served, "runs/checkout-rewrite/account")
    epochs = get(served, "runs/checkout-rewrite")["epochs"]
    assert account["pairs"] == sum(epoch["counts"]["pairs"] for epoch in epochs) > 0
    assert account["pairs"] == account["compared"] + sum(
        sum(account[name].values()) for name in ("incomplete", "incomparable")
    )
    assert account["calls"]["grouped"] >= account["pairs"]
    assert get(served, "runs/never/account", 404)["error"]["code"] == "unknown_run"


def test_counters_and_sources_tell_what_was_lost(served):
    served.counters.inc("mirror_batches_total", 3, protocol="grpc")
    counters = get(served, "counters")
    assert {"name": "mirror_batches_total", "value": 3, "labels": {"protocol": "grpc"}} in counters["process"]
    assert counters["unknown_runs"][0]["name"] == "chekout-rewrite"
    assert counters["stored"]["late"] == 3
    sources = {source["source_id"]: source for source in get(served, "sources")["sources"]}
    assert sources["a"]["dropped"] == {"queue_full": 12}


@pytest.mark.parametrize(
    ("path", "query", "status", "code", "told"),
    [
        ("runs/chekout-rewrite", {}, 404, "unknown_run", "Did you mean 'checkout-rewrite'?"),
        ("runs/chekout-rewrite", {}, 404, "unknown_run", "14 calls that came for it were refused: add it to"),
        ("verdict", {"run": "nope"}, 404, "unknown_run", "Known runs: checkout-rewrite, java-21."),
        (f"runs/{RUN}", {"epoch": 999}, 404, "unknown_epoch", "Its epochs: "),
        ("comparisons/abc", {}, 404, "unknown_comparison", "went over the caps"),
        ("comparisons", {}, 422, "invalid_parameter", "run: Field required"),
        ("verdict", {}, 422, "invalid_parameter", "?run=NAME"),
        ("comparisons", {"run": RUN, "limit": 10_000}, 422, "invalid_parameter", "limit"),
        (f"runs/{RUN}/paths", {"state": "bad"}, 422, "invalid_parameter", "regressed"),
        ("nothing", {}, 404, "not_found", "/api/docs"),
    ],
)
def test_errors_say_what_to_do(served, path, query, status, code, told):  # noqa: PLR0917 - the columns of the table
    error = get(served, path, status, **query)["error"]
    assert error["code"] == code
    assert told in error["message"]


def test_openapi_describes_every_endpoint_with_its_answer(served):
    described = served.client.get("/api/openapi.json").json()
    assert set(described["paths"]) >= {
        "/api/v1/runs",
        "/api/v1/runs/{run}",
        "/api/v1/runs/{run}/paths",
        "/api/v1/verdict",
        "/api/v1/warmup",
        "/api/v1/comparisons",
        "/api/v1/comparisons/{comparison_id}",
        "/api/v1/rules",
        "/api/v1/counters",
        "/api/v1/sources",
    }
    for verbs in described["paths"].values():
        assert all(operation["description"] for operation in verbs.values())
        for operation in verbs.values():
            (done,) = [answer for status, answer in operation["responses"].items() if status in ("200", "201")]
            assert "$ref" in done["content"]["application/json"]["schema"]


def test_nothing_but_decisions_can_be_written(served):
    for verb in ("post", "put", "delete", "patch"):
        assert getattr(served.client, verb)("/api/v1/runs").status_code == 405
    described = served.client.get("/api/openapi.json").json()["paths"]
    posted = {path for path, verbs in described.items() if set(verbs) != {"get"}}
    assert posted == {"/api/v1/gates/promote", "/api/v1/gates/rollback", "/api/v1/runs/{run}/decisions"}


def test_paths_taken_together_stand_apart_where_they_say_no_more(served):
    found = epochs.paths(served.reader, 2)
    assert found.together
    regressed = {h.hypothesis.method for h in found.differing if h.state is State.REGRESSED}
    for one in found.together:
        assert one.hypothesis.kind is Kind.ANY
        assert one.hypothesis.method in regressed
    listed = get(served, f"runs/{RUN}/paths")["paths"]
    assert {h.id for h in found.together} < {path["id"] for path in listed}


def test_a_service_that_was_never_seen_is_inconclusive_and_the_known_ones_are_named(served):
    answer = served.client.get("/api/v1/verdict", params={"service": "shopp", "candidate": "2.0.0"}).json()
    assert answer["verdict"] == "inconclusive"
    assert "Seen so far: shop." in answer["missing"][0]["text"]


def test_schema_changes_by_method(served):
    """Of the newest epoch unless told otherwise; a run of which nothing was seen has none."""
    answer = served.client.get("/api/v1/runs/checkout-rewrite/schema-changes").json()
    (told,) = answer["methods"]
    assert (told["method"], told["count"], told["complete"]) == (METHODS[0], 1200, False)
    assert told["changes"][0] == {
        "kind": "field_added",
        "path": "response.coupon",
        "name": "shop.v1.Order.coupon",
        "left": "",
        "right": "string coupon = 9",
        "comparable": False,
    }
    for query in (f"?method={METHODS[1]}", "?epoch=1"):
        assert served.client.get(f"/api/v1/runs/checkout-rewrite/schema-changes{query}").json()["methods"] == []
    assert served.client.get("/api/v1/runs/java-21/schema-changes").json()["methods"] == []
