from __future__ import annotations

from db.queries import frames, runs
from db.store import Store
from tests.db.queries import rows


def fill(store: Store) -> None:
    store.write(
        {
            "frames": [rows.frame("a"), rows.frame("b", stored_at=rows.at(5))],
            "observations": [
                rows.observation("a", object_id="M 31", seen_at=rows.at(1)),
                rows.observation("a", observation_id="o2", object_id="M 33", seen_at=rows.at(2)),
                rows.observation("b", source="folder", object_id="100%_sure"),
            ],
            "runs": [
                rows.run("old", "a", "codec"),
                rows.run("new", "a", "codec", finished_at=rows.at(9), model_digest="other"),
                rows.run("na", "b", "codec", status="not_applicable", reason="5 pixels"),
                rows.run("bad", "b", "anomaly", status="failed", reason="killed"),
            ],
        }
    )


def test_frames_come_newest_first_under_their_latest_name(store: Store) -> None:
    fill(store)
    found = frames.page_of_frames(store).rows
    assert [(row["frame_digest"], row["object_id"]) for row in found] == [
        ("b", "100%_sure"),
        ("a", "M 33"),
    ]


def test_frames_are_found_by_source_and_literal_text(store: Store) -> None:
    fill(store)

    def found(**wanted: str) -> list[str]:
        return [row["frame_digest"] for row in frames.page_of_frames(store, **wanted).rows]

    assert found(source="folder") == ["b"]
    assert found(text="m 3") == ["a"]
    assert found(text="%_S") == ["b"]
    assert found(text="'; DROP TABLE frames; --") == []


def test_a_frame_knows_all_its_runs_and_which_is_current(store: Store) -> None:
    fill(store)
    one = frames.frame(store, "a")
    assert one is not None
    assert one["object_id"] == "M 33"
    assert frames.frame(store, "no such frame") is None
    listed = [(row["run_id"], row["current"]) for row in frames.runs_of_frame(store, "a")]
    assert listed == [("new", True), ("old", False)]
    assert frames.sources(store) == ["folder", "sim"]


def test_outcomes_count_only_the_latest_run_of_each_frame(store: Store) -> None:
    fill(store)
    counted = runs.outcomes(store, "codec")
    assert (counted["ok"], counted["not_applicable"], counted["failed"]) == (1, 1, 0)
    assert counted["newest_run_at"] == rows.at(9)
    assert [row["reason"] for row in runs.not_applicable(store, "codec")] == ["5 pixels"]


def test_runs_are_filtered_by_pipeline_and_status(store: Store) -> None:
    fill(store)
    found = runs.page_of_runs(store, pipeline="codec").rows
    assert [row["run_id"] for row in found] == ["new", "old", "na"]
    assert [row["run_id"] for row in runs.page_of_runs(store, status="failed").rows] == ["bad"]
