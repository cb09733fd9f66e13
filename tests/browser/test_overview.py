"""Overview as a person uses it: what is new since the last visit, and where each number leads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from db.store import Store
from db.visits import look
from tests.browser.browsing import settle, watched_page
from tests.browser.serving import Served, serve_night
from tests.store_factory import NOW

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)

CANDIDATES = "SELECT count(*) FROM detections WHERE verdict = 'candidate'"
FRAMES = "SELECT count(*) FROM frames"
BROWSER = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A night that one browser saw 25 minutes before its end."""
    folder: Path = tmp_path_factory.mktemp("visited")

    def add(store: Store) -> None:
        at = NOW - timedelta(minutes=25)
        look(store, visit_id="before", browser=BROWSER, person="ann", now=at)

    with serve_night(folder, frames=6, per_frame=4, also=add) as served:
        yield served


def opened(page: Page, served: Served, path: str = "") -> None:
    page.goto(f"{served.address}/{path}")
    settle(page, "Overview")


def link(page: Page, text: str) -> None:
    page.get_by_test_id("stMain").get_by_role("link", name=text).first.click()


def test_a_first_visit_counts_everything_and_a_second_nothing(page: Page, visited: Served) -> None:
    opened(page, visited)
    expect(page.get_by_text("This is your first visit here")).to_be_visible()
    frames = visited.number(FRAMES)
    expect(page.get_by_role("link", name=f"{frames} frames")).to_be_visible()
    page.reload()
    settle(page, "Overview")
    expect(page.get_by_text("This is your first visit here")).to_be_visible()
    assert visited.number(f"SELECT count(*) FROM visits WHERE browser <> '{BROWSER}'") == 1


def test_who_comes_back_is_told_what_came_since(browser: Browser, visited: Served) -> None:
    with watched_page(browser) as (page, complaints):
        page.context.add_cookies(
            [{"name": "skysieve_browser", "value": BROWSER, "url": visited.address}]
        )
        opened(page, visited)
        expect(page.get_by_text("Good to see you, ann")).to_be_visible()
        expect(page.get_by_role("link", name="2 frames")).to_be_visible()
        page.get_by_test_id("stButtonGroup").get_by_text("7 days ago").click()
        expect(page).to_have_url(f"{visited.address}/?since=7+days+ago")
        page.reload()
        settle(page, "Overview")
        days = (datetime.now(UTC) - NOW).days
        expected = visited.number(FRAMES) if days < 7 else 0
        expect(page.get_by_role("link", name=f"{expected} frames")).to_be_visible()
        assert complaints.found == []


def test_a_number_leads_to_its_rows(page: Page, visited: Served) -> None:
    opened(page, visited)
    candidates = visited.number(CANDIDATES)
    link(page, f"{candidates} candidates")
    settle(page, "Anomalies")
    assert "verdict=candidate" in page.url
    opened(page, visited)
    link(page, "1 failed run ")
    settle(page, "Jobs")
    expect(page.get_by_role("tab", name="Failures")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_text("the worker was killed twice").first).to_be_visible()


def test_the_sky_is_drawn_and_a_point_of_the_field_opens(page: Page, visited: Served) -> None:
    page.set_viewport_size({"width": 1280, "height": 1600})
    opened(page, visited)
    placed = visited.number("SELECT count(*) FROM detections WHERE ra_deg IS NOT NULL")
    expect(page.get_by_text(f"{placed} detections in 1 cell of 4°")).to_be_visible()
    charts = page.locator("[data-testid=stVegaLiteChart] svg.marks")
    expect(charts).to_have_count(4)
    points = charts.nth(1).locator(".mark-symbol.role-mark path")
    expect(points).to_have_count(placed)
    points.first.click()
    page.get_by_role("link", name="Open the chosen detection").click()
    settle(page, "Anomalies")
    assert "detection=" in page.url


def test_an_empty_store_leads_to_a_first_night(page: Page, empty: Served) -> None:
    page.goto(empty.address)
    settle(page, "Overview")
    expect(page.get_by_text("From here to a list you can trust")).to_be_visible()
    expect(page.get_by_role("button", name="Fill the store")).to_be_enabled()
    page.get_by_role("link", name="Scan images of my own").click()
    settle(page, "Jobs")


def test_the_page_fits_a_tablet(page: Page, visited: Served) -> None:
    page.set_viewport_size({"width": 820, "height": 1180})
    opened(page, visited)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 820
