"""The list of anomalies in a real browser: narrowed, linked, brushed, labelled, exported."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from playwright.sync_api import Locator, Page, expect

from db.clusters import keep_map, kinds
from db.store import Store
from tests.browser.browsing import settle
from tests.browser.serving import Served, serve_night
from tests.store_factory import NOW, group_in_two

pytestmark = pytest.mark.browser

VERDICT = "SELECT count(*) FROM detections WHERE verdict = '{}'"
HELD = "SELECT count(*) FROM current_labels WHERE kind = 'cosmic_ray' AND labeller = 'ann' "
HELD += "AND label = 'reject' AND grade = 2"


def place_on_maps(store: Store) -> None:
    """Two clusters, and a map with the even rows at the left and the odd ones at the right."""
    ids = group_in_two(store)
    (kind,) = kinds(store)
    side = np.arange(len(ids)) % 2
    points = np.stack([2.0 * side - 1, np.linspace(-1, 1, len(ids))], axis=1)
    keep_map(
        store, kind, "pca", ids, points, map_id="m", seed=0, left_out=0, explained=0.4,
        asked_by="t", now=NOW,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """Expect for longer: what is awaited here comes after a run of the script on a busy machine."""
    expect.set_options(timeout=30_000)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("anomalies")
    with serve_night(folder, frames=6, per_frame=4, also=place_on_maps) as served:
        yield served


def open_list(page: Page, night: Served, query: str = "") -> None:
    page.goto(f"{night.address}/anomalies{query}")
    settle(page, "Anomalies")


def shows(page: Page, words: str) -> None:
    expect(page.get_by_text(words, exact=True)).to_be_visible()


def drag(page: Page, chart: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over a chart between two places, as shares of its width and height."""
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=8)
    page.mouse.up()


