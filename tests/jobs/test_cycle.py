"""A cycle accounts for everything, does nothing twice, and no frame stops the others."""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.check import consistency
from db.store import Store
from engine.frame import Frame
from engine.results import CosmicRayResult
from jobs.cycle import Claims, Counts
from jobs.evaluation import evaluate_cycle
from jobs.frames import frame_of
from jobs.pool import WorkerLost, WorkersClosed
from jobs.sources import Item, Offer, open_source
from jobs.worker import process
from tests.jobs import stubs
from tests.jobs.stubs import NOW, InlineWorkers, Taken, cycle, frame, row_counts, source_of

PIXELS = 10_000_000
HISTORY = ("cycles", "run_events")


@pytest.fixture(autouse=True)
def _no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk keeps is tested with the store; here nobody waits for it."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    stubs.use_stub_pipelines(monkeypatch)
    with stubs.opened(tmp_path / "home") as store:
        yield store


def mixed() -> Taken:
    """Two frames, the first one twice, one file that failed and one that is no image."""
    one, two = frame(1), frame(2)
    return Taken(
        (
            ("file:///1", (Offer("", one),)),
            ("file:///2", (Offer("SCI", two), Offer("ERR", outcome="ignored", reason="errors"))),
            ("file:///3", (Offer("", stubs.at(one, object_id="again", uri="file:///3")),)),
            ("file:///4", (Offer("", outcome="failed", reason="truncated"),)),
            ("file:///5", (Offer("", outcome="ignored", reason="not an image file (.txt)"),)),
        )
    )


def statuses(store: Store) -> list[tuple[str, str]]:
    rows = store.rows("SELECT pipeline, status FROM runs ORDER BY ALL")
    return [(row["pipeline"], row["status"]) for row in rows]


class FailingWorkers(InlineWorkers):
    """Loses the worker, or is stopped, at the calls of `function` named."""

    def __init__(self, function: str, at: set[int], error: Exception) -> None:
        super().__init__(1)
        self._function, self._at, self._error = function, at, error

    def run(self, function: Any, *args: Any) -> Any:
        super().run(lambda: None)
        self.calls[-1] = function.__name__
        if function.__name__ == self._function and self.calls.count(self._function) in self._at:
            raise self._error
        return function(*args)


def test_counts_account_for_every_part(store: Store) -> None:
    counts = cycle(store, mixed()).run()

    assert counts == Counts(asked=6, known=0, stored=2, duplicates=1, failed=1, ignored=2)
    reasons = store.rows("SELECT outcome, part, reason FROM intake ORDER BY uri, part")
    assert [tuple(row.values()) for row in reasons] == [
        ("stored", "", ""),
        ("ignored", "ERR", "errors"),
        ("stored", "SCI", ""),
        ("duplicate", "", "the same pixels, mask and unit are already stored"),
        ("failed", "", "truncated"),
        ("ignored", "", "not an image file (.txt)"),
    ]
    assert row_counts(store)["observations"] == 3
    assert statuses(store) == [
        (pipeline, "ok") for pipeline in ("anomaly", "codec", "cosmicrays") for _ in range(2)
    ]


def test_a_second_cycle_knows_everything_and_adds_nothing(store: Store) -> None:
    cycle(store, mixed(), "first").run()
    before, files = row_counts(store, HISTORY), set(store.files.digests())
    workers = InlineWorkers()

    counts = cycle(store, mixed(), "second", workers=workers).run()

    assert counts == Counts(asked=6, known=6, stored=0, duplicates=0, failed=0, ignored=0)
    assert row_counts(store, HISTORY) == before
    assert set(store.files.digests()) == files
    assert workers.calls == []


def test_a_new_file_is_taken_in_beside_the_known(store: Store) -> None:
    cycle(store, source_of(frame(1)), "first").run()
    counts = cycle(store, source_of(frame(1), frame(2)), "second").run()
    assert counts == Counts(asked=2, known=1, stored=1, duplicates=0, failed=0, ignored=0)


