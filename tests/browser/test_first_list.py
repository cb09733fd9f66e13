"""From an empty store to a list of one's own, with no word of help beyond the app."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.browsing import settle
from tests.browser.serving import Served, serve

pytestmark = pytest.mark.browser

SCANNED_MS = 180_000
DESK = ".desk:not([data-item=''])"


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("new")
    with serve(folder / "home", folder / "server.log") as served:
        yield served


def test_a_newcomer_leaves_with_a_list_of_what_they_accepted(page: Page, new: Served) -> None:
    page.goto(new.address)
    settle(page, "Overview")
    page.get_by_role("link", name="Scan images of my own").click()
    settle(page, "Jobs")
    page.get_by_role("spinbutton", name="At most, items").fill("1")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("sim:demo ended")).to_be_visible(timeout=SCANNED_MS)

    page.get_by_role("link", name="Anomalies", exact=True).click()
    settle(page, "Anomalies")
    expect(page.get_by_text("not asked").first).to_be_visible()
    assert new.number("SELECT count(*) FROM detections") > 0

    page.get_by_role("link", name="Verify", exact=True).click()
    settle(page, "Verify")
    page.get_by_label("Your name").fill("ann")
    page.get_by_label("Your name").press("Enter")
    page.locator(DESK).first.wait_for(timeout=60_000)
    page.keyboard.press("a")
    expect(page.get_by_text("ann: 1 labelled (1 accept")).to_be_visible(timeout=30_000)

    page.get_by_test_id("stMain").get_by_text("My labels").click()
    page.get_by_role("link", name="What people accepted").click()
    settle(page, "Anomalies")
    expect(page.get_by_text("1 of ").first).to_be_visible()
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as caught:
        page.get_by_role("button", name="CSV", exact=True).click()
    (row,) = csv.DictReader(io.StringIO(caught.value.path().read_text(encoding="utf-8")))
    labelled = new.query("SELECT detection_id FROM current_labels WHERE labeller = 'ann'")
    assert [row["detection_id"]] == [found[0] for found in labelled]
