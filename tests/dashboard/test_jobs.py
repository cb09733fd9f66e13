"""Jobs: what is asked here arrives in the queue, and the history adds up."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from db.queries import jobs, yields
from tests.dashboard.conftest import Open
from tests.dashboard.fakes import FakeOwner


def scans(owner: FakeOwner) -> list[dict[str, Any]]:
    rows = owner.store.rows("SELECT * FROM requests WHERE state = 'queued' ORDER BY asked_at")
    return [row | {"payload": json.loads(row["payload"])} for row in rows]


def start(app: AppTest) -> None:
    next(button for button in app.button if button.label == "Start").click().run()
    assert not app.exception


def test_the_history_adds_up(looking: FakeOwner, open_page: Open) -> None:
    app = open_page("jobs", part="History")
    cycles = jobs.page_of_cycles(looking.store).rows
    stored = sum(row["stored"] for row in cycles)
    text = "\n".join(m.value for m in app.markdown)
    assert f"The last **{len(cycles)}** cycles stored **{stored}** frames." in text
    assert "asked = known + stored + duplicates + failed + ignored" in text


def test_a_failed_run_shows_its_reason_and_traceback(looking: FakeOwner, open_page: Open) -> None:
    app = open_page("jobs", part="Failures")
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


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception


def test_a_schedule_by_cron_with_a_choice_of_sources_is_added(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    app = open_page("jobs")
    app.text_input(key="add_source").set_value("sim:a | sim:b")
    app.selectbox(key="unit_add").set_value("cron")
    app.text_input(key="cron_add").set_value("15 3 * * 1-5")
    app.selectbox(key="policy_add").set_value("aggressive")
    app.checkbox(key="add_thompson").check()
    press(app, "Add")
    (row,) = [row for row in filled_owner.schedules() if row["schedule_id"] != "schedule-1"]
    assert (row["source"], row["cron"], row["every_s"]) == ("sim:a | sim:b", "15 3 * * 1-5", None)
    assert (row["policy"], row["choice"], row["frame_limit"]) == ("aggressive", "thompson", 20)
    assert any("Thompson sampling" in m.value and "at 15 3" in m.value for m in app.markdown)


@pytest.mark.slow
def test_a_cron_line_that_cannot_be_is_refused_with_the_reason(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    app = open_page("jobs")
    app.selectbox(key="unit_add").set_value("cron")
    app.text_input(key="cron_add").set_value("at dawn")
    press(app, "Add")
    assert "five fields" in app.error[0].value
    assert len(filled_owner.schedules()) == 1


@pytest.mark.slow
def test_a_schedule_is_changed_and_removed(filled_owner: FakeOwner, open_page: Open) -> None:
    app = open_page("jobs")
    app.selectbox(key="unit_schedule-1").set_value("hours")
    app.number_input(key="every_schedule-1").set_value(6.0)
    app.number_input(key="limit_schedule-1").set_value(99)
    press(app, "Save")
    (row,) = filled_owner.schedules()
    assert (row["every_s"], row["frame_limit"], row["policy"]) == (6 * 3600.0, 99, "normal")
    app.button(key="remove_schedule-1").click().run()
    assert filled_owner.schedules() == []
    assert not app.exception


@pytest.mark.slow
def test_the_log_of_a_cycle_can_be_read(looking: FakeOwner, open_page: Open) -> None:
    app = open_page("jobs", part="History")
    app.selectbox(key="cycle_log").set_value("cycle-2").run()
    assert not app.exception
    assert any("anomaly failed: the worker was killed twice" in code.value for code in app.code)


@pytest.mark.slow
def test_the_yield_of_every_source_is_shown(looking: FakeOwner, open_page: Open) -> None:
    app = open_page("jobs", part="Yield")
    frames = sum(row["frames"] for row in yields.source_yields(looking.store))
    assert any(f"**Yield** over {frames} stored frames" in m.value for m in app.markdown)


@pytest.mark.slow
def test_digests_and_messages_are_listed(filled_owner: FakeOwner, open_page: Open) -> None:
    made = {"digest_id": "d", "since_at": datetime(2026, 11, 19, 6, tzinfo=UTC),
            "until_at": datetime(2026, 11, 20, 6, tzinfo=UTC), "subject": "3 candidates",
            "body": "", "html_file": "f", "frames": 9, "candidates": 3, "failures": 0,
            "made_at": datetime(2026, 11, 20, 6, tzinfo=UTC)}  # fmt: skip
    filled_owner.store.write({"digests": [made]})
    app = open_page("jobs", part="Messages")
    assert not app.exception
    assert any("**3 candidates** is the newest of 1 digests." in m.value for m in app.markdown)
