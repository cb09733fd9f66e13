"""Models: what each was fitted on, and who ranks: learned, promoted and taken back by a click."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from streamlit.testing.v1 import AppTest

from dashboard.model_card import flat
from db import learning
from db.queries import models
from tests.dashboard.conftest import Open
from tests.dashboard.fakes import FakeOwner
from tests.dashboard.test_jobs import scans


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
    owner.store.write(
        {
            "models": [{"model_digest": digest, "name": digest, "pipeline": "interest",
                        "card": {}, "registered_at": at}],
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
    assert learning.current_model(filled_owner.store) == "interest-1"


def test_a_refused_training_is_promoted_by_hand(filled_owner: FakeOwner, open_page: Open) -> None:
    trained(filled_owner, 1, "promoted")
    refused = trained(filled_owner, 2, "refused")
    app = open_page("models")
    app.button(key="ask_promote").click().run()
    assert "This training was **refused**: because of 2." in said(app)
    assert learning.current_model(filled_owner.store) == "interest-1"
    app.button(key="promote").click().run()
    assert not app.exception
    assert learning.current_model(filled_owner.store) == refused
    app.button(key="ask_roll_back").click().run()
    app.button(key="roll_back").click().run()
    assert learning.current_model(filled_owner.store) == "interest-1"
