"""What is missing from a store is said."""

from __future__ import annotations

from db.check import REFERENCES, consistency
from db.store import Store


def test_a_whole_store_has_no_faults(analysed: Store) -> None:
    assert consistency(analysed) == []


def test_every_reference_is_between_columns_that_exist(store: Store) -> None:
    for table, column, parent, key in REFERENCES:
        assert column in store.tables[table]
        assert key in store.tables[parent]


def test_dangling_rows_and_missing_files_are_named(analysed: Store) -> None:
    analysed.move("DELETE FROM runs RETURNING run_id")
    analysed.move("UPDATE frames SET preview_file = repeat('0', 64) RETURNING frame_digest")
    score = {"detection_id": "d9", "method": "knn", "raw": 1.0}
    analysed.write({"scores": [score]})
    assert consistency(analysed) == [
        "detections.run_id: 3 rows refer to no row of runs, such as r1",
        "scores.detection_id: 1 rows refer to no row of detections, such as d9",
        f"frames.preview_file: 1 files are not on disk, such as {'0' * 64}",
    ]


def test_a_successful_run_without_figures_is_named(analysed: Store) -> None:
    codec = "UPDATE runs SET pipeline = 'codec' RETURNING run_id"
    analysed.move(codec)
    assert consistency(analysed) == [
        "runs: 1 successful codec runs have no row in codec_runs, such as r1"
    ]
    analysed.move("UPDATE runs SET status = 'failed' RETURNING run_id")
    assert consistency(analysed) == []
