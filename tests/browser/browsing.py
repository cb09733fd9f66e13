"""Chromium without a screen, and what it complains about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

SIZE = {"width": 1280, "height": 720}
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
QUIET = "[data-testid=stApp][data-test-script-state=notRunning]"


@dataclass
class Complaints:
    """Everything a page should not have done."""

    found: list[str] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.found.append(f"console: {message.text} {message.location.get('url', '')}")

    def on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            self.found.append(f"request beyond this machine: {request.url}")

    def on_error(self, error: Exception) -> None:
        self.found.append(f"page error: {error}")


def chromium_path() -> str | None:
    """Find Chromium on the path."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Launch Chromium. Raises FileNotFoundError when there is none."""
    path = chromium_path()
    if path is None:
        raise FileNotFoundError("no Chromium on the path: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def watched_page(
    browser: Browser, scheme: Literal["light", "dark"] = "light"
) -> Iterator[tuple[Page, Complaints]]:
    """Open an empty page whose complaints are kept."""
    context = browser.new_context(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
    page, complaints = context.new_page(), Complaints()
    page.on("console", complaints.on_console)
    page.on("pageerror", complaints.on_error)
    page.on("request", complaints.on_request)
    page.set_default_timeout(30_000)
    yield page, complaints
    context.close()


def settle(page: Page, title: str) -> None:
    """Wait until the page of this title stands and its script has ended."""
    page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
    page.locator(QUIET).wait_for()
