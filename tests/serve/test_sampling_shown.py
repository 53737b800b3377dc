"""Calls whose messages are not captured (not sampled): what page, API, metrics and comparisons say of them."""

import re
from html import unescape

import pytest

from mirror.config import Config
from mirror.core.model import Role
from mirror.core.sampled import Sampled, sampled
from mirror.serve import sampling, words
from mirror.store import Reader
from tests.serve import thinned
from tests.serve.conftest import serve
from tests.serve.shopdata import METHODS, store_url
from tests.serve.test_app import scraped
from tests.serve.thinned import CALLS, LARGE, LOOKED_AT, MORE, RUN, SILENT

LEFT_OUT = CALLS - LOOKED_AT
ALARMING = ("is-warn", "suspect", "regressed", "mismatched", "notice")


@pytest.fixture(scope="module")
def thin(tmp_path_factory):
    """The web application over a store with a method of which a share is looked at."""
    url = store_url(tmp_path_factory.mktemp("thin"))
    thinned.fill(url)
    reader = Reader.open(url)
    yield serve(reader, Config(runs=(RUN,)))
    reader.close()


def text_of(served, address):
    answer = served.client.get(address)
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def compared(served, reason):
    """The newest kept comparison of the method that came to nothing for this reason, and its page."""
    found = served.client.get("/api/v1/comparisons", params={"run": RUN, "method": LARGE, "limit": 500}).json()
    made = next(one for one in found["comparisons"] if one["reason"] == reason)
    return made, text_of(served, f"/comparisons/{made['id']}")


def test_the_page_of_a_run_says_of_how_many_calls_the_messages_were_looked_at(thin):
    page = text_of(thin, f"/runs/{RUN}")
    assert f'<span class="mono">{LARGE}</span>: {LOOKED_AT} of {CALLS} calls looked at (15%); ' in page
    assert "the others' messages are beyond MIRROR_METHOD_BYTES_PER_S" in page
    assert 'see "Large messages" in interceptors/README.md' in page
    head, *rows = re.findall(r"<tr>(.*?)</tr>", page.partition('<section id="methods">')[2], re.DOTALL)
    at = re.findall(r"<th[^>]*>([^<]*)</th>", head).index("Looked at") - 2  # state and method come before
    cells = {
        row.partition('class="mono">')[2].partition("<")[0]: re.findall(r'<td class="n.*?</td>', row) for row in rows
    }
    assert f'{LOOKED_AT} <span class="muted small">15%</span>' in cells[LARGE][at]
    assert ">all<" in cells[METHODS[2]][at]
    assert f"{LARGE}</span>: " in page
    assert f"{METHODS[2]}</span>: " not in page


def test_it_looks_like_no_fault(thin):
    page = text_of(thin, f"/runs/{RUN}")
    tags = [
        line
        for line in page.splitlines()
        if "not sampled" in line or "looked at (" in line or "captured whole by the primary" in line
    ]
    assert len(tags) >= 4
    assert [line for line in tags if any(f'"{name}"' in line or f"{name} " in line for name in ALARMING)] == []


def test_where_all_calls_are_looked_at_nothing_is_said_of_it(served):
    page = text_of(served, f"/runs/{RUN}")
    assert "Looked at" not in page
    assert "MIRROR_METHOD_BYTES_PER_S" not in page
    assert {one["not_sampled"] for one in served.client.get(f"/api/v1/runs/{RUN}").json()["methods"]} == {0}
    assert served.client.get("/api/v1/verdict", params={"run": RUN}).json()["sampled"] == []


def test_the_api_has_both_figures_of_a_method(thin):
    told = {"method": LARGE, "looked_at": LOOKED_AT, "not_sampled": LEFT_OUT}
    assert thin.client.get("/api/v1/verdict", params={"run": RUN}).json()["sampled"] == [told]
    for asked in (f"runs/{RUN}", f"runs/{RUN}/report"):
        methods = {one["method"]: one for one in thin.client.get(f"/api/v1/{asked}").json()["methods"]}
        assert told.items() <= methods[LARGE].items()
        assert (methods[METHODS[2]]["looked_at"], methods[METHODS[2]]["not_sampled"]) == (CALLS, 0)


def test_metrics_have_a_figure_of_their_own(thin):
    samples = scraped(thin)
    for method, n in ((LARGE, LEFT_OUT), (METHODS[2], 0)):
        labels = (("method", method), ("run", RUN), ("service", "shop"))
        assert samples["mirror_run_not_sampled_total", labels] == n


