"""Downlink as a person uses it: the budget slider decides what has arrived."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.browsing import settle
from tests.browser.serving import Served

pytestmark = pytest.mark.browser

PATIENCE_MS = 120_000.0
TILES = "SELECT count(*) AS n FROM codec_tiles JOIN current_runs USING (run_id)"


def test_the_budget_decides_what_has_arrived(page: Page, filled: Served) -> None:
    tiles = filled.number(TILES)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{filled.address}/downlink")
    settle(page, "Downlink")
    arrived = (
        page.get_by_test_id("stMetric")
        .filter(has_text="Tiles arrived")
        .get_by_test_id("stMetricValue")
    )
    expect(arrived).to_have_text(re.compile(rf"^\d+ of {tiles}$"), timeout=PATIENCE_MS)
    expect(arrived).not_to_have_text(f"{tiles} of {tiles}")
    expect(page.get_by_test_id("stMetric").filter(has_text="Mean PSNR")).to_contain_text("dB")
    expect(page.get_by_text("raster order").first).to_be_visible()
    slider = page.get_by_role("slider", name="Budget (% of all bytes)")
    slider.focus()
    slider.press("End")
    expect(arrived).to_have_text(f"{tiles} of {tiles}", timeout=PATIENCE_MS)
    expect(page.get_by_text("The budget carries everything.")).to_be_visible()
