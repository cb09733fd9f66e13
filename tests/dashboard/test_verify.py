"""Verify: what a browser says is written once, in order, and by who is signed in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.verification import gold, history, people
from dashboard.verification.actions import ACTIONS
from dashboard.verification.cutouts import Look, Window
from dashboard.verification.outbox import Event, Outcome, carry_out
from db.labels import KINDS
from db.queries import verify
from tests.dashboard.conftest import Open
from tests.dashboard.fakes import FakeOwner


def event(number: int, detection_id: str, kind: str = "boring", **more: Any) -> Event:
    return {"id": f"e{number}", "type": "say", "detection_id": detection_id, "kind": kind, **more}


def tell(owner: FakeOwner, outcome: Outcome, *events: Event, who: str = "ann") -> Outcome:
    carry_out(owner.labelling, events, labeller=who, holder="browser", outcome=outcome)
    return outcome


def log(owner: FakeOwner) -> list[dict[str, Any]]:
    return owner.store.rows("SELECT * FROM labels ORDER BY labelled_at")


def some(owner: FakeOwner, count: int) -> list[str]:
    return [d["detection_id"] for d in verify.queue(owner.store, "ann", "random", count)]


def test_keys_are_one_each_and_every_kind_has_one() -> None:
    keys = [action.key for action in ACTIONS]
    assert len(set(keys)) == len(keys)
    assert [action.name for action in ACTIONS if action.group == "kind"] == list(KINDS)


def test_what_is_sent_again_is_written_once(filled_owner: FakeOwner) -> None:
    a, b, c = some(filled_owner, 3)
    first = event(1, a, "astrophysical", grade=4, comment="ring", seconds=1.5, blind=True)
    outbox = [first, event(2, b)]
    outcome = tell(filled_owner, Outcome(), *outbox)
    tell(filled_owner, outcome, *outbox, event(3, c, "unsure"))
    # Another session of the same browser, after a reload, sends what it does not know was written.
    tell(filled_owner, Outcome(), *outbox)
    rows = log(filled_owner)
    assert [(row["label_id"], row["label"]) for row in rows] == [
        ("e1", "accept"), ("e2", "reject"), ("e3", "unsure"),
    ]  # fmt: skip
    assert (rows[0]["kind"], rows[0]["grade"], rows[0]["comment"]) == ("astrophysical", 4, "ring")
    assert (rows[0]["seconds"], rows[0]["blind"], rows[0]["labeller"]) == (1.5, True, "ann")
    assert outcome.acked == ["e1", "e2", "e3"]


def test_one_wrong_event_keeps_none_of_the_others(filled_owner: FakeOwner) -> None:
    a, b = some(filled_owner, 2)
    outcome = tell(filled_owner, Outcome(), event(1, a), event(2, "gone"), event(3, b))
    assert outcome.acked == ["e1", "e3"]
    assert [each["id"] for each in outcome.refused] == ["e2"]
    assert "'gone': unknown" in outcome.refused[0]["message"]
    assert len(log(filled_owner)) == 2


def test_a_selection_is_written_wholly_or_not_at_all(filled_owner: FakeOwner) -> None:
    a, b, c = some(filled_owner, 3)
    wrong = [event(2, b, group="g"), event(3, "gone", group="g")]
    outcome = tell(filled_owner, Outcome(), event(1, a), *wrong, event(4, c))
    assert outcome.acked == ["e1", "e4"]
    assert [each["id"] for each in outcome.refused] == ["e2", "e3"]
    assert {row["detection_id"] for row in log(filled_owner)} == {a, c}


def test_one_undo_takes_a_selection_back_in_one_write(filled_owner: FakeOwner) -> None:
    ids = some(filled_owner, 6)
    store, before = filled_owner.store, filled_owner.store.changes
    said = [event(number, each, group="g") for number, each in enumerate(ids)]
    outcome = tell(filled_owner, Outcome(), *said)
    assert (len(log(filled_owner)), store.changes) == (6, before + 1)
    undos = [
        {"id": f"u{n}", "type": "undo", "undoes": f"e{n}", "group": "undo-g"} for n in range(6)
    ]
    tell(filled_owner, outcome, *said, *undos)
    assert (len(log(filled_owner)), store.changes) == (12, before + 2)
    assert store.rows("SELECT * FROM current_labels") == []
    # One that was changed meanwhile keeps the others from going back behind the person's back.
    tell(filled_owner, outcome, *[event(10 + n, each, group="h") for n, each in enumerate(ids)])
    tell(filled_owner, Outcome(), event(20, ids[5], "unsure"))
    again = [
        {"id": f"v{n}", "type": "undo", "undoes": f"e{10 + n}", "group": "undo-h"} for n in range(6)
    ]
    outcome = tell(filled_owner, Outcome(), *again)
    assert [each["id"] for each in outcome.refused] == [f"v{n}" for n in range(6)]
    assert len(store.rows("SELECT * FROM current_labels")) == 6


def test_undo_goes_back_as_far_as_one_likes(filled_owner: FakeOwner) -> None:
    a, b = some(filled_owner, 2)
    outcome = tell(filled_owner, Outcome(), event(1, a), event(2, b))
    tell(filled_owner, outcome, {"id": "u1", "type": "undo", "undoes": "e2"})
    assert outcome.brought == []
    # A browser that knows nothing of the label before asks for the latest one that holds.
    earlier = {"id": "u2", "type": "undo", "undoes": None}
    tell(filled_owner, outcome, earlier)
    tell(filled_owner, outcome, earlier)
    assert outcome.brought == [("u2", a)]
    assert [row["label"] for row in log(filled_owner)] == ["reject", "reject", "undo", "undo"]
    tell(filled_owner, outcome, {"id": "u3", "type": "undo", "undoes": None})
    assert outcome.nothing_to_undo
    assert filled_owner.store.rows("SELECT * FROM current_labels") == []


def test_nobody_undoes_the_label_of_another(filled_owner: FakeOwner) -> None:
    (a,) = some(filled_owner, 1)
    tell(filled_owner, Outcome(), event(1, a))
    undo = {"id": "u1", "type": "undo", "undoes": "e1"}
    outcome = tell(filled_owner, Outcome(), undo, who="bob")
    assert "bob's own latest label" in outcome.refused[0]["message"]


def test_skipping_puts_off_and_can_be_taken_back(filled_owner: FakeOwner) -> None:
    first = filled_owner.labelling.hand_out("ann", "browser", "most_anomalous", 1).detection_ids[0]
    skip = {"id": "s1", "type": "skip", "detection_id": first}
    outcome = tell(filled_owner, Outcome(), skip)
    handed = filled_owner.labelling.hand_out("ann", "browser", "most_anomalous", 1)
    assert handed.detection_ids != (first,)
    assert filled_owner.labelling.hand_out("ann", "x", "skipped", 9).detection_ids == (first,)
    tell(filled_owner, outcome, {"id": "s2", "type": "unskip", "detection_id": first})
    assert filled_owner.labelling.hand_out("ann", "y", "skipped", 9).detection_ids == ()


def test_the_labeller_is_who_is_signed_in_whatever_a_browser_says(filled_owner: FakeOwner) -> None:
    (a,) = some(filled_owner, 1)
    tell(filled_owner, Outcome(), event(1, a, labeller="eve"))
    assert log(filled_owner)[0]["labeller"] == "ann"


def test_an_event_of_no_kind_is_refused(filled_owner: FakeOwner) -> None:
    outcome = tell(filled_owner, Outcome(), {"id": "x", "type": "dance"})
    assert "expected an event of the desk, got 'dance'" in outcome.refused[0]["message"]


def test_a_window_is_cut_where_the_frame_ends() -> None:
    found = {"kind": "source", "x": 0.0, "y": 9.0, "size_px": 16, "height": 10, "width": 10}
    window = Window.around(found)
    assert (window.left, window.top, window.side) == (-16, -6, 32)
    cut = window.of(np.ones((10, 10), dtype=np.float32))
    assert cut.shape == (32, 32)
    assert np.isfinite(cut).sum() == 100
    assert np.isfinite(cut[6:16, 16:26]).all()


def test_a_look_that_is_not_known_is_the_default() -> None:
    assert Look.of({"stretch": "<b>", "palette": 3, "inverted": 0}) == Look()
    assert Look.of({"stretch": "log", "palette": "viridis", "inverted": True}).name == (
        "log/viridis/inverted"
    )


def begin(open_page: Open, who: str, **query: str) -> AppTest:
    app = open_page("verify", **query)
    app.text_input(key="labeller_name").set_value(who)
    next(button for button in app.button if button.label == "Begin").click().run()
    assert not app.exception, [error.value for error in app.exception]
    return app


def test_nobody_labels_without_a_name(filled_owner: FakeOwner, open_page: Open) -> None:
    app = open_page("verify")
    app.text_input(key="labeller_name").set_value("   ")
    next(button for button in app.button if button.label == "Begin").click().run()
    assert [field.label for field in app.text_input] == ["Your name"]
    assert filled_owner.store.rows("SELECT * FROM handouts") == []


def test_a_link_opens_its_queue_and_nothing_is_handed_to_nobody(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    app = begin(open_page, "ann", queue="near_misses")
    assert app.selectbox(key="queue").value == "near_misses"
    assert any("Just short of being candidates" in caption.value for caption in app.caption)
    # No browser has said who it is, so nothing is on anybody's screen.
    assert filled_owner.store.rows("SELECT * FROM handouts") == []


@pytest.mark.parametrize("view", ["history", "people", "ranking"])
def test_every_view_opens_by_its_link(filled_owner: FakeOwner, open_page: Open, view: str) -> None:
    a, b = some(filled_owner, 2)
    tell(filled_owner, Outcome(), event(1, a), event(2, b, "astrophysical"))
    tell(filled_owner, Outcome(), {**event(3, a, "astrophysical")}, who="bob")
    filled_owner.labelling.ranker.rank("test")
    app = begin(open_page, "ann", view=view)
    shown = " ".join(m.value for m in [*app.markdown, *app.caption, *app.metric])
    expected = {
        "history": "Labels of yours that hold: 2.",
        "people": "**1** disputed",
        "ranking": "exploit (most interesting)",
    }
    assert expected[view] in shown


@pytest.mark.slow
def test_lists_of_people_turn_their_pages(filled_owner: FakeOwner, open_page: Open) -> None:
    ids = some(filled_owner, 20)
    for who, kind in (("ann", "astrophysical"), ("bob", "boring")):
        tell(filled_owner, Outcome(), *[event(n, each, kind) | {"id": f"{who}{n}"}
                                        for n, each in enumerate(ids)], who=who)  # fmt: skip
    filled_owner.labelling.set_gold([(one, "boring") for one in ids], origin="expert", set_by="eve")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(people, "PER_PAGE", 12)
        patched.setattr(gold, "PER_PAGE", 12)
        app = begin(open_page, "ann", view="people")
        for name in ("standing", "gold_items", "differences"):
            first = shown(app, name)
            app.button(key=f"{name}_next").click().run()
            following = shown(app, name)
            assert (len(first), len(following)) == (12, 8)
            assert sorted(first + following) == sorted(ids)
            assert app.button(key=f"{name}_next").disabled
            app.button(key=f"{name}_previous").click().run()
            assert shown(app, name) == first
        app.button_group(key="standing_state").set_value("agreed").run()
        assert shown(app, "standing") == []


@pytest.mark.slow
def test_the_history_turns_its_pages(filled_owner: FakeOwner, open_page: Open) -> None:
    ids = some(filled_owner, 20)
    tell(filled_owner, Outcome(), *[event(n, each) for n, each in enumerate(ids)])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(history, "PER_PAGE", 12)
        app = begin(open_page, "ann", view="history")
        assert any("Labels of yours that hold: 20." in each.value for each in app.caption)
        assert len(app.dataframe[0].value) == 12
        app.button(key="history_next").click().run()
        assert len(app.dataframe[0].value) == 8
        assert not app.exception


def shown(app: AppTest, name: str) -> list[str]:
    """The detections that a table links to."""
    keys = ["people", "pairs", "differences", "standing", "gold_people", "gold_nights"]
    tables = dict(zip([*keys, "gold_items"], app.dataframe, strict=True))
    return [link.partition("=")[2] for link in tables[name].value["open"]]
