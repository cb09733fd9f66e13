"""Models: what each was fitted on, and who ranks: learned, promoted and taken back by a click."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import learning as pages
from dashboard.model_card import flat
from db import learning
from db import requests as queue
from db.queries import models
from jobs.carriers import Carriers
from jobs.errors import JobError
from tests.dashboard.conftest import Open
from tests.dashboard.fakes import FakeOwner, now
from tests.dashboard.test_jobs import scans
from tests.jobs.stubs import InlineWorkers


def said(app: AppTest) -> str:
    return "\n".join(str(e.value) for kind in ("markdown", "caption") for e in app.get(kind))


def test_the_page_counts_its_models_and_opens_the_one_of_the_address(
    looking: FakeOwner, open_page: Open
) -> None:
    rows = models.models(looking.store)
    last = rows[-1]
    app = open_page("models", model=last["model_digest"])
    used = sum(row["in_use"] for row in rows)
    assert f"**{len(rows)}** models, **{used}** of them in use." in said(app)
    assert any(heading.value == last["name"].replace("-", "\\-") for heading in app.subheader)
    assert f"{last['all_runs']} runs" in said(app)


def test_an_address_of_no_model_says_so(looking: FakeOwner, open_page: Open) -> None:
    app = open_page("models", model="<b>")
    assert "No model" in app.error[0].value


def test_the_figures_of_a_card_are_flattened() -> None:
    figures = {"steps": 5, "set": {"ece": 0.5, "words": "none", "deep": {"n": True}}}
    assert [(row["figure"], row["value"]) for row in flat(figures)] == [
        ("steps", 5.0), ("set › ece", 0.5), ("set › deep › n", 1.0),
    ]  # fmt: skip


def trained(owner: FakeOwner, number: int, status: str) -> str:
    """A training with its model, promoted or refused."""
    digest, at = f"interest-{number}", datetime(2026, 11, 20, number, tzinfo=UTC)
    figure = {"champion": 0.7, "challenger": 0.8, "low": 0.6, "high": 0.8}
    card = {"name": digest, "pipeline": "interest", "digest": digest, "seed": 0,
            "description": "a ranking", "architecture": {"dimension": 4096}, "data": "labels",
            "command": "learn", "device": "CPU", "trained_at": at.isoformat()}  # fmt: skip
    owner.store.write(
        {
            "models": [{"model_digest": digest, "name": digest, "pipeline": "interest",
                        "card": card, "registered_at": at}],
            "training_runs": [
                {"training_id": digest, "pipeline": "interest", "model_digest": digest,
                 "command": "", "status": status, "metrics": {"accuracy": figure},
                 "started_at": at, "role": "interest", "reason": f"because of {number}"}
            ],
        }
    )  # fmt: skip
    ids = [row["detection_id"] for row in owner.store.rows("SELECT detection_id FROM detections")]
    numbers = [((hash_of(i, number)),) * 2 for i in ids]
    learning.keep_interest(owner.store, digest, ids, numbers, at)
    if status == "promoted":
        learning.choose_model(
            owner.store, choice_id=digest, model_digest=digest, action="promote",
            training_id=digest, reason="", chosen_by="test", now=at,
        )  # fmt: skip
    return digest


def hash_of(text: str, number: int) -> float:
    return int(hashlib.sha256(f"{text}{number}".encode()).hexdigest()[:8], 16) / 2**32


def test_learning_is_asked_for_and_taken_back_by_a_click(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    trained(filled_owner, 1, "promoted")
    trained(filled_owner, 2, "refused")
    last = trained(filled_owner, 3, "promoted")
    assert learning.current_model(filled_owner.store) == last
    app = open_page("models")
    assert any("The ranking in use: **the training of" in m.value for m in app.markdown)
    app.button(key="learn_now").click().run()
    assert [row["kind"] for row in scans(filled_owner)] == ["learn"]
    app.button(key="ask_roll_back").click().run()
    assert learning.current_model(filled_owner.store) == last
    app.button(key="roll_back").click().run()
    assert not app.exception
    # The page asked and goes on; the owner does it in its own time, and its progress is shown.
    assert learning.current_model(filled_owner.store) == last
    assert any("roll back: waits for its turn" in text for text in progress(app))
    assert app.button(key="ask_roll_back").disabled
    assert app.button(key="ask_promote").disabled
    assert work_off(filled_owner, "roll_back")["state"] == "done"
    app.run()
    assert learning.current_model(filled_owner.store) == "interest-1"
    assert any("roll back: done" in each.value for each in app.success)
    assert not app.button(key="ask_promote").disabled


def progress(app: AppTest) -> list[str]:
    return [each.proto.text for each in app.get("progress")]


def work_off(owner: FakeOwner, kind: str) -> dict[str, Any]:
    """Carry the next request of a kind out as the owner does."""
    request = queue.claim_next(owner.store, now(), [kind])
    assert request is not None
    carriers = Carriers(owner.store, InlineWorkers(), (), owner.settings, now)
    try:
        state, result, error = "done", dict(carriers.by_kind()[kind](request)), ""
    except JobError as trouble:
        state, result, error = "failed", {}, str(trouble)
    return queue.finish(
        owner.store, request["request_id"], state=state, result=result, error=error, now=now()
    )


def test_a_roll_back_of_another_ranking_than_the_one_seen_is_refused(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    trained(filled_owner, 1, "promoted")
    app = open_page("models")
    app.button(key="ask_roll_back").click().run()
    app.button(key="roll_back").click().run()
    newer = trained(filled_owner, 2, "promoted")
    assert work_off(filled_owner, "roll_back")["state"] == "failed"
    assert learning.current_model(filled_owner.store) == newer
    app.run()
    assert any("another ranking came into use meanwhile" in each.value for each in app.error)


def test_a_roll_back_that_ends_while_the_page_is_drawn_is_shown(
    filled_owner: FakeOwner, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(filled_owner, 1, "promoted")
    trained(filled_owner, 2, "promoted")
    drawn = pages._in_use

    def drawn_and_then_ended(current: str | None, names: dict[str, str]) -> None:
        drawn(current, names)
        if scans(filled_owner):
            work_off(filled_owner, "roll_back")

    app = open_page("models")
    app.button(key="ask_roll_back").click().run()
    monkeypatch.setattr(pages, "_in_use", drawn_and_then_ended)
    app.button(key="roll_back").click().run()
    assert learning.current_model(filled_owner.store) == "interest-1"
    assert any("roll back: done" in each.value for each in app.success)
    assert not app.button(key="ask_promote").disabled


def test_a_refused_training_is_promoted_by_hand(filled_owner: FakeOwner, open_page: Open) -> None:
    trained(filled_owner, 1, "promoted")
    refused = trained(filled_owner, 2, "refused")
    app = open_page("models")
    app.button(key="ask_promote").click().run()
    assert "This training was **refused**: because of 2." in said(app)
    assert learning.current_model(filled_owner.store) == "interest-1"
    app.button(key="promote").click().run()
    assert not app.exception
    assert any("promote: waits for its turn" in text for text in progress(app))
    assert work_off(filled_owner, "promote")["result"] == {
        "role": "interest", "model_digest": refused,
    }  # fmt: skip
    app.run()
    assert learning.current_model(filled_owner.store) == refused
    app.button(key="ask_roll_back").click().run()
    app.button(key="roll_back").click().run()
    work_off(filled_owner, "roll_back")
    assert learning.current_model(filled_owner.store) == "interest-1"
