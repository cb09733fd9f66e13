"""Models as a person uses them: read a card, promote by hand, take it back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from db import learning
from db.store import Store
from tests.browser.browsing import settle
from tests.browser.serving import Served, serve
from tests.store_factory import NOW, fill

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)

IN_USE = "SELECT coalesce(max(model_digest), '') FROM current_models WHERE role = 'interest'"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two trainings whose numbers are kept: the first was promoted, the second refused."""
    folder: Path = tmp_path_factory.mktemp("trained")
    with Store.open(folder / "home") as store:
        fill(store, frames=4, per_frame=4)
        ids = [row["detection_id"] for row in store.rows("SELECT detection_id FROM detections")]
        for number, status in enumerate(("promoted", "refused"), start=1):
            digest, at = f"ranking-{number}", NOW + timedelta(hours=number)
            figures = {"accuracy": {"champion": 0.7, "challenger": 0.6 + number / 10}}
            card = {"name": digest, "pipeline": "interest", "digest": digest, "seed": 0,
                    "description": "a ranking", "architecture": {"dimension": 4096},
                    "data": "40 labels", "command": "learn", "device": "CPU",
                    "trained_at": at.isoformat()}  # fmt: skip
            store.write(
                {
                    "models": [{"model_digest": digest, "name": digest, "pipeline": "interest",
                                "card": card, "registered_at": at}],
                    "training_runs": [
                        {"training_id": digest, "pipeline": "interest", "model_digest": digest,
                         "command": "", "status": status, "metrics": figures, "started_at": at,
                         "role": "interest", "reason": f"because of {number}"}
                    ],
                }
            )  # fmt: skip
            numbers = [((i + number) % 5 / 5,) * 2 for i in range(len(ids))]
            learning.keep_interest(store, digest, ids, numbers, at)
        learning.choose_model(
            store, choice_id="1", model_digest="ranking-1", action="promote",
            training_id="ranking-1", reason="", chosen_by="contest", now=NOW,
        )  # fmt: skip
    with serve(folder / "home", folder / "server.log") as served:
        yield served


def opened(page: Page, served: Served, query: str = "") -> None:
    page.goto(f"{served.address}/models{query}")
    settle(page, "Models")


def in_use(served: Served) -> str:
    return str(served.query(IN_USE)[0][0])


def test_a_model_is_chosen_and_kept_in_the_address(page: Page, trained: Served) -> None:
    opened(page, trained)
    page.get_by_role("combobox", name="Model").click()
    page.get_by_role("option", name="cosmic rays: rays-vi").click()
    expect(page.get_by_role("heading", name="rays-vi")).to_be_visible()
    (digest,) = trained.query("SELECT model_digest FROM models WHERE name = 'rays-vi'")[0]
    expect(page).to_have_url(f"{trained.address}/models?model={digest}")
    page.reload()
    settle(page, "Models")
    expect(page.get_by_role("heading", name="rays-vi")).to_be_visible()
    runs = trained.number(f"SELECT count(*) FROM runs WHERE model_digest = '{digest}'")
    expect(page.get_by_text(f"What it made: {runs} runs")).to_be_visible()
    expect(page.get_by_text("expected calibration error over time").first).to_be_attached()


def test_a_promotion_is_confirmed_and_taken_back(page: Page, trained: Served) -> None:
    opened(page, trained)
    assert in_use(trained) == "ranking-1"
    page.get_by_role("button", name="Promote this training").click()
    expect(page.get_by_text("This training was refused: because of 2.")).to_be_visible()
    assert in_use(trained) == "ranking-1"
    page.get_by_role("button", name="Yes, promote it").click()
    expect(page.get_by_text("promote: done")).to_be_visible()
    expect(page.get_by_role("button", name="Promote this training")).to_be_disabled()
    assert in_use(trained) == "ranking-2"
    page.get_by_role("button", name="Roll back", exact=True).click()
    page.get_by_role("button", name="Yes, roll back").click()
    expect(page.get_by_text("roll back: done")).to_be_visible()
    expect(page.get_by_role("button", name="Promote this training")).to_be_enabled()
    assert in_use(trained) == "ranking-1"
    said = trained.query("SELECT action, chosen_by FROM model_choices ORDER BY number DESC LIMIT 2")
    assert said == [["roll_back", "dashboard"], ["promote", "dashboard"]]