def test_a_frame_comes_back_from_the_store_as_it_was(store: Store) -> None:
    pixels = np.arange(64.0, dtype=np.float32).reshape(8, 8)
    pixels[2, 3] = np.nan
    taken = Frame.of(
        pixels, dataclasses.replace(frame(1).origin, ra_deg=1.5, band="r"), unit="adu",
        sample_type="int16",
    )  # fmt: skip
    cycle(store, source_of(taken)).run()

    again = frame_of(store, taken.digest)

    assert again.digest == taken.digest
    assert again.origin == taken.origin
    np.testing.assert_array_equal(again.mask, taken.mask)


def test_a_pipeline_that_raises_fails_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stumbles(stubs.StubCodec):
        def run(self, frame: Frame, rng: np.random.Generator) -> Any:
            if frame.origin.object_id == "object-2":
                raise ZeroDivisionError("no contrast")
            return super().run(frame, rng)

    monkeypatch.setattr("jobs.worker._codec_pipeline", lambda *_: Stumbles())

    counts = cycle(store, source_of(frame(1), frame(2), frame(3))).run()

    assert counts.stored == 3
    (failed,) = store.rows("SELECT * FROM runs WHERE status = 'failed'")
    assert (failed["pipeline"], failed["frame_digest"]) == ("codec", frame(2).digest)
    assert failed["reason"] == "ZeroDivisionError: no contrast"
    assert "in run" in failed["trace"]
    assert row_counts(store)["codec_runs"] == 2
    assert len(statuses(store)) == 9


def test_a_result_that_cannot_be_told_as_rows_fails_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoMaps(stubs.StubCodec):
        def run(self, frame: Frame, rng: np.random.Generator) -> Any:
            return dataclasses.replace(super().run(frame, rng), confidence=np.zeros((3, 3, 3)))

    monkeypatch.setattr("jobs.worker._codec_pipeline", lambda *_: NoMaps())

    counts = cycle(store, source_of(frame(1))).run()

    assert counts.stored == 1
    assert statuses(store) == [("anomaly", "ok"), ("codec", "failed"), ("cosmicrays", "ok")]
    (failed,) = store.rows("SELECT reason FROM runs WHERE status = 'failed'")
    assert failed["reason"].startswith("its result cannot be stored")
    assert consistency(store) == []


def test_a_result_without_its_number_fails_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoNumber(stubs.StubCodec):
        def run(self, frame: Frame, rng: np.random.Generator) -> Any:
            return dataclasses.replace(super().run(frame, rng), rmse=float("nan"))

    monkeypatch.setattr("jobs.worker._codec_pipeline", lambda *_: NoNumber())

    counts = cycle(store, source_of(frame(1), frame(2))).run()

    assert counts.stored == 2
    assert {status for _, status in statuses(store)} == {"failed"}
    assert row_counts(store)["codec_runs"] == 0
    assert "rmse" in store.rows("SELECT reason FROM runs LIMIT 1")[0]["reason"]
    assert consistency(store) == []


def test_what_does_not_apply_is_recorded_without_a_number(store: Store) -> None:
    cycle(store, source_of(frame(1, sample_type="uint8"))).run()

    (row,) = store.rows("SELECT * FROM runs WHERE pipeline = 'cosmicrays'")
    assert (row["status"], row["reason"]) == (
        "not_applicable", "8-bit samples show no cosmic rays",
    )  # fmt: skip
    assert row_counts(store)["cosmic_ray_runs"] == 0


def test_a_lost_worker_is_a_failed_run_and_the_cycle_goes_on(store: Store) -> None:
    workers = FailingWorkers("process", {2}, WorkerLost("the worker died 2 times"))

    counts = cycle(store, source_of(frame(1), frame(2), frame(3)), workers=workers).run()

    assert counts == Counts(asked=3, known=0, stored=3, duplicates=0, failed=0, ignored=0)
    failed = store.rows("SELECT * FROM runs WHERE status = 'failed'")
    assert [row["reason"] for row in failed] == ["the worker died 2 times"] * 3
    assert {row["frame_digest"] for row in failed} == {frame(2).digest}


