"""Overview: numbers that the store also gives, since I was last here."""

from __future__ import annotations

from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import news
from db.queries import overview
from db.visits import look
from tests.dashboard.conftest import APP, Open
from tests.dashboard.fakes import FakeOwner
from tests.store_factory import NOW


def links(app: AppTest) -> str:
    """What the links of a page say, one a line."""
    return "\n".join(str(element.proto.label) for element in app.get("page_link"))


def test_every_number_of_the_first_visit_counts_everything(
    looking: FakeOwner, open_page: Open
) -> None:
    app = open_page("overview")
    counts = overview.counts(looking.store)
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Frames"] == str(counts["frames"]) == "6"
    assert shown["Detections"] == str(counts["detections"]) == "20"
    text = links(app)
    for row in overview.new_since(looking.store, None):
        one, many, _ = news.NEW[row["kind"]]
        assert f"**{row['n']}** {one if row['n'] == 1 else many}" in text
    for row in overview.needs_a_person(looking.store):
        one, many, _ = news.NEEDED[row["kind"]]
        assert f"**{row['n']}** {one if row['n'] == 1 else many}" in text
    assert "**1** failed run " in text
    assert "**1** item that did not come in " in text
    assert any("first visit" in caption.value for caption in app.caption)


def test_what_is_new_is_what_came_since_the_last_visit(filled_owner: FakeOwner) -> None:
    before = NOW - timedelta(minutes=25)
    look(filled_owner.store, visit_id="v", browser="elsewhere", person="ann", now=before)
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.session_state["labeller"] = "ann"
    app.run()
    assert not app.exception
    assert "**2** frames" in links(app)
    assert any("Good to see you, **ann**" in m.value for m in app.markdown)
    assert filled_owner.store.rows("SELECT count(*) AS n FROM visits") == [{"n": 2}]


@pytest.mark.slow
def test_another_span_is_kept_in_the_address(looking: FakeOwner, open_page: Open) -> None:
    app = open_page("overview", since="the last cycle")
    cycle = overview.last_cycle(looking.store)
    assert cycle is not None
    found = {row["kind"]: row for row in overview.new_since(looking.store, cycle["started_at"])}
    assert 0 < found["frame"]["n"] < 6
    assert f"**{found['frame']['n']}** frames" in links(app)


def test_a_disk_that_fills_up_is_said(
    looking: FakeOwner, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = type("Usage", (), {"total": 10**12, "used": 95 * 10**10, "free": 5 * 10**10})
    monkeypatch.setattr("dashboard.news.shutil.disk_usage", lambda _: full)
    app = open_page("overview")
    assert any("has 50 GB left of 1000 GB" in warning.value for warning in app.warning)
