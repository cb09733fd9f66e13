"""The Cross-match page as people use it, in a real browser over a real owner."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from db.store import Store
from tests.browser.browsing import settle
from tests.browser.serving import Served, serve
from tests.jobs.catalogues import bodies
from tests.jobs.catalogues.skies import SIMBAD, Sky
from tests.loopback import LoopbackServer, Reply
from tests.store_factory import fill

pytestmark = pytest.mark.browser

OPEN = "SELECT count(*) FROM object_states WHERE state = 'not_determined'"
KNOWN = "SELECT count(*) FROM object_states WHERE state = 'match'"


@pytest.fixture(scope="module")
def services() -> Iterator[LoopbackServer]:
    """SIMBAD knows one place; NED is up again and knows nothing."""
    with LoopbackServer() as running:
        Sky({SIMBAD: [("M 1", "SNR", 83.6, 22.0)]}).serve(running)
        running.on(bodies.NED_PATH, Reply(bodies.NED_NOTHING))
        yield running


def outage(store: Store) -> list[dict[str, Any]]:
    """NED's latest answers on what no catalogue knew: none came."""
    unknown = store.rows(
        """
        SELECT q.* FROM catalogue_queries q JOIN object_states s USING (detection_id)
        WHERE q.service = 'ned' AND s.state = 'no_match'
        """
    )
    trouble = {"answer": "not_determined", "reason": "no answer within 20 s"}
    return [
        row | trouble | {
            "query_id": f"later {row['query_id']}", "asked_at": row["asked_at"] + timedelta(hours=1)
        }
        for row in unknown
    ]  # fmt: skip


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory, services: LoopbackServer) -> Iterator[Served]:
    """A server whose catalogues are on loopback."""
    folder = tmp_path_factory.mktemp("crossmatch")
    with Store.open(folder / "home") as store:
        fill(store, frames=4, per_frame=3)
        store.write({"catalogue_queries": outage(store)})
    addresses = {
        "SKYSIEVE_SIMBAD_URL": f"{services.url}/simbad/sim-tap",
        "SKYSIEVE_NED_URL": f"{services.url}{bodies.NED_PATH}",
        "SKYSIEVE_CATALOGUE_ASK_EVERY_S": "0",
        "SKYSIEVE_CATALOGUE_SERVICES": '["simbad", "ned"]',
    }
    before = {name: os.environ.get(name) for name in addresses}
    os.environ.update(addresses)
    try:
        with serve(folder / "home", Path(folder / "server.log")) as served:
            yield served
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def test_what_waits_is_asked_again_and_settled(page: Page, owned: Served) -> None:
    page.goto(f"{owned.address}/crossmatch")
    settle(page, "Cross-match")
    assert owned.number(OPEN) > 0
    known = owned.number(KNOWN)
    button = page.get_by_role("button", name="Ask again about all")
    expect(button).to_be_enabled()
    button.click()
    expect(page.get_by_text("crossref: done")).to_be_visible(timeout=90_000)
    settle(page, "Cross-match")
    assert owned.number(OPEN) == 0
    assert owned.number(KNOWN) >= known
    expect(page.get_by_role("button", name="Ask again about all 0 that wait")).to_be_disabled()


def test_a_state_is_chosen_and_its_regions_downloaded(page: Page, owned: Served) -> None:
    page.goto(f"{owned.address}/crossmatch")
    settle(page, "Cross-match")
    page.get_by_test_id("stButtonGroup").get_by_text("known", exact=True).click()
    settle(page, "Cross-match")
    expect(page).to_have_url(f"{owned.address}/crossmatch?known=known")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="DS9 regions").click()
    text = Path(downloading.value.path()).read_text()
    assert text.startswith("# Region file format: DS9")
    assert text.count("circle(") == owned.number(KNOWN)
    assert "color=red" not in text
