"""Jobs: what is asked here arrives in the queue, and the history adds up."""

from __future__ import annotations

import json
from typing import Any

from streamlit.testing.v1 import AppTest

from db.queries import jobs
from tests.dashboard.conftest import Open
from tests.dashboard.fakes import FakeOwner


def scans(owner: FakeOwner) -> list[dict[str, Any]]:
    rows = owner.store.rows("SELECT * FROM requests WHERE state = 'queued' ORDER BY asked_at")
    return [row | {"payload": json.loads(row["payload"])} for row in rows]


def start(app: AppTest) -> None:
    next(button for button in app.button if button.label == "Start").click().run()
    assert not app.exception


def test_the_history_adds_up(looking: FakeOwner, open_page: Open) -> None:
    app = open_page("jobs")
    cycles = jobs.page_of_cycles(looking.store).rows
    stored = sum(row["stored"] for row in cycles)
    text = "\n".join(m.value for m in app.markdown)
    assert f"The last **{len(cycles)}** cycles stored **{stored}** frames." in text
    assert "asked = known + stored + duplicates + failed + ignored" in text


def test_a_failed_run_shows_its_reason_and_traceback(looking: FakeOwner, open_page: Open) -> None:
    app = open_page("jobs")
    assert any("the worker was killed twice" in e.label for e in app.expander)
    assert any("MemoryError" in code.value for code in app.code)


def test_a_new_scan_is_queued_as_asked(filled_owner: FakeOwner, open_page: Open) -> None:
    app = open_page("jobs")
    app.text_input(key="scan_source").set_value("sim:tuesday")
    app.number_input(key="scan_limit").set_value(5)
    start(app)
    (scan,) = scans(filled_owner)
    assert scan["kind"] == "scan"
    assert scan["payload"] == {"source": "sim:tuesday", "limit": 5, "aggressive": False}
    assert app.get("progress")


def test_a_scan_that_cannot_be_is_refused_with_the_reason(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    app = open_page("jobs")
    app.text_input(key="scan_source").set_value("nonsense")
    start(app)
    assert "no source" in app.error[0].value
    assert scans(filled_owner) == []


def test_a_repeated_scan_becomes_a_schedule(filled_owner: FakeOwner, open_page: Open) -> None:
    app = open_page("jobs")
    app.number_input(key="scan_every").set_value(30)
    start(app)
    made = [row for row in filled_owner.schedules() if row["schedule_id"] != "schedule-1"]
    assert [(row["source"], row["every_s"]) for row in made] == [("sim:demo", 1800.0)]


def test_a_schedule_is_run_now_paused_and_resumed(filled_owner: FakeOwner, open_page: Open) -> None:
    app = open_page("jobs")
    app.button(key="run_schedule-1").click().run()
    assert [row["payload"]["source"] for row in scans(filled_owner)] == ["sim:demo"]
    app.button(key="pause_schedule-1").click().run()
    assert filled_owner.schedules()[0]["paused"] is False
    app.button(key="pause_schedule-1").click().run()
    assert filled_owner.schedules()[0]["paused"] is True
    assert not app.exception


def test_a_request_can_be_cancelled(filled_owner: FakeOwner, open_page: Open) -> None:
    payload = {"source": "sim:demo", "limit": 1}
    filled_owner.enqueue("scan", payload, request_id="abc")
    app = open_page("jobs")
    app.button(key="cancel_abc").click().run()
    assert scans(filled_owner) == []
