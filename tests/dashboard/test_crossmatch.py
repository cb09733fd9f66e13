"""The Cross-match page: the counts of the store, and requests for what is open."""

from __future__ import annotations

import json

from streamlit.testing.v1 import AppTest

from dashboard.sky_links import addresses
from db.queries import catalogues
from tests.dashboard.conftest import Open
from tests.dashboard.fakes import FakeOwner


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_the_cards_are_the_counts_of_the_store(looking: FakeOwner, open_page: Open) -> None:
    shown, held = metrics(open_page("crossmatch")), catalogues.summary(looking.store)
    assert shown == {
        "Known": str(held["match"]),
        "Unknown": str(held["no_match"]),
        "Not determined": str(held["not_determined"]),
        "Not asked": str(held["not_asked"]),
    }
    assert held["match"] > 0


def test_a_filter_keeps_the_objects_of_one_state(looking: FakeOwner, open_page: Open) -> None:
    app = open_page("crossmatch", known="known")
    (objects,) = [frame.value for frame in app.dataframe if "separation_arcsec" in frame.value]
    assert len(objects) == len(catalogues.page_of_objects(looking.store, state="match").rows) > 0
    assert set(objects["known"]) == {"known"}


def test_all_that_wait_are_asked_in_one_request(filled_owner: FakeOwner, open_page: Open) -> None:
    waiting = catalogues.summary(filled_owner.store)["waiting"]
    assert waiting > 0
    app = open_page("crossmatch")
    button = app.button(key="ask_open")
    assert str(waiting) in button.label
    button.click().run()
    assert not app.exception
    (request,) = filled_owner.store.rows("SELECT * FROM requests WHERE kind = 'crossref'")
    assert json.loads(request["payload"]) == {"open": True}
    assert app.get("progress")


def test_links_lead_to_the_place() -> None:
    found = addresses(83.63311, -5.5, 2.0)
    assert found["simbad"].endswith(
        "sim-coo?Coord=83.633110%20-5.500000&CooFrame=ICRS&Radius=2&Radius.unit=arcsec"
    )
    assert "ra=83.633110d&dec=-5.500000d&radius=0.0333" in found["ned"]
    assert found["aladin"].endswith("AladinLite/?target=83.633110%20-5.500000&fov=0.05")
