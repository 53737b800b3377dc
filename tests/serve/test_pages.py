"""The pages over a filled and an empty store: they hold, say the figures, and escape what came from calls."""

import random
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mirror.config import Config
from mirror.core.model import Difference, Kind, Role
from mirror.core.schema_changes import ChangeKind
from mirror.serve import words
from mirror.store import Reader, Store
from tests.serve import shopdata
from tests.serve.conftest import serve
from tests.serve.shopdata import METHODS, NOW_S, order, outcome, path, request, store_url

RUN = "checkout-rewrite"
HOSTILE = '"><script>alert(1)</script>\x1b[31m'


class _Links(HTMLParser):
    """All addresses of a page, and tags that must not be there."""

    def __init__(self, text):
        super().__init__()
        self.links, self.tags, self.handlers = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.links += [value for name, value in attrs if name in ("href", "src")]
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]


def page(served, address, status=200):
    answer = served.client.get(address)
    assert answer.status_code == status, answer.text
    return answer.text


def test_every_link_of_the_site_leads_somewhere(served):
    """A crawl from the overview: no dead link, nothing from elsewhere, no inline script or style."""
    seen, queue = set(), ["/"]
    while queue and len(seen) < 120:
        address = queue.pop(0)
        if address in seen:
            continue
        seen.add(address)
        answer = served.client.get(address)
        assert answer.status_code == 200, address
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        found = _Links(answer.text)
        assert not found.handlers
        for link in found.links:
            assert link.startswith(("/", "#")), f"{link} on {address}"
            if link.startswith("/"):
                queue.append(link.partition("#")[0])
    assert any(link.startswith("/comparisons/") for link in seen)
    assert any("/paths/" in link for link in seen)


def test_the_overview_shows_verdict_versions_and_counts(served):
    text = page(served, "/")
    for told in ("fail", RUN, "1.8.2", "2.0.0-rc2", "6,000", "java-21", "chekout-rewrite"):
        assert told in text


def test_a_run_shows_reasons_paths_noise_rules_and_losses(served):
    text = page(served, f"/runs/{RUN}")
    for told in (
        "response.labels[*] (missing) is regressed",
        "What this verdict cannot see",
        "Paths that noise explains",
        "tolerance response.total",
        "queue_full 12",
        "2.0.0-rc1",
        "493 examples",
    ):
        assert told in text


def test_an_older_epoch_can_be_shown(served):
    epochs = served.client.get(f"/api/v1/runs/{RUN}").json()["epochs"]
    assert "2.0.0-rc1" in page(served, f"/runs/{RUN}?epoch={epochs[1]['id']}")


def test_a_path_shows_its_evidence_and_values_of_the_newest_examples(served):
    paths = served.client.get(f"/api/v1/runs/{RUN}/paths?method={METHODS[0]}").json()["paths"]
    label = next(p for p in paths if p["pattern"] == "response.labels[*]")
    text = page(served, f"/runs/{RUN}/paths/{label['id']}")
    assert label["evidence"] in text
    assert "response.labels[&#34;warehouse&#34;]" in text
    assert "lyon" in text


def test_a_comparison_stands_side_by_side_with_its_marks(served):
    listed = served.client.get(f"/api/v1/comparisons?run={RUN}&pattern=response.items[*].price&limit=1").json()
    text = page(served, f"/comparisons/{listed['comparisons'][0]['id']}")
    assert re.search(r'<td class="diff">[^<]*&#34;price&#34;: 20.0', text)
    assert 'aria-label="response"' in text


def test_what_is_not_there_is_told_with_what_there_is(served):
    assert "Did you mean &#39;checkout-rewrite&#39;" in page(served, "/runs/chekout-rewrite", 404)
    assert "is kept" in page(served, "/comparisons/nope", 404)
    assert "has no path 999999" in page(served, f"/runs/{RUN}/paths/999999", 404)


def test_an_empty_store_says_what_to_do(empty):
    assert "java-21" in page(empty, "/")
    assert "x-mirror-run: java-21" in page(empty, "/runs/java-21")
    assert "No process has reported yet" in page(empty, "/collector")