def test_a_worker_lost_while_reading_is_a_failed_item(store: Store) -> None:
    workers = FailingWorkers("load", {1}, WorkerLost("the worker died 2 times"))

    counts = cycle(store, source_of(frame(1), frame(2)), workers=workers).run()

    assert (counts.stored, counts.failed) == (1, 1)
    (row,) = store.rows("SELECT * FROM intake WHERE outcome = 'failed'")
    assert (row["reason"], row["frame_digest"]) == ("the worker died 2 times", None)


def test_a_failed_run_can_be_asked_for_again(store: Store) -> None:
    lost = FailingWorkers("process", {1}, WorkerLost("the worker died 2 times"))
    cycle(store, source_of(frame(1)), "first", workers=lost).run()

    cycle(store, Taken(()), "again", again=(frame(1).digest,)).run()

    assert [status for _, status in statuses(store)].count("ok") == 3
    current = store.rows("SELECT DISTINCT status FROM current_runs")
    assert current == [{"status": "ok"}]


def test_a_new_policy_analyses_stored_frames_without_taking_them_in(store: Store) -> None:
    source, clock = source_of(frame(1), frame(2)), stubs.ticking()
    cycle(store, source, "first", clock=clock).run()
    before = row_counts(store, HISTORY)
    workers = InlineWorkers()

    counts = cycle(
        store, source, "second", plan=stubs.plan(threshold=0.9), workers=workers, clock=clock
    ).run()  # fmt: skip

    assert counts == Counts(asked=2, known=2, stored=0, duplicates=0, failed=0, ignored=0)
    assert workers.calls == ["process", "process"]
    new = {table: n - before[table] for table, n in row_counts(store, HISTORY).items()}
    assert {table: n for table, n in new.items() if n} == {
        "runs": 2,
        "cosmic_ray_runs": 2,
        "policies": 1,
    }
    thresholds = store.rows("SELECT threshold FROM cosmic_ray_runs ORDER BY 1")
    assert [row["threshold"] for row in thresholds] == [0.5, 0.5, 0.9, 0.9]


def test_a_normal_scan_brings_the_normal_verdicts_back_after_another_policy(store: Store) -> None:
    source = source_of(frame(1), frame(2))
    clock = stubs.ticking()
    cycle(store, source, "normal", clock=clock).run()
    cycle(store, source, "other", plan=stubs.plan(threshold=0.9), clock=clock).run()
    in_front = "SELECT DISTINCT threshold FROM cosmic_ray_runs JOIN current_runs USING (run_id)"
    assert store.rows(in_front) == [{"threshold": 0.9}]
    workers, notes = InlineWorkers(), list[tuple[str, str]]()

    cycle(
        store, source, "again", workers=workers, note=lambda *note: notes.append(note)
    ).run()  # fmt: skip

    assert workers.calls == []
    assert store.rows(in_front) == [{"threshold": 0.5}]
    assert notes == [
        ("listed", "folder:/taken has 2 items, 0 of them to take in now; 0 stored frames are "
                   "analysed anew"),
        ("called back", "2 earlier results are in front again"),
    ]  # fmt: skip
    cycle(store, source, "once more").run()
    assert len(store.rows("SELECT * FROM run_recalls")) == 2
    assert consistency(store) == []


def test_a_clock_set_back_does_not_hide_what_was_computed_last(store: Store) -> None:
    source = source_of(frame(1))
    cycle(store, source, "first", clock=lambda: NOW + timedelta(days=9)).run()
    plan = stubs.plan(threshold=0.9)
    cycle(store, source, "second", plan=plan, clock=lambda: NOW).run()
    in_front = "SELECT DISTINCT threshold FROM cosmic_ray_runs JOIN current_runs USING (run_id)"
    assert store.rows(in_front) == [{"threshold": 0.9}]


