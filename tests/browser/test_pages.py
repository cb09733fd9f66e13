"""Every page in a real browser, against what the server's own store answers."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.browsing import settle, watched_page
from tests.browser.serving import Served

pytestmark = pytest.mark.browser

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
METRICS = {
    "overview": ("Frames", "SELECT count(*) FROM frames"),
    "compression": ("Frames coded", "SELECT count(*) FROM codec_runs"),
    "cosmicrays": ("Hits", "SELECT sum(hits)::BIGINT FROM cosmic_ray_runs"),
    "anomalies": ("Detections", "SELECT count(*) FROM detections"),
}
SENTENCES = {
    "calibration": ("n = {:,}", "SELECT min(n) FROM calibration_reports WHERE pixels = 'all'"),
    "jobs?part=History": ("cycles stored {} frames", "SELECT sum(stored)::BIGINT FROM cycles"),
    "models": ("{} models", "SELECT count(*) FROM models"),
}
# Controls that nothing names: no text, label, title or description that a reader could say.
UNNAMED = """
() => [...document.querySelectorAll(
    "button, a[href], input, select, textarea, [role=combobox], [role=slider], [role=tab]")]
  .filter((each) => each.getClientRects().length && each.type !== "hidden")
  .filter((each) => !each.closest("[aria-hidden=true]"))
  .filter((each) => ![
    each.getAttribute("aria-label"), each.getAttribute("title"), each.textContent,
    ...(each.getAttribute("aria-labelledby") || "").split(" ")
      .map((id) => document.getElementById(id) && document.getElementById(id).textContent),
    ...[...(each.labels || [])].map((label) => label.textContent),
    ...[...each.querySelectorAll("img")].map((picture) => picture.alt),
  ].some((name) => name && name.trim()))
  .map((each) => each.outerHTML.slice(0, 160))
"""
BEST = "SELECT detection_id FROM detections WHERE verdict = 'candidate' ORDER BY p_value LIMIT 1"


def visit(page: Page, served: Served, name: str) -> None:
    page.goto(f"{served.address}/{'' if name == 'overview' else name}")
    settle(page, PAGES[name.partition("?")[0]])


def metric(page: Page, label: str) -> str:
    card = page.get_by_test_id("stMetric").filter(
        has=page.get_by_test_id("stMetricLabel").get_by_text(label, exact=True)
    )
    return card.get_by_test_id("stMetricValue").inner_text().strip()


@pytest.mark.parametrize("name", METRICS)
def test_a_page_shows_the_number_that_the_store_gives(
    page: Page, filled: Served, name: str
) -> None:
    visit(page, filled, name)
    label, sql = METRICS[name]
    held = filled.number(sql)
    assert held > 0
    assert metric(page, label) == f"{held:,}"


@pytest.mark.parametrize("name", SENTENCES)
def test_a_page_says_the_number_that_the_store_gives(page: Page, filled: Served, name: str) -> None:
    visit(page, filled, name)
    sentence, sql = SENTENCES[name]
    held = filled.number(sql)
    assert held > 0
    expect(page.get_by_test_id("stMain")).to_contain_text(sentence.format(held))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_an_empty_store_says_what_to_do(page: Page, empty: Served, name: str) -> None:
    visit(page, empty, name)
    assert empty.number("SELECT count(*) FROM frames") == 0
    expect(page.get_by_role("button", name="Fill the store with a simulated night")).to_be_visible()


@pytest.mark.parametrize("name", PAGES)
def test_every_control_has_a_name(page: Page, filled: Served, name: str) -> None:
    visit(page, filled, name)
    page.wait_for_timeout(500)
    assert page.evaluate(UNNAMED) == []


def test_the_pages_can_be_walked_through_from_the_first(page: Page, filled: Served) -> None:
    visit(page, filled, "overview")
    for name, title in PAGES.items():
        page.get_by_test_id("stTopNavLink").filter(has_text=title).first.click()
        settle(page, title)
        assert name == "overview" or page.url.split("?")[0].endswith(f"/{name}")


def test_charts_and_pictures_are_drawn(page: Page, filled: Served) -> None:
    visit(page, filled, "calibration")
    expect(page.locator("[data-testid=stVegaLiteChart] svg.marks")).to_have_count(4)
    visit(page, filled, "compression")
    pictures = page.get_by_test_id("stImage").locator("img")
    expect(pictures).to_have_count(5)
    pictures.last.scroll_into_view_if_needed()
    assert all(pictures.evaluate_all("all => all.map(one => one.naturalWidth > 0)"))


def test_a_detection_opens_by_its_address(page: Page, filled: Served) -> None:
    detection_id = filled.query(BEST)[0][0]
    page.goto(f"{filled.address}/anomalies?detection={detection_id}")
    settle(page, "Anomalies")
    held = filled.query(f"SELECT p_value FROM detections WHERE detection_id = '{detection_id}'")
    assert metric(page, "p-value") == f"{held[0][0]:.3g}"


def test_a_filter_is_kept_in_the_address(page: Page, filled: Served) -> None:
    page.goto(f"{filled.address}/anomalies?verdict=near_miss")
    settle(page, "Anomalies")
    near = filled.number("SELECT count(*) FROM detections WHERE verdict = 'near_miss'")
    expect(page.get_by_role("option")).to_have_count(near)


def test_the_gallery_leads_to_the_detection(page: Page, filled: Served) -> None:
    visit(page, filled, "anomalies")
    page.get_by_role("option").first.click()
    page.get_by_role("button", name="All detections").wait_for()
    expect(page).to_have_url(f"{filled.address}/anomalies?detection={filled.query(BEST)[0][0]}")


def test_dark_is_dark_and_light_is_light(browser: Browser, filled: Served) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        with watched_page(browser, scheme) as (page, complaints):
            visit(page, filled, "overview")
            colour = page.evaluate(
                "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
            )
            shades[scheme] = sum(int(part) for part in colour[4:-1].split(",")[:3])
            assert complaints.found == []
    assert shades["light"] > 600 > 200 > shades["dark"]
