"""The disk budget: pixels of normals go first, and what people need or said never goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db.check import consistency
from db.labels import add_label
from db.queries.sources import released
from db.store import Store
from engine.results import AnomalyResult, Verdict
from jobs.errors import UsageError
from jobs.frames import frame_of
from jobs.retention import Tidied, keep_within
from tests.jobs import stubs
from tests.jobs.stubs import NOW, InlineWorkers, cycle, frame, source_of


class Mixed(stubs.StubAnomalies):
    """Judges frames by their name: normal unless it says otherwise."""

    def run(self, frame: Any, rng: Any, *, cosmic_rays: Any, **_: Any) -> AnomalyResult:
        result = super().run(frame, rng, cosmic_rays=cosmic_rays)
        (found,) = result.detections
        verdict = {"candidate": Verdict.CANDIDATE, "near": Verdict.NEAR_MISS}.get(
            frame.origin.object_id.split("-")[0], Verdict.NORMAL
        )
        return AnomalyResult((replace(found, verdict=verdict),), "stub", "stub")


NAMES = ("normal-0", "normal-1", "near-2", "candidate-3", "normal-4")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr("os.fsync", lambda _: None)
    stubs.use_stub_pipelines(monkeypatch)
    monkeypatch.setattr("jobs.worker._anomaly_pipeline", lambda *_: Mixed())
    with stubs.opened(tmp_path / "home") as store:
        frames = (frame(n, object_id=name) for n, name in enumerate(NAMES))
        cycle(store, source_of(*frames), workers=InlineWorkers(1)).run()
        yield store


def with_pixels(store: Store) -> list[str]:
    """The names of frames whose pixels are still there."""
    rows = store.rows(
        "SELECT o.object_id, f.pixels_file FROM frames f JOIN observations o USING (frame_digest) "
        "ORDER BY f.stored_at, o.object_id"
    )
    return sorted(row["object_id"] for row in rows if store.files.exists(row["pixels_file"]))


def tidy(store: Store, budget: int | None) -> Tidied:
    return keep_within(store, budget, lambda: NOW)


def label(store: Store, name: str) -> None:
    (row,) = store.rows(
        "SELECT d.detection_id FROM detections d JOIN observations o USING (frame_digest) "
        "WHERE o.object_id = ?",
        [name],
    )
    add_label(
        store, label_id=f"label-{name}", detection_id=row["detection_id"], label="reject",
        labeller="me", now=NOW,
    )  # fmt: skip


def test_without_a_budget_nothing_goes(store: Store) -> None:
    assert tidy(store, None) == Tidied(0, 0, 0)
    assert tidy(store, 10**9) == Tidied(0, 0, 0)
    assert with_pixels(store) == sorted(NAMES)


def test_the_oldest_normals_go_first_and_no_more_than_needed(store: Store) -> None:
    tidied = tidy(store, store.files.usage_bytes() - 1)
    assert (tidied.frames, tidied.over_bytes) == (1, 0)
    assert with_pixels(store) == sorted(set(NAMES) - {"normal-0"})
    assert released(store)["frames"] == 1
    assert released(store)["bytes"] == tidied.bytes > 0


def test_candidates_and_what_people_judged_never_go(store: Store) -> None:
    label(store, "normal-1")
    before = stubs.row_counts(store, but=("released_files", "run_events"))
    tidied = tidy(store, 0)
    assert with_pixels(store) == ["candidate-3", "normal-1"]
    assert tidied.over_bytes == store.files.usage_bytes()
    assert stubs.row_counts(store, but=("released_files", "run_events")) == before
    (event,) = store.rows("SELECT message FROM run_events WHERE message LIKE '%above the budget%'")
    assert "raise disk_budget_bytes" in event["message"]
    reasons = store.rows("SELECT DISTINCT reason FROM released_files ORDER BY 1")
    assert [row["reason"] for row in reasons] == ["pixels of a near miss", "pixels of a normal"]


def test_previews_and_cutouts_stay_and_the_store_is_whole(store: Store) -> None:
    tidy(store, 0)
    assert consistency(store) == []
    for table, column in (("frames", "preview_file"), ("detections", "cutout_file"),
                          ("codec_runs", "bitstream_file")):  # fmt: skip
        for row in store.rows(f"SELECT {column} AS file FROM {table}"):
            assert store.files.exists(row["file"])


def test_a_frame_that_was_given_up_says_so_and_is_still_known(store: Store) -> None:
    tidy(store, 0)
    (row,) = store.rows("SELECT frame_digest FROM observations WHERE object_id = 'normal-0'")
    with pytest.raises(UsageError, match="were given up on 2026-03-01"):
        frame_of(store, row["frame_digest"])
    new_policy = stubs.plan(threshold=0.7)
    again = cycle(
        store, source_of(frame(0, object_id="normal-0"), name="folder:/other"), "again",
        plan=new_policy, workers=InlineWorkers(1),
    )  # fmt: skip
    assert again.run().duplicates == 1
    stale = cycle(store, source_of(), "stale", plan=new_policy, workers=InlineWorkers(1)).run()
    assert (stale.asked, stale.failed) == (0, 0)
    failed = store.rows("SELECT count(*) AS n FROM runs WHERE status = 'failed'")[0]["n"]
    assert failed == 0, "what has no pixels is not analysed again"


def test_a_removal_that_was_interrupted_is_finished(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store.files, "remove", lambda digest: None)
        tidy(store, store.files.usage_bytes() - 1)
    assert with_pixels(store) == sorted(NAMES)
    tidy(store, 10**9)
    assert with_pixels(store) == sorted(set(NAMES) - {"normal-0"})
