"""Verify: each press of a key is one row in the store, and undo takes it back."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from db.queries import verify
from tests.dashboard.conftest import Open
from tests.dashboard.fakes import FakeOwner


def begin(open_page: Open, who: str = "ann") -> AppTest:
    app = open_page("verify")
    app.text_input(key="labeller_name").set_value(who)
    next(button for button in app.button if button.label == "Begin").click().run()
    assert not app.exception
    return app


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert not app.exception
    assert not app.error, [error.value for error in app.error]


def log(owner: FakeOwner) -> list[dict[str, Any]]:
    return owner.store.rows("SELECT * FROM labels ORDER BY labelled_at")


def on_screen(app: AppTest) -> str:
    return str(app.session_state["verify_shown"]["detection_id"])


def test_nobody_labels_without_a_name(filled_owner: FakeOwner, open_page: Open) -> None:
    app = open_page("verify")
    assert not [button for button in app.button if button.label == "Accept"]
    app.text_input(key="labeller_name").set_value("   ")
    next(button for button in app.button if button.label == "Begin").click().run()
    assert not [button for button in app.button if button.label == "Accept"]
    assert log(filled_owner) == []


def test_a_label_is_written_for_what_was_on_screen_and_the_next_one_comes(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    expected = [
        d["detection_id"] for d in verify.queue(filled_owner.store, "ann", "most_anomalous")
    ]
    app = begin(open_page)
    assert on_screen(app) == expected[0]
    press(app, "accept")
    assert on_screen(app) == expected[1]
    press(app, "reject")
    press(app, "unsure")
    rows = log(filled_owner)
    assert [(row["detection_id"], row["label"]) for row in rows] == list(
        zip(expected, ("accept", "reject", "unsure"), strict=False)
    )
    assert {row["labeller"] for row in rows} == {"ann"}
    assert all(row["seconds"] >= 0 for row in rows)
    assert any("has labelled **3**: 1 accept, 1 reject, 1 unsure" in m.value for m in app.markdown)


def test_undo_goes_back_as_far_as_one_likes(filled_owner: FakeOwner, open_page: Open) -> None:
    app = begin(open_page)
    first = on_screen(app)
    press(app, "accept")
    second = on_screen(app)
    press(app, "reject")
    press(app, "undo")
    assert on_screen(app) == second
    press(app, "undo")
    assert on_screen(app) == first
    assert [row["label"] for row in log(filled_owner)] == ["accept", "reject", "undo", "undo"]
    assert filled_owner.store.rows("SELECT * FROM current_labels") == []
    assert app.button(key="undo").disabled


def test_what_was_undone_can_be_labelled_again(filled_owner: FakeOwner, open_page: Open) -> None:
    app = begin(open_page)
    first = on_screen(app)
    press(app, "accept")
    press(app, "undo")
    press(app, "reject")
    current = filled_owner.store.rows("SELECT detection_id, label FROM current_labels")
    assert current == [{"detection_id": first, "label": "reject"}]


@pytest.mark.parametrize(("queue", "verdict"), [("near_misses", "near_miss"), ("uncertain",) * 2])
def test_a_queue_shows_only_its_verdict(
    filled_owner: FakeOwner, open_page: Open, queue: str, verdict: str
) -> None:
    app = begin(open_page)
    app.segmented_control(key="queue").set_value(queue).run()
    found = filled_owner.store.rows(
        "SELECT verdict FROM detections WHERE detection_id = $1", [on_screen(app)]
    )
    assert found == [{"verdict": verdict}]


def test_the_end_of_a_queue_says_so_and_undo_still_works(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    app = begin(open_page)
    app.segmented_control(key="queue").set_value("near_misses").run()
    left = verify.queue_lengths(filled_owner.store, "ann")["near_misses"]
    for _ in range(left):
        press(app, "reject")
    assert any("Nothing is left" in message.value for message in app.success)
    press(app, "undo")
    assert verify.queue_lengths(filled_owner.store, "ann")["near_misses"] == 1


def test_another_labeller_starts_afresh(filled_owner: FakeOwner, open_page: Open) -> None:
    app = begin(open_page)
    press(app, "accept")
    next(button for button in app.button if button.label == "Not me").click().run()
    app.text_input(key="labeller_name").set_value("bob")
    next(button for button in app.button if button.label == "Begin").click().run()
    assert any("**bob** has labelled **0**" in m.value for m in app.markdown)
