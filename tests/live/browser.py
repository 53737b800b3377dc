"""A headless Chromium for tests, which notes what goes wrong and what it asks of whom; not a test."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.conftest import require

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def browser_page(**context: Any) -> Iterator[Any]:
    """A page with `problems` (of its console) and `asked` (host and port). `context`: options of Playwright's context."""
    require("browser", "there is no Chromium on the PATH", present=CHROMIUM is not None)
    require("browser", "Playwright is not installed", present=importlib.util.find_spec("playwright") is not None)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - it may not be there

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        opened = browser.new_page(**context)
        opened.problems, opened.asked = [], set()
        opened.on(
            "console", lambda said: opened.problems.append(said.text) if said.type in {"error", "warning"} else None
        )
        opened.on("pageerror", lambda error: opened.problems.append(str(error)))
        opened.on("request", lambda request: opened.asked.add(request.url.split("/")[2]))
        yield opened
        browser.close()