def test_kafka_is_on_the_page_of_a_worker_alone(empty):
    assert "mirror_kafka_" not in page(empty, "/collector")
    assert "mirror_dead_letters_" not in page(empty, "/collector")
    empty.counters.set("mirror_kafka_up", 1, topic="captures")
    shown = page(empty, "/collector")
    assert "mirror_kafka_lag" in shown
    assert "mirror_dead_letters_lost_total" in shown


@pytest.fixture
def hostile(tmp_path):
    """A store in which method, run's example, versions and values all try to break out of the page."""
    rng = random.Random(1)
    asked = request(0, rng)
    difference = Difference(path("response", "labels", f'"{HOSTILE}"'), Kind.VALUE, HOSTILE, HOSTILE, note=HOSTILE)
    orders = {role: order(0, rng) for role in shopdata.ROLES}
    orders[Role.CANDIDATE].labels[HOSTILE] = HOSTILE
    asked = replace(
        asked,
        method=f"x/{HOSTILE}",
        orders=orders,
        outcomes={Role.CANDIDATE: outcome(difference), Role.SECONDARY: outcome()},
        trailing={role: [(HOSTILE, HOSTILE.encode())] for role in shopdata.ROLES},
    )
    with Store.open(store_url(tmp_path)) as store:
        changes = store.changes()
        changes.schema(shopdata.FINGERPRINT, shopdata.SCHEMA)
        changes.unknown_run(HOSTILE)
        shopdata.add(changes, store, 0, NOW_S - 300, run=RUN, version=HOSTILE, asked=asked)
        store.commit(changes, NOW_S)
        yield serve(store.reader(), Config(runs=(RUN,)))


def test_hostile_text_from_calls_stays_text(hostile):
    addresses = ["/", f"/runs/{RUN}", "/collector"]
    (listed,) = hostile.client.get(f"/api/v1/comparisons?run={RUN}").json()["comparisons"]
    addresses.append(f"/comparisons/{listed['id']}")
    paths = hostile.client.get(f"/api/v1/runs/{RUN}/paths").json()["paths"]
    addresses += [f"/runs/{RUN}/paths/{p['id']}" for p in paths]
    for address in addresses:
        found = _Links(page(hostile, address))
        assert [attrs for tag, attrs in found.tags if tag == "script" and "src" not in attrs] == []
        assert not found.handlers


def test_a_rule_that_never_matched_says_so_on_its_page_and_the_runs(served):
    for address in ("/rules", f"/runs/{RUN}"):
        assert page(served, address).count("never matched</span>") == 1
        assert "in 3,000 comparisons" in page(served, address)


def test_a_rule_links_only_to_the_web(served):
    assert 'href="javascript' not in page(served, "/rules")


def test_a_reader_that_lost_its_store_answers_503(tmp_path):
    with Store.open(store_url(tmp_path)) as store:
        store.engine.dispose()
    reader = Reader.open(store_url(tmp_path))
    with reader.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=OFF")
        connection.exec_driver_sql("DROP TABLE epochs")
        connection.commit()
    broken = serve(reader)
    assert broken.client.get("/api/v1/runs").json()["error"]["code"] == "store_unavailable"
    assert broken.client.get("/").status_code == 503
    metrics = broken.client.get("/metrics")  # the process's own figures are what tells of it
    assert metrics.status_code == 200
    assert "mirror_commit_failures_total" in metrics.text
    assert "mirror_run_pairs_total" not in metrics.text


def test_schema_changes_stand_apart_from_differences(served):
    text = page(served, f"/runs/{RUN}")
    told = text.partition("<h2>Schema changes</h2>")[2].partition("<h2>Methods</h2>")[0]
    for expected in (
        "1,200 changes in 1 method",
        "no difference of a call and never changes the verdict",
        "response.items[*].quantity",
        "sint32 quantity = 3",
        "2 of 1,200 are shown",
        "there may be more",
    ):
        assert expected in told
    assert "Schema changes" not in page(served, f"/runs/{RUN}?epoch=1")


def test_every_kind_of_schema_change_has_words():
    assert set(words.SCHEMA_CHANGES) == set(ChangeKind)