def test_a_comparison_that_neither_side_has_captured_says_that_nothing_was_compared(thin):
    made, page = compared(thin, "not_sampled")
    assert made["verdict"] == "incomparable"
    assert "no difference that counts" not in page
    assert "Nothing was compared, not even the status: neither side has captured this call with its messages" in page
    assert page.count("(not compared: not sampled)") == 4  # status and trailing metadata, of both shadows
    assert "1 request (120,000 bytes): not sampled; 1 response (120,000 bytes): not sampled" in page


def test_a_comparison_of_a_candidate_that_did_not_answer_says_why_that_is_not_judged(thin):
    _, page = compared(thin, "candidate_not_sampled")
    assert (
        "the candidate did not answer, or its capture never came. That is not judged, since the primary has not" in page
    )
    assert "candidate, of a call that is not sampled" in page


def test_a_comparison_that_was_made_keeps_its_words(thin):
    found = thin.client.get("/api/v1/comparisons", params={"run": RUN, "method": LARGE, "verdict": "mismatched"}).json()
    page = text_of(thin, f"/comparisons/{found['comparisons'][0]['id']}")
    assert "no difference that counts" in page
    assert "not sampled" not in page


WHOLE = {Role.PRIMARY: True, Role.CANDIDATE: True}
LACKS = "with its messages and the {} has not (not sampled)"


@pytest.mark.parametrize(
    ("reason", "whole", "told"),
    [
        ("not_sampled", {**WHOLE, Role.CANDIDATE: False}, LACKS.format("candidate")),
        ("not_sampled", {**WHOLE, Role.PRIMARY: False}, LACKS.format("primary")),
        ("not_sampled", {Role.PRIMARY: False, Role.CANDIDATE: False}, "neither side has captured"),
        ("candidate_not_sampled", {Role.PRIMARY: True}, "by its share of late the candidate would not have captured"),
        ("candidate_not_sampled", {Role.PRIMARY: False}, "the primary has not captured this call"),
    ],
)
def test_why_nothing_was_compared_follows_from_who_has_captured_what(reason, whole, told):
    """Only where one side has what the other lacks is there something to set: the same limit everywhere."""
    words_of = sampling.of_pair(Role.CANDIDATE, reason, whole)
    assert told in words_of
    assert (sampling.SAME_LIMIT in words_of) == told.startswith("with its messages and")


@pytest.mark.parametrize("reason", ["", "schema", "candidate", "client_ended", "evicted"])
def test_other_reasons_are_none_of_these(reason):
    assert sampling.of_pair(Role.CANDIDATE, reason, WHOLE) == ""


def test_what_one_replica_has_and_another_lacks_is_told_with_what_to_set(thin):
    page = text_of(thin, f"/runs/{RUN}")
    assert f"{MORE} calls were captured whole by the primary and the secondary and not by the candidate: " in page
    assert "Set the same MIRROR_METHOD_BYTES_PER_S on all replicas" in page
    assert f"The candidate did not answer {SILENT} calls that were not sampled." in page
    assert f"captured whole by all but the candidate (not sampled) {MORE}" in page
    assert f"incomplete (candidate, of a call that is not sampled) {SILENT}" in page
    assert "all but the secondary" not in page


def test_a_share_is_not_rounded_up_to_all():
    assert sampling.share(Sampled(9_999, 1, 0, {})) == "over 99%"
    assert sampling.share(Sampled(3_120, 18_280, 0, {})) == "15%"
    assert sampling.line(Sampled(10, 0, 0, {})) == ""


def test_counted_reasons_have_words_that_say_who_has_what():
    for name in ("only_candidate.not_sampled", "only_secondary.not_sampled", "incomplete.candidate_not_sampled"):
        assert "_" not in words.reason(name)
        assert words.reason(name) != words.reason("incomparable.not_sampled")


def test_some_that_one_replica_alone_has_captured_whole_are_no_reproach():
    """Each process sets its share once a second, so it is so of a few whatever the limits are."""
    few = {"incomparable.not_sampled": 2336, "only_candidate.not_sampled": 35}
    many = few | {"only_candidate.not_sampled": 350}
    assert sampling.notes(sampled(3000, few)) == []
    (note,) = sampling.notes(sampled(3000, many))
    assert note.startswith("350 calls were captured whole by the primary and the secondary and not by the candidate: ")
