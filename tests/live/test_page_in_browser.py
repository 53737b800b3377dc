"""The pages in a real browser: no error in its console, nothing fetched from elsewhere, and every link on the way works.

Needs Chromium and Playwright (`pip install '.[browser]'`); elsewhere skipped with that reason.
"""

from __future__ import annotations

import importlib.util
import shutil

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conftest import require
from tests.live.mesh import mesh

pytestmark = pytest.mark.live
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def page():
    """A page of a headless browser that notes what goes wrong and what it asks of whom."""
    require("browser", "there is no Chromium on the PATH", present=CHROMIUM is not None)
    require("browser", "Playwright is not installed", present=importlib.util.find_spec("playwright") is not None)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - it may not be there

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        opened = browser.new_page()
        opened.problems, opened.asked = [], set()
        opened.on(
            "console", lambda said: opened.problems.append(said.text) if said.type in {"error", "warning"} else None
        )
        opened.on("pageerror", lambda error: opened.problems.append(str(error)))
        opened.on("request", lambda request: opened.asked.add(request.url.split("/")[2]))
        yield opened
        browser.close()


def test_from_the_runs_to_one_comparison_side_by_side(tmp_path, page):
    with mesh(tmp_path, "health") as m, grpc.insecure_channel(m.ingress) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for _ in range(5):
            stub.Check(health_pb2.HealthCheckRequest(service="flaky"), timeout=20)
        m.settled(5).close()
        page.goto(f"http://{m.web}/")
        page.get_by_role("link", name="shop-v2").first.click()
        assert "grpc.health.v1.Health/Check" in page.inner_text("body")
        page.get_by_role("link", name="response.status").first.click()
        page.locator("a[href*='/comparisons/']").first.click()
        sides = page.inner_text("body")
        assert "NOT_SERVING" in sides
        assert "primary" in sides
        assert "candidate" in sides
        for path in ("/rules", "/collector", "/api/docs"):
            assert page.goto(f"http://{m.web}{path}").ok
        assert (page.problems, page.asked) == ([], {m.web})
