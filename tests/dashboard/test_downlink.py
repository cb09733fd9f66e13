"""The downlink page: what a budget brings, beside raster order."""

from __future__ import annotations

import math

import pytest

from dashboard import passes
from db.queries import compression
from tests.dashboard.conftest import Open
from tests.dashboard.fakes import FakeOwner


def tile(frame: str, size: int, value: float, anomalies: int = 0) -> dict[str, object]:
    return {
        "frame_digest": frame,
        "bytes": size,
        "height": 2,
        "width": 5,
        "value": value,
        "anomalies": anomalies,
    }


def test_worth_is_value_of_pixels_per_byte_and_totals_add_up() -> None:
    tiles = [tile("a", 100, 1.0), tile("b", 200, 40.0, 2), tile("b", 10, 1.0)]
    rows = passes.arrivals(tiles, "priority")
    assert [row.bytes for row in rows] == [0, 200, 210, 310]
    assert [row.anomalies for row in rows] == [0, 2, 2, 2]
    assert [row.frames for row in rows] == [0, 1, 1, 2]
    assert rows[-1].value == 10 * 42.0
    raster = passes.arrivals(tiles, "raster")
    assert [row.bytes for row in raster] == [0, 100, 300, 310]
    assert passes.within(raster, 299).tiles == 1
    assert passes.within(raster, 0).tiles == 0


def test_quality_grows_from_the_medians_to_the_whole_frames() -> None:
    tiles = [
        tile("a", 100, 5.0) | {"flat_rmse": 10.0, "rmse": 1.0, "peak": 100.0},
        tile("a", 100, 1.0) | {"flat_rmse": 10.0, "rmse": 1.0, "peak": 100.0},
        tile("b", 100, 1.0) | {"flat_rmse": 1.0, "rmse": 0.1, "peak": 10.0},
    ]
    found = [row.psnr_db for row in passes.arrivals(tiles, "priority")]
    half = -10 * math.log10(50.5 / 1e4)
    assert found == pytest.approx([20.0, (half + 20) / 2, 30.0, 40.0])
    tiles[2]["flat_rmse"] = None
    assert {row.psnr_db for row in passes.arrivals(tiles, "priority")} == {None}


def test_curves_end_at_everything() -> None:
    rows = passes.curve(passes.arrivals([tile("a", 5, 1.0)] * 1000, "raster"), points=10)
    assert 10 <= len(rows) <= 13
    assert (rows[-1]["bytes_share"], rows[-1]["value_share"]) == (1.0, 1.0)
    assert rows[-1]["anomaly_share"] is None


def test_the_page_shows_what_the_store_says(filled_owner: FakeOwner, open_page: Open) -> None:
    tiles = compression.tiles_to_send(filled_owner.store)
    (known,) = filled_owner.store.rows(
        "SELECT count(*) AS n FROM codec_tiles JOIN current_runs USING (run_id)"
    )
    assert len(tiles) == known["n"]
    app = open_page("downlink")
    assert not app.exception
    everything = passes.arrivals(tiles, "priority")
    shown = {metric.label: metric.value for metric in app.metric}
    quarter = passes.within(everything, everything[-1].bytes * 25 // 100)
    assert shown["Tiles arrived"] == f"{quarter.tiles} of {len(tiles)}"
    app.slider(key="budget").set_value(100).run()
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Tiles arrived"] == f"{len(tiles)} of {len(tiles)}"
    assert any("carries everything" in str(found.value) for found in app.success)
