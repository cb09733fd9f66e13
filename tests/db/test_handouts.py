"""Two people at one queue: nothing is handed to both within a minute, and nothing is lost."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from db.handouts import HOLD, Handed, Wish, hand_out, release, skip, take_skip_back
from db.labels import add_label
from db.store import Store
from tests.db.queries import rows

ANN = Wish("ann", "ann's browser", "most_anomalous", 2)
BOB = Wish("bob", "bob's browser", "most_anomalous", 2)
SECOND = timedelta(seconds=1)


@pytest.fixture
def queued(store: Store) -> Store:
    detections = [rows.detection(f"d{n}", verdict="normal", p_value=n / 10) for n in range(1, 7)]
    store.write({"runs": [rows.run("r", "f")], "detections": detections})
    return store


def say(store: Store, detection_id: str, who: str, now: datetime, **more: Any) -> None:
    add_label(store, label_id=f"{who}-{detection_id}", detection_id=detection_id,
              label="reject", labeller=who, now=now, **more)  # fmt: skip


def test_two_browsers_share_a_queue_without_meeting(queued: Store, now: datetime) -> None:
    assert hand_out(queued, ANN, now) == Handed(("d1", "d2"))
    assert hand_out(queued, BOB, now) == Handed(("d3", "d4"))
    say(queued, "d1", "ann", now)
    later = now + HOLD - SECOND
    assert hand_out(queued, replace(BOB, wanted=1, held=("d3", "d4")), later) == Handed(("d5",))
    # d1 is free again after its minute, although ann labelled it: it wants a second vote.
    over = now + HOLD + SECOND
    found = hand_out(queued, replace(BOB, held=("d3", "d4", "d5")), over)
    assert found == Handed(("d1", "d2"))


def test_who_comes_back_too_late_is_told_what_went_to_another(queued: Store, now: datetime) -> None:
    hand_out(queued, ANN, now)
    late = now + HOLD + SECOND
    assert hand_out(queued, BOB, late).detection_ids == ("d1", "d2")
    found = hand_out(queued, replace(ANN, wanted=1, held=("d1", "d2")), late + SECOND)
    assert found == Handed(("d3",), withdrawn=("d1", "d2"))


def test_what_is_renewed_stays_with_its_holder(queued: Store, now: datetime) -> None:
    hand_out(queued, ANN, now)
    for minutes in (0.9, 1.8, 2.7):
        at = now + timedelta(minutes=minutes)
        assert hand_out(queued, replace(ANN, wanted=0, held=("d1", "d2")), at) == Handed(())
    assert hand_out(queued, BOB, at).detection_ids == ("d3", "d4")


def test_a_browser_is_a_holder_even_of_the_same_person(queued: Store, now: datetime) -> None:
    hand_out(queued, ANN, now)
    twin = replace(ANN, holder="ann's other browser")
    assert hand_out(queued, twin, now).detection_ids == ("d3", "d4")


def test_the_audit_is_for_many_eyes(queued: Store, now: datetime) -> None:
    both = [
        set(hand_out(queued, replace(wish, queue="random", wanted=6), now).detection_ids)
        for wish in (ANN, BOB)
    ]
    assert both[0] == both[1]
    assert len(both[0]) == 6


def test_what_is_released_is_free_at_once(queued: Store, now: datetime) -> None:
    hand_out(queued, ANN, now)
    say(queued, "d1", "ann", now)
    release(queued, ANN.holder)
    assert hand_out(queued, BOB, now).detection_ids == ("d2", "d3")


def test_what_was_skipped_comes_last_and_can_come_back(queued: Store, now: datetime) -> None:
    skip(queued, "ann", ANN.holder, "d1", now)
    found = hand_out(queued, replace(ANN, wanted=6), now)
    assert found.detection_ids == ("d2", "d3", "d4", "d5", "d6", "d1")
    take_skip_back(queued, "ann", "d1")
    release(queued, ANN.holder)
    assert hand_out(queued, ANN, now).detection_ids[0] == "d1"


def test_gold_is_mixed_in_and_nothing_tells_it_apart(queued: Store, now: datetime) -> None:
    gold = {"detection_id": "d6", "kind": "boring", "origin": "expert", "set_by": "eve"}
    queued.write({"gold_items": [{**gold, "set_at": now}]})
    wish = replace(ANN, wanted=1, gold_every=2)
    assert hand_out(queued, wish, now).detection_ids == ("d1",)
    found = hand_out(queued, replace(wish, held=("d1", "d2")), now)
    assert found.detection_ids == ("d6",)
    again = hand_out(queued, replace(wish, held=("d1", "d2", "d6")), now)
    assert again.detection_ids == ("d3",)


@pytest.mark.slow
def test_no_two_are_handed_the_same_within_a_minute(queued: Store, now: datetime) -> None:
    walk = random.Random(3)
    handed = dict[str, tuple[str, datetime]]()
    for _ in range(25):
        now += timedelta(seconds=walk.uniform(0, 40))
        who = walk.choice("abc")
        wish = Wish(who, who, "most_anomalous", walk.randint(0, 2))
        for one in hand_out(queued, wish, now).detection_ids:
            before = handed.get(one)
            assert before is None or before[0] == who or now - before[1] >= HOLD
            handed[one] = (who, now)
    assert len({who for who, _ in handed.values()}) > 1
