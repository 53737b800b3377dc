"""The pages in a real browser: no error in its console, nothing fetched from elsewhere, and every link on the way works.

Needs Chromium and Playwright (`pip install '.[browser]'`); elsewhere skipped with that reason.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mirror.store import Store
from tests.collect.certificates import Authority
from tests.collect.process import CollectorProcess
from tests.live.browser import browser_page
from tests.live.mesh import mesh
from tests.serve.shopdata import NOW_S, add, fill, request, store_url

pytestmark = pytest.mark.live
READ = "read-" + "r" * 32


@pytest.fixture
def page():
    with browser_page() as opened:
        yield opened


def test_from_the_runs_to_one_comparison_side_by_side(tmp_path, page):
    with mesh(tmp_path, "health") as m, grpc.insecure_channel(m.ingress) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for _ in range(5):
            stub.Check(health_pb2.HealthCheckRequest(service="flaky"), timeout=20)
        m.settled(5).close()
        page.goto(f"http://{m.web}/")
        page.get_by_role("link", name="shop-v2").first.click()
        assert "grpc.health.v1.Health/Check" in page.inner_text("body")
        cluster = page.locator("#clusters .cluster").first.inner_text()
        assert "response.status" in cluster
        assert "in every call" in cluster
        page.get_by_role("link", name="Rules that would explain").click()
        assert "None of them is applied" in page.inner_text("body")
        page.go_back()
        page.get_by_role("link", name="response.status").first.click()
        page.locator("a[href*='/comparisons/']").first.click()
        sides = page.inner_text("body")
        assert "NOT_SERVING" in sides
        assert "primary" in sides
        assert "candidate" in sides
        for path in ("/rules", "/collector", "/api/docs"):
            assert page.goto(f"http://{m.web}{path}").ok
        assert (page.problems, page.asked) == ([], {m.web})


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """A collector with a run of short names, one of long names, and one that was not seen yet."""
    folder = tmp_path_factory.mktemp("listed")
    at = store_url(folder)
    fill(at, requests=300, minutes=2)
    long = "checkout-service-rewrite-in-another-language-2026-11"
    with Store.open(at) as store:
        changes = store.changes()
        for number in range(50):
            asked = request(number, random.Random(number))
            version = "2.14.0-rc.12+build.20261126.9f3ab21c"
            add(changes, store, number, NOW_S - 14 * 86_400, run=long, version=version, asked=asked)
        store.commit(changes, NOW_S)
    with CollectorProcess(folder, runs=["checkout-rewrite", long, "java-21"], store={"url": at}) as collector:
        yield collector.addresses["web"]


@pytest.mark.parametrize("width", [1300, 1150, 800, 400])
def test_the_list_of_runs_is_as_wide_as_the_window(page, listed, width):
    """At 1,300 px its last column could be reached by scrolling only. All columns' figures are there, each with its name."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"http://{listed}/")
    for place in (".scroll", "html"):
        there, room = page.eval_on_selector(place, "one => [one.scrollWidth, one.clientWidth]")
        assert there <= room, place
    named = page.eval_on_selector_all(".runs td", "all => all.map(one => getComputedStyle(one, '::before').content)")
    shown = " ".join([*page.inner_text(".runs").split(), *named])
    for told in ("Incomparable", "Paths regressed", "Suspect", "Last pair", "java-21", "9f3ab21c"):
        assert told in shown


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A collector with TLS that asks for a token, and its address by a name that is not that of other servers here."""
    folder = tmp_path_factory.mktemp("guarded")
    server = Authority(folder).issue("server")
    files = {"cert_file": server.cert_file, "key_file": server.key_file}
    with CollectorProcess(folder, tls=files, auth={"read_tokens": [READ]}) as collector:
        yield f"https://localhost:{collector.addresses['web'].rsplit(':', 1)[1]}"


@contextmanager
def other_site(html: str) -> Iterator[str]:
    """A page of somebody else's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_with_a_token_for_a_password_all_of_it_works(guarded):
    login = {"username": "anna", "password": READ}
    with browser_page(ignore_https_errors=True, http_credentials=login) as page:
        for path in ("/", "/rules", "/collector", "/api/docs"):
            assert page.goto(guarded + path).ok
        assert page.evaluate("getComputedStyle(document.body).fontFamily") != ""
        assert page.evaluate("[...document.styleSheets].every(sheet => sheet.cssRules.length > 0)")
        assert page.asked == {guarded.removeprefix("https://")}
        assert [text for text in page.problems if "401" not in text] == []


def test_without_it_there_is_nothing_to_see(guarded):
    with browser_page(ignore_https_errors=True, http_credentials={"username": "anna", "password": "wrong"}) as page:
        answer = page.goto(guarded)
        assert answer.status == 401
        assert page.inner_text("body").strip() == "This token is not one of the collector's."


def test_another_site_may_link_here_and_neither_embed_nor_read(guarded):
    """Although the browser knows the password, and would send it."""
    html = f"""<script src="{guarded}/api/v1/runs"></script><iframe src="{guarded}/"></iframe><img src="{guarded}/static/icon.svg">
    <script>fetch("{guarded}/api/v1/runs", {{mode: "no-cors", credentials: "include"}})</script><a href="{guarded}/">there</a>"""
    login = {"username": "anna", "password": READ}
    with browser_page(ignore_https_errors=True, http_credentials=login) as page, other_site(html) as foreign:
        assert page.goto(guarded).ok
        page.goto(foreign)
        page.wait_for_load_state("networkidle")
        headers = {"authorization": f"Bearer {READ}"}
        counted = httpx.get(f"{guarded}/metrics", headers=headers, verify=False).text
        assert 'mirror_web_denied_total{reason="cross_site"} 4.0' in counted
        page.get_by_role("link", name="there").click()
        page.wait_for_url(f"{guarded}/")
        assert "mirror" in page.title().lower()