def test_a_limit_bounds_the_new_items_and_the_rest_comes_later(store: Store) -> None:
    source = source_of(*(frame(seed) for seed in range(5)))

    first = cycle(store, source, "first", limit=2).run()
    second = cycle(store, source, "second", limit=2).run()
    third = cycle(store, source, "third").run()

    assert (first.asked, first.stored) == (2, 2)
    assert (second.asked, second.known, second.stored) == (4, 2, 2)
    assert (third.asked, third.known, third.stored) == (5, 4, 1)


def test_a_limit_holds_across_an_interruption(store: Store) -> None:
    source = source_of(*(frame(seed) for seed in range(5)))
    stopped = FailingWorkers("load", {2}, WorkersClosed("the workers were stopped"))
    with pytest.raises(WorkersClosed, match="stopped"):
        cycle(store, source, limit=3, workers=stopped).run()

    counts = cycle(store, source, limit=3).run()

    assert (counts.asked, counts.stored) == (3, 3)


def test_progress_goes_from_nothing_to_everything(store: Store) -> None:
    seen: list[tuple[int, int]] = []
    cycle(store, mixed(), progress=lambda done, total: seen.append((done, total))).run()
    assert seen[0] == (0, 5)
    assert seen[-1] == (5, 5)
    assert seen == sorted(seen)


def test_a_cancelled_cycle_keeps_what_it_has_and_takes_no_more(store: Store) -> None:
    source = source_of(*(frame(seed) for seed in range(8)))
    done = 0

    def progress(now_done: int, _total: int) -> None:
        nonlocal done
        done = now_done

    counts = cycle(
        store, source, workers=InlineWorkers(1), progress=progress, cancelled=lambda: done >= 3
    ).run()

    assert 3 <= counts.stored < 8
    assert counts.asked == counts.stored == row_counts(store)["frames"]
    assert consistency(store) == []


@pytest.mark.parametrize("interrupted_at", [1, 4])
def test_an_interrupted_cycle_goes_on_to_the_same_totals(
    store: Store, tmp_path: Path, interrupted_at: int
) -> None:
    frames = [frame(seed) for seed in range(4)]
    source = source_of(*frames, stubs.at(frames[0], object_id="again"))
    with stubs.opened(tmp_path / "whole") as whole:
        expected = cycle(whole, source, "night").run()
        expected_rows = row_counts(whole)
    stopped = FailingWorkers("load", {interrupted_at}, WorkersClosed("the workers were stopped"))
    with pytest.raises(WorkersClosed, match="stopped"):
        cycle(store, source, "night", workers=stopped).run()

    counts = cycle(store, source, "night").run()

    assert counts == expected
    assert row_counts(store) == expected_rows


def test_an_interruption_records_no_failure(store: Store) -> None:
    stopped = FailingWorkers("process", {2}, WorkersClosed("the workers were stopped"))
    with pytest.raises(WorkersClosed, match="stopped"):
        cycle(store, source_of(frame(1), frame(2), frame(3)), workers=stopped).run()
    assert {status for _, status in statuses(store)} <= {"ok"}
    assert not store.rows("SELECT 1 FROM intake WHERE outcome = 'failed'")


