"""Cosmic rays and Calibration as a person uses them: slide, zoom, choose, judge, undo."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from scipy import ndimage

from jobs.packing import unpack_arrays
from tests.browser.browsing import settle
from tests.browser.serving import Served

pytestmark = pytest.mark.browser

SIDE = 256
PATIENCE_S = 120.0
PATIENCE_MS = 1000 * PATIENCE_S
EDITS = "SELECT action, editor, y0, x0, height, width, undoes FROM mask_edits ORDER BY edited_at"
RUN = """
    SELECT c.probability_array, c.hits, r.frame_digest FROM cosmic_ray_runs c
    JOIN runs r USING (run_id) ORDER BY r.finished_at DESC LIMIT 1
"""


def probability(served: Served) -> np.ndarray:
    """The stored probability map of the frame that the page shows first."""
    digest = str(served.query(RUN)[0][0])
    content = (served.home / "files" / digest[:2] / digest[2:]).read_bytes()
    return np.asarray(unpack_arrays(content)["probability"])


def visit(page: Page, served: Served) -> None:
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{served.address}/cosmicrays")
    settle(page, "Cosmic rays")
    expect(page.locator("figure canvas")).to_have_count(6, timeout=PATIENCE_MS)


def metric(page: Page, label: str) -> Any:
    card = page.get_by_test_id("stMetric").filter(
        has=page.get_by_test_id("stMetricLabel").get_by_text(label, exact=True)
    )
    return card.get_by_test_id("stMetricValue")


def begin(page: Page) -> None:
    page.get_by_role("textbox", name="Your name, to edit this mask").fill("ann")
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("button", name="Not a cosmic ray").wait_for()


def spot(page: Page, y: float, x: float, panel: int = 0) -> tuple[float, float]:
    """Where a pixel of the whole frame lies on the screen."""
    canvas = page.locator("figure canvas").nth(panel)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    return box["x"] + (x + 0.5) / SIDE * box["width"], box["y"] + (y + 0.5) / SIDE * box["height"]


def until(held: Callable[[], Any], expected: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (found := held()) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_the_slider_shows_the_counts_of_the_stored_probability(page: Page, filled: Served) -> None:
    visit(page, filled)
    revision = page.locator(".viewer").get_attribute("data-revision")
    slider = page.get_by_role("slider", name="Threshold")
    slider.focus()
    slider.press("End")
    mask = probability(filled) > 0.99
    expect(metric(page, "Pixels")).to_have_text(f"{mask.sum():,}", timeout=PATIENCE_MS)
    hits = ndimage.label(mask, np.ones((3, 3)))[1]
    expect(metric(page, "Hits at this threshold")).to_have_text(f"{hits:,}", timeout=PATIENCE_MS)
    expect(page.locator(".viewer")).not_to_have_attribute("data-revision", str(revision))


def test_all_panels_keep_one_view_when_the_mask_changes(page: Page, filled: Served) -> None:
    visit(page, filled)
    viewer = page.locator(".viewer")
    page.locator("figure canvas").first.focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    expect(viewer).to_have_attribute("data-zoom", "1.50")
    moved = viewer.get_attribute("data-x")
    assert moved is not None
    assert float(moved) > SIDE / 2
    revision = viewer.get_attribute("data-revision")
    page.get_by_role("slider", name="Threshold").press("End")
    expect(viewer).not_to_have_attribute("data-revision", str(revision), timeout=PATIENCE_MS)
    expect(viewer).to_have_attribute("data-zoom", "1.50")
    expect(viewer).to_have_attribute("data-x", moved)
    page.locator("figure canvas").first.press("0")
    expect(viewer).to_have_attribute("data-zoom", "1.00")


def test_a_hit_is_clicked_judged_by_a_key_and_taken_back(page: Page, filled: Served) -> None:
    visit(page, filled)
    begin(page)
    before = len(filled.query(EDITS))
    labels, count = ndimage.label(probability(filled) > 0.5, np.ones((3, 3)))
    largest = int(np.bincount(labels.ravel())[1:].argmax()) + 1
    rows, columns = np.nonzero(labels == largest)
    page.mouse.click(*spot(page, rows[0], columns[0], panel=1))
    expect(page.get_by_text("Chosen: a group of the mask")).to_be_visible(timeout=PATIENCE_MS)

    page.keyboard.press("n")
    until(lambda: len(filled.query(EDITS)), before + 1)
    action, editor, y0, x0, height, width, _ = filled.query(EDITS)[-1]
    assert (action, editor) == ("remove", "ann")
    assert (y0, x0) == (rows.min(), columns.min())
    assert (height, width) == (np.ptp(rows) + 1, np.ptp(columns) + 1)
    expect(page.get_by_text(f"{count - 1} with people's edits")).to_be_visible(timeout=PATIENCE_MS)

    page.reload()
    settle(page, "Cosmic rays")
    expect(page.get_by_text(f"{count - 1} with people's edits")).to_be_visible(timeout=PATIENCE_MS)
    begin(page)
    page.get_by_role("button", name="Undo").click()
    until(lambda: len(filled.query(EDITS)), before + 2)
    assert filled.query(EDITS)[-1][0] == "undo"
    expect(page.get_by_text("with people's edits")).to_have_count(0, timeout=PATIENCE_MS)


def test_a_box_is_drawn_and_becomes_a_cosmic_ray(page: Page, filled: Served) -> None:
    visit(page, filled)
    begin(page)
    before = len(filled.query(EDITS))
    page.get_by_role("button", name="Drag a rectangle of pixels").click()
    first, last = spot(page, 100, 50), spot(page, 103, 54)
    page.mouse.move(*first)
    page.mouse.down()
    page.mouse.move(*last, steps=6)
    page.mouse.up()
    expect(page.get_by_text("Chosen: rectangle of 4 x 5 pixels")).to_be_visible(timeout=PATIENCE_MS)
    page.keyboard.press("y")
    until(lambda: len(filled.query(EDITS)), before + 1)
    assert filled.query(EDITS)[-1][:6] == ["add", "ann", 100, 50, 4, 5]
    expect(page.get_by_text("1 edits hold, by ann")).to_be_visible(timeout=PATIENCE_MS)
    page.keyboard.press("z")
    until(lambda: len(filled.query(EDITS)), before + 2)


def test_calibration_over_open_pixels_is_another_report(page: Page, filled: Served) -> None:
    page.goto(f"{filled.address}/calibration")
    settle(page, "Calibration")
    dataset = "HST/STIS pair"
    sql = "SELECT n, ece FROM calibration_reports WHERE stage = 'shipped' AND dataset = "
    every, only_open = filled.query(f"{sql}'{dataset}' ORDER BY n DESC")
    expect(metric(page, "ECE, equal width")).to_have_text(f"{every[1]:.3g}", timeout=PATIENCE_MS)
    page.get_by_test_id("stButtonGroup").get_by_text("where the question is open").click()
    expect(metric(page, "ECE, equal width")).to_have_text(
        f"{only_open[1]:.3g}", timeout=PATIENCE_MS
    )
    expect(page.get_by_test_id("stMain")).to_contain_text(f"n = {only_open[0]:,}")
    expect(page.get_by_text("without the temperature").first).to_be_visible()