def picture(page: Page, name: str) -> None:
    """Keep a picture where SCREENSHOTS says, for people to look at."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.wait_for_timeout(1500)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_what_a_list_is_narrowed_to_is_in_its_address_and_in_a_saved_view(
    page: Page, night: Served
) -> None:
    candidates = night.number(VERDICT.format("candidate"))
    open_list(page, night)
    shows(page, "20 detections")
    page.get_by_role("button", name=re.compile("^candidate")).click()
    shows(page, f"{candidates} of 20 detections")
    expect(page).to_have_url(re.compile("verdict=candidate"))
    expect(page.get_by_role("option")).to_have_count(candidates)
    page.reload()
    settle(page, "Anomalies")
    shows(page, f"{candidates} of 20 detections")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("textbox", name="Save this view as").fill("the best")
    page.get_by_role("textbox", name="Who saves it").fill("ann")
    page.get_by_role("textbox", name="Who saves it").press("Tab")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("link", name="the best")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Clear all").click()
    shows(page, "20 detections")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("link", name="the best").click()
    shows(page, f"{candidates} of 20 detections")
    expect(page).to_have_url(re.compile("verdict=candidate"))


def test_a_rectangle_on_the_map_is_labelled_as_a_whole_and_taken_back(
    page: Page, night: Served
) -> None:
    open_list(page, night, "?view=map")
    shows(page, "20 detections")
    chart = page.get_by_test_id("stVegaLiteChart").locator("svg.marks")
    expect(chart).to_be_visible()
    picture(page, "map")
    # The chart's own axes: the left half holds the ten even rows.
    drag(page, chart, (0.003, 0.945), (0.5, 0.16))
    shows(page, "10 of 20 detections")
    expect(page).to_have_url(re.compile("box=m"))
    page.get_by_role("button", name="Label", exact=True).click()
    page.get_by_role("textbox", name="Who labels").fill("ann")
    page.get_by_role("textbox", name="Who labels").press("Enter")
    page.get_by_role("radio", name="all 10").click()
    bar = page.get_by_test_id("stPopoverBody")
    bar.get_by_role("radio", name="2", exact=True).click()
    bar.get_by_role("button", name="Cosmic ray", exact=True).click()
    expect(page.get_by_text("ann labelled 10: cosmic ray")).to_be_visible()
    assert night.number(HELD) == 10
    # The facet counts them and narrows the list to them.
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Clear all").click()
    shows(page, "20 detections")
    page.get_by_role("button", name="Cosmic ray 10").click()
    shows(page, "10 of 20 detections")
    expect(page).to_have_url(re.compile("called=cosmic_ray"))
    picture(page, "facets")
    page.get_by_role("button", name="Label", exact=True).click()
    assert night.number("SELECT count(DISTINCT detection_id) FROM labels") == 10
    page.get_by_role("button", name="Take back 10").click()
    expect(page.get_by_text("Took back 10 labels")).to_be_visible()
    assert night.number(HELD) == 0
    assert night.number("SELECT count(*) FROM labels WHERE label = 'undo'") == 10


def test_a_histogram_filters_the_list_and_a_cluster_takes_a_name(page: Page, night: Served) -> None:
    open_list(page, night, "?view=scores")
    charts = page.get_by_test_id("stVegaLiteChart").locator("svg.marks")
    expect(charts.nth(2)).to_be_visible()
    picture(page, "scores")
    # Cosmic-ray share: artefacts have 0.9, all others 0.02.
    drag(page, charts.nth(2), (0.6, 0.3), (0.98, 0.3))
    artefacts = night.number(VERDICT.format("artefact"))
    shows(page, f"{artefacts} of 20 detections")
    expect(page).to_have_url(re.compile("cosmic_ray_share=0"))
    page.get_by_role("button", name=re.compile("^cosmic-ray share")).click()
    shows(page, "20 detections")
    page.get_by_role("radio", name="Clusters").click()
    page.get_by_role("button", name="Name", exact=True).first.click()
    page.get_by_role("textbox", name="Name", exact=True).fill("odd rings")
    page.get_by_role("textbox", name="Who names it").fill("bob")
    page.get_by_role("textbox", name="Who names it").press("Tab")
    page.get_by_role("button", name="Keep the name").click()
    expect(page.get_by_text("odd rings").first).to_be_visible()
    assert night.query("SELECT name, named_by FROM current_cluster_names") == [["odd rings", "bob"]]
    picture(page, "clusters")


def test_the_gallery_goes_by_keys_and_opens_a_detection_in_full(page: Page, night: Served) -> None:
    open_list(page, night)
    cards = page.get_by_role("option")
    expect(cards).to_have_count(20)
    picture(page, "gallery")
    cards.first.focus()
    for key in ("x", "ArrowRight", " "):
        page.keyboard.press(key)
    expect(page.get_by_role("button", name="Label 2", exact=True)).to_be_visible()
    expect(page.locator("[aria-selected=true][role=option]")).to_have_count(2)
    cards.nth(2).focus()
    name = cards.nth(2).get_attribute("data-id")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"detection={name}"))
    expect(page.get_by_role("img", name="finder chart")).to_be_visible()
    expect(page.get_by_text("Why", exact=True)).to_be_visible()
    page.get_by_text("Provenance", exact=True).click()
    frame = night.query(f"SELECT frame_digest FROM detections WHERE detection_id = '{name}'")[0][0]
    expect(page.get_by_text(str(frame))).to_be_visible()
    picture(page, "detection")
    page.get_by_role("button", name="All detections").click()
    shows(page, "20 detections")


def test_the_whole_list_is_a_file_not_only_the_page(page: Page, night: Served) -> None:
    open_list(page, night, "?verdict=candidate,near_miss&view=table")
    listed = night.number("SELECT count(*) FROM detections WHERE verdict IN "
                          "('candidate', 'near_miss')")  # fmt: skip
    shows(page, f"{listed} of 20 detections")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as caught:
        page.get_by_role("button", name="CSV", exact=True).click()
    text = caught.value.path().read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == listed
    assert {row["verdict"] for row in rows} == {"candidate", "near_miss"}
    page.get_by_role("button", name="FITS cutouts").click()
    fetch = page.get_by_role("button", name=f"Fetch {listed} cutouts")
    expect(fetch).to_be_visible(timeout=120_000)
    with page.expect_download() as caught:
        fetch.click()
    with fits.open(caught.value.path()) as read:
        assert len(read) == 2 + listed
        assert len(read["CATALOG"].data) == listed
