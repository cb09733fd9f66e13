"""Take a picture of every page, in light and dark: `python -m tests.browser.screenshots`.

Shows the store that SKYSIEVE_HOME names, or a simulated night made for the purpose.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.browsing import chromium, settle, watched_page
from tests.browser.serving import PROJECT, Served, serve

PATIENCE_MS = 120_000
ADDRESSES = {"overview": "", "verify": "verify?labeller=ann"}
SHOWN = ".desk:not([data-item=''])"
WAITING = "[data-testid=stMain] [data-testid=stSkeleton]:visible"
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
    "models": "Models",
    "jobs": "Jobs",
}
BEST = """
    SELECT detection_id FROM detections
    ORDER BY verdict <> 'candidate', p_value, rank_score DESC LIMIT 1
"""


def take_all(served: Served, browser: Browser, out: Path) -> None:
    """Write one PNG a page and colour scheme into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    detection = served.query(BEST)
    for scheme in ("light", "dark"):
        with watched_page(browser, scheme) as (page, complaints):
            for name, title in PAGES.items():
                page.goto(f"{served.address}/{ADDRESSES.get(name, name)}")
                settle(page, title)
                if name == "verify":
                    page.locator(SHOWN).first.wait_for(timeout=PATIENCE_MS)
                _take(page, out / f"{name}-{scheme}.png")
            if detection:
                page.goto(f"{served.address}/anomalies?detection={detection[0][0]}")
                settle(page, "Anomalies")
                _take(page, out / f"detection-{scheme}.png")
            for complaint in complaints.found:
                print(complaint, file=sys.stderr)


def _demo(home: Path) -> None:
    """Fill `home` with the simulated night of `skysieve demo`."""
    subprocess.run(
        [sys.executable, "-c", "from jobs.cli.app import main; main()", "demo"],
        env={**os.environ, "SKYSIEVE_HOME": str(home)},
        cwd=PROJECT,
        check=True,
    )


def _take(page: Page, path: Path) -> None:
    expect(page.locator(WAITING)).to_have_count(0, timeout=PATIENCE_MS)
    page.wait_for_timeout(1500)
    page.screenshot(path=path, timeout=PATIENCE_MS)
    if os.environ.get("FULL_PAGE"):
        height = page.evaluate(
            "document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight"
        )
        page.set_viewport_size({"width": 1280, "height": int(height) + 80})
        page.wait_for_timeout(800)
        page.screenshot(path=path.with_stem(path.stem + "-full"), timeout=PATIENCE_MS)
        page.set_viewport_size({"width": 1280, "height": 720})


def main() -> None:
    """Serve, take the pictures, say where they are."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = Path(os.environ.get("SKYSIEVE_HOME") or scratch / "home")
        if "SKYSIEVE_HOME" not in os.environ:
            _demo(home)
        served = stack.enter_context(serve(home, scratch / "server.log"))
        browser = stack.enter_context(chromium())
        out = Path(os.environ.get("SCREENSHOTS") or OUT)
        take_all(served, browser, out)
        print(f"screenshots in {out}")


if __name__ == "__main__":
    main()
