from __future__ import annotations

from datetime import timedelta

from db import learning
from db.queries import models
from db.store import Store
from tests.db.queries import rows
from tests.store_factory import NOW


def model(name: str, pipeline: str = "anomaly", **card: object) -> dict[str, object]:
    return {"model_digest": name, "name": name, "pipeline": pipeline, "card": card,
            "registered_at": NOW}  # fmt: skip


def test_each_model_says_what_it_made_and_which_one_is_in_use(store: Store) -> None:
    store.write(
        {
            "models": [model("old"), model("new", architecture={"fitted_on": 12})],
            "runs": [
                rows.run("a", "f", model_digest="old", finished_at=NOW),
                rows.run("b", "f", model_digest="new", finished_at=NOW + timedelta(hours=1)),
                rows.run("c", "g", model_digest="old", finished_at=NOW),
            ],
        }
    )
    found = {row["name"]: row for row in models.models(store)}
    assert [(n, r["in_use"], r["all_runs"], r["current_runs"]) for n, r in found.items()] == [
        ("new", True, 1, 1), ("old", False, 2, 1),
    ]  # fmt: skip
    assert found["new"]["fitted_on"] == 12
    assert found["old"]["fitted_on"] is None


def test_a_promoted_ranking_is_in_use_until_it_is_taken_back(store: Store) -> None:
    store.write({"models": [model("a", "interest"), model("b", "interest")]})

    def choose(number: int, digest: str | None, action: str) -> None:
        learning.choose_model(
            store, choice_id=str(number), model_digest=digest, action=action, training_id=None,
            reason="", chosen_by="ann", now=NOW + timedelta(hours=number),
        )  # fmt: skip

    choose(1, "a", "promote")
    choose(2, "b", "promote")
    assert [row["name"] for row in models.models(store) if row["in_use"]] == ["b"]
    choose(3, "a", "roll_back")
    assert [row["name"] for row in models.models(store) if row["in_use"]] == ["a"]
    choose(4, None, "roll_back")
    assert [row["name"] for row in models.models(store) if row["in_use"]] == []
    said = [(row["action"], row["model"], row["chosen_by"]) for row in models.choices(store)]
    assert said[0] == ("roll_back", "nothing learned", "ann")
    assert len(said) == 4


def test_a_recalibrated_source_names_its_newest_version(store: Store) -> None:
    calibration = {
        "source": "folder:/a", "reference": "r", "model_digest": "m", "cause": "person",
        "made_at": NOW, "calibrated_on": 40,
    }  # fmt: skip
    store.write(
        {
            "models": [model("m")],
            "calibrations": [
                calibration | {"calibration_id": str(n), "version": n, "fitted_on": 100 * n}
                for n in (1, 2)
            ],
        }
    )
    (row,) = models.models(store)
    assert (row["source"], row["version"], row["fitted_on"]) == ("folder:/a", 2, 200)


def test_the_history_of_a_model_is_its_own(night: Store) -> None:
    (rays,) = [row for row in models.models(night) if row["pipeline"] == "cosmicrays"]
    reports = models.reports(night, rays["model_digest"])
    assert len({row["measured_at"] for row in reports}) > 1
    assert sum(day["runs"] for day in models.work(night, rays["model_digest"])) == 6
    assert models.reports(night, "nobody") == models.drift(night, "nobody") == []
    assert models.training(night, rays["model_digest"]) is None
