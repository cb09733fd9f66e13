"""Take a picture of every page, in light and dark: `python -m tests.browser.screenshots`.

Shows the store that SKYSIEVE_HOME names, or a filled one made for the purpose.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, Page

from db.store import Store
from tests.browser.browsing import chromium, settle, watched_page
from tests.browser.serving import PROJECT, Served, serve
from tests.store_factory import fill

OUT = PROJECT / "docs" / "screenshots"
PAGES = {
    "overview": "Overview",
    "compression": "Compression",
    "downlink": "Downlink",
    "cosmicrays": "Cosmic rays",
    "calibration": "Calibration",
    "anomalies": "Anomalies",
    "crossmatch": "Cross-match",
    "verify": "Verify",
    "jobs": "Jobs",
}
BEST = "SELECT detection_id FROM detections ORDER BY p_value NULLS LAST LIMIT 1"


def take_all(served: Served, browser: Browser, out: Path) -> None:
    """Write one PNG a page and colour scheme into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    detection = served.query(BEST)
    for scheme in ("light", "dark"):
        with watched_page(browser, scheme) as (page, complaints):
            for name, title in PAGES.items():
                page.goto(f"{served.address}/{'' if name == 'overview' else name}")
                settle(page, title)
                if name == "verify":
                    _begin(page)
                _take(page, out / f"{name}-{scheme}.png")
            if detection:
                page.goto(f"{served.address}/anomalies?detection={detection[0][0]}")
                settle(page, "Anomalies")
                _take(page, out / f"detection-{scheme}.png")
            for complaint in complaints.found:
                print(complaint, file=sys.stderr)


def _begin(page: Page) -> None:
    name = page.get_by_label("Your name")
    if name.count():
        name.fill("ann")
        page.get_by_role("button", name="Begin").click()
    page.locator(".desk:not([data-item=''])").wait_for()


def _take(page: Page, path: Path) -> None:
    page.wait_for_timeout(2500)
    page.screenshot(path=path)
    if os.environ.get("FULL_PAGE"):
        height = page.evaluate(
            "document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight"
        )
        page.set_viewport_size({"width": 1280, "height": int(height) + 80})
        page.wait_for_timeout(800)
        page.screenshot(path=path.with_stem(path.stem + "-full"))
        page.set_viewport_size({"width": 1280, "height": 720})


def main() -> None:
    """Serve, take the pictures, say where they are."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = Path(os.environ.get("SKYSIEVE_HOME") or scratch / "home")
        if "SKYSIEVE_HOME" not in os.environ:
            with Store.open(home) as store:
                fill(store, frames=8, per_frame=6)
        served = stack.enter_context(serve(home, scratch / "server.log"))
        browser = stack.enter_context(chromium())
        out = Path(os.environ.get("SCREENSHOTS") or OUT)
        take_all(served, browser, out)
        print(f"screenshots in {out}")


if __name__ == "__main__":
    main()