def test_two_cycles_with_the_same_pixels_store_each_frame_once(store: Store) -> None:
    frames = [frame(seed) for seed in range(4)]
    claims, counted = Claims(), list[Counts]()

    def scan(name: str) -> None:
        source = source_of(*frames, name=f"folder:/{name}")
        counted.append(cycle(store, source, name, claims=claims).run())

    threads = [threading.Thread(target=scan, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts.stored for counts in counted) == 4
    assert sum(counts.duplicates for counts in counted) == 4
    assert row_counts(store)["frames"] == 4
    assert len(statuses(store)) == 12
    assert consistency(store) == []


def test_two_cycles_over_the_same_folder_account_for_it_both(store: Store) -> None:
    frames = [frame(seed) for seed in range(4)]
    claims, counted = Claims(), list[Counts]()

    def scan(cycle_id: str) -> None:
        counted.append(cycle(store, source_of(*frames), cycle_id, claims=claims).run())

    threads = [threading.Thread(target=scan, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert row_counts(store)["intake"] == 4
    for counts in counted:
        assert counts.asked == counts.known + counts.stored + counts.duplicates
    assert max(counts.asked for counts in counted) == 4
    assert sum(counts.stored for counts in counted) == 4


def test_a_damaged_stored_frame_does_not_stop_the_others(store: Store) -> None:
    source = source_of(frame(1), frame(2))
    cycle(store, source, "first").run()
    (row,) = store.rows("SELECT pixels_file FROM frames WHERE frame_digest = ?", [frame(1).digest])
    store.files.path(row["pixels_file"]).write_bytes(b"rot")

    cycle(store, source, "second", plan=stubs.plan(threshold=0.9)).run()

    runs = store.rows(
        "SELECT frame_digest, status, reason FROM runs WHERE cycle_id = 'second' AND "
        "pipeline = 'cosmicrays'"
    )
    by_frame = {row["frame_digest"]: row for row in runs}
    assert by_frame[frame(2).digest]["status"] == "ok"
    assert by_frame[frame(1).digest]["status"] == "failed"
    assert "is corrupt" in by_frame[frame(1).digest]["reason"]


def test_a_night_is_measured_against_its_own_truth(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.sky import simulated_again

    class Knowing(stubs.StubCosmicRays):
        def run(self, frame: Frame, rng: np.random.Generator) -> CosmicRayResult:
            found = super().run(frame, rng)
            truth = simulated_again(frame.origin.object_id, size=frame.height).truth.cosmic_rays
            return dataclasses.replace(found, probability=truth.astype(np.float32))

    monkeypatch.setattr("jobs.worker._cosmic_ray_pipeline", lambda policy, *_: Knowing(policy))
    for size, count in ((64, 1), (96, 2)):
        source = open_source(f"sim:truth,frames=1,terrain=1,size={size}", max_pixels=PIXELS)
        night = cycle(store, source, f"size-{size}")
        night.run()

        evaluate_cycle(night)
        evaluate_cycle(night)

        assert len(store.rows("FROM calibration_reports WHERE pixels = 'all'")) == count
    report, *_ = store.rows("FROM calibration_reports WHERE pixels = 'all' ORDER BY n DESC")
    assert (report["frames"], report["series"], report["stage"]) == (
        2, "simulated nights", "shipped",
    )  # fmt: skip
    pixels = 64 * 64 + 96 * 96
    assert 0.95 * pixels < report["n"] <= pixels
    assert report["positives"] > 0
    assert report["brier"] < 0.001
    assert "sim:truth" in report["dataset"]


def test_a_source_without_truth_is_not_measured(store: Store) -> None:
    night = cycle(store, source_of(frame(1)))
    night.run()
    evaluate_cycle(night)
    assert row_counts(store)["calibration_reports"] == 0


def test_the_same_frame_gives_the_same_record(store: Store) -> None:
    first = process(frame(1), stubs.plan(), "cycle")
    second = process(frame(1), stubs.plan(), "cycle")
    assert first.files == second.files
    assert [row["run_id"] for row in first.rows["runs"]] == [
        row["run_id"] for row in second.rows["runs"]
    ]


def test_items_that_offer_nothing_are_named(store: Store) -> None:
    class Empty(Taken):
        def items(self) -> Iterator[Item]:
            yield Item("file:///hollow", "1", tuple)

    counts = cycle(store, Empty(())).run()

    assert (counts.asked, counts.ignored) == (1, 1)


def test_a_cycle_holds_no_more_frames_than_it_has_workers(store: Store) -> None:
    made: list[weakref.ref[Frame]] = []
    held: list[int] = []

    def read(number: int) -> tuple[Offer, ...]:
        fresh = frame(number)
        made.append(weakref.ref(fresh))
        held.append(sum(each() is not None for each in made))
        return (Offer("", fresh),)

    class Listed:
        name = "folder:/taken"

        def items(self) -> Iterator[Item]:
            for number in range(12):
                yield Item(f"file:///{number}", "1", partial(read, number))

    cycle(store, Listed(), workers=InlineWorkers(3)).run()
    assert len(held) == 12
    assert max(held) <= 3
