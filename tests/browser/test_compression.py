"""Compression as a person uses it: zoom all panels as one, lay the veil over, draw a box."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from jobs.packing import unpack_arrays
from tests.browser.browsing import settle
from tests.browser.serving import Served

pytestmark = pytest.mark.browser

SIDE = 256
PATIENCE_MS = 120_000.0
RUN = """
    SELECT r.frame_digest, c.arrays_file FROM codec_runs c JOIN current_runs r USING (run_id)
    JOIN frames f USING (frame_digest) WHERE f.planes = 1 ORDER BY r.finished_at DESC LIMIT 1
"""


def arrays(served: Served, digest: str) -> dict[str, np.ndarray]:
    return unpack_arrays((served.home / "files" / digest[:2] / digest[2:]).read_bytes())


def spot(page: Page, y: float, x: float, panel: int) -> tuple[float, float]:
    """Where a pixel of the whole frame lies on the screen."""
    canvas = page.locator("figure canvas").nth(panel)
    canvas.scroll_into_view_if_needed()
    box: Any = canvas.bounding_box()
    return box["x"] + (x + 0.5) / SIDE * box["width"], box["y"] + (y + 0.5) / SIDE * box["height"]


def test_difference_error_and_bound_are_looked_at_as_one(page: Page, filled: Served) -> None:
    frame, stored = filled.query(RUN)[0]
    found = arrays(filled, str(stored))
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{filled.address}/compression?frame={frame}")
    settle(page, "Compression")
    expect(page.locator("figure canvas")).to_have_count(7, timeout=PATIENCE_MS)
    for title in ("Original", "Decoded", "Difference", "True error", "90 % bound", "Dropout"):
        expect(page.locator("figcaption", has_text=title).first).to_be_visible()

    viewer = page.locator(".viewer")
    page.locator("figure canvas").nth(2).focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    expect(viewer).to_have_attribute("data-zoom", "1.50")
    revision = str(viewer.get_attribute("data-revision"))
    page.get_by_text("Lay the uncertainty over").click()
    expect(viewer).not_to_have_attribute("data-revision", revision, timeout=PATIENCE_MS)
    expect(viewer).to_have_attribute("data-zoom", "1.50")
    page.locator("figure canvas").nth(2).press("0")

    page.get_by_role("button", name="Drag a rectangle of pixels").click()
    first, last = spot(page, 100, 50, panel=2), spot(page, 139, 89, panel=2)
    page.mouse.move(*first)
    page.mouse.down()
    page.mouse.move(*last, steps=4)
    page.mouse.up()
    line = page.get_by_text("Rows 100 to 139, columns 50 to 89: 1,600 pixels")
    expect(line).to_be_visible(timeout=PATIENCE_MS)
    error = np.abs(found["difference"][100:140, 50:90].astype(np.float64))
    share = (error <= found["bound"][100:140, 50:90]).mean()
    expect(line).to_contain_text(f"{100 * share:.1f} % of the pixels lie within theirs")


def test_the_curves_stand_beside_the_other_codecs(page: Page, filled: Served) -> None:
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{filled.address}/compression")
    settle(page, "Compression")
    page.get_by_text("Beside JPEG, JPEG 2000, JPEG XL and HCOMPRESS").click()
    expect(page.get_by_text("fewer bytes than JPEG 2000")).to_be_visible()
    page.get_by_text("rover, 12 bits", exact=True).click()
    expect(page.get_by_text("mean over 3 held-out frames")).to_be_visible(timeout=PATIENCE_MS)
