from __future__ import annotations

import json

import pytest

from db.queries import calibration, compression, cosmicrays
from db.store import Store
from tests.db.queries import rows


def fill_codec(store: Store) -> None:
    names = ("a", "b", "c")
    runs = [rows.run(f"r-{name}", name, "codec") for name in names]
    replaced = rows.run("r-old", "a", "codec", finished_at=rows.at(-5), model_digest="old model")
    correlations = (0.2, 0.6, None)
    store.write(
        {
            "frames": [rows.frame(name) for name in names],
            "runs": [*runs, replaced],
            "codec_runs": [
                rows.codec_run("r-old", bytes=1000, dropout_spearman=0.99),
                *(
                    rows.codec_run(f"r-{name}", bytes=16, dropout_spearman=value)
                    for name, value in zip(names, correlations, strict=True)
                ),
            ],
        }
    )


def test_codec_figures_come_from_current_runs_alone(store: Store) -> None:
    fill_codec(store)
    summary = compression.codec_summary(store)
    assert (summary["runs"], summary["coded_bytes"]) == (3, 48)
    assert summary["raw_bytes"] == 3 * 4 * 8 * 2
    assert {row["run_id"] for row in compression.codec_runs(store)} == {"r-a", "r-b", "r-c"}


def test_the_badge_is_the_median_over_the_runs_that_have_a_correlation(store: Store) -> None:
    fill_codec(store)
    (badge,) = compression.calibration_badges(store)
    assert badge["dropout_spearman"] == pytest.approx(0.4)
    assert (badge["dropout_runs"], badge["runs"]) == (2, 3)
    assert badge["predicted_spearman"] == pytest.approx(0.8)


def test_a_frame_without_codec_run_has_none(store: Store) -> None:
    fill_codec(store)
    one = compression.codec_run(store, "a")
    assert one is not None
    assert one["run_id"] == "r-a"
    assert one["preview_file"] == "q"
    assert compression.codec_run(store, "z") is None


def test_tiles_come_in_reading_order(night: Store) -> None:
    run_id = compression.codec_runs(night)[0]["run_id"]
    places = [(t["tile_row"], t["tile_column"]) for t in compression.codec_tiles(night, run_id)]
    assert places == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_cosmic_ray_shares_are_of_the_pixels_looked_at(store: Store) -> None:
    files = {f"{n}_file": "f" for n in ("probability", "entropy", "information", "mask", "cleaned")}
    store.write(
        {
            "frames": [rows.frame("a")],
            "runs": [rows.run("r", "a", "cosmicrays")],
            "cosmic_ray_runs": [
                {
                    "run_id": "r",
                    "method": "vi",
                    "samples": 8,
                    "threshold": 0.5,
                    "pixels": 32,
                    "flagged_pixels": 8,
                    "hits": 3,
                    "mean_entropy": 0.1,
                    "mean_information": 0.01,
                    "probability_array": "p",
                    **files,
                }
            ],
        }
    )
    (listed,) = cosmicrays.cosmic_ray_runs(store)
    assert listed["flagged_share"] == pytest.approx(0.25)
    one = cosmicrays.cosmic_ray_run(store, "a")
    assert one is not None
    assert one["flagged_share"] == pytest.approx(0.25)
    summary = cosmicrays.cosmic_ray_summary(store)
    assert (summary["runs"], summary["hits"], summary["flagged_pixels"]) == (1, 3, 8)


def report(report_id: str, minutes: float, ece: float) -> dict[str, object]:
    measured = dict.fromkeys(("brier", "nll", "aurc"), 0.1)
    return {
        "report_id": report_id,
        "model_digest": "model",
        "pipeline": "cosmicrays",
        "dataset": "sky",
        "n": 10,
        "positives": 2,
        "ece": ece,
        "ece_bins": 2,
        "ece_norm": "l1",
        "temperature": 1.0,
        "measured_at": rows.at(minutes),
        **measured,
    }


def test_the_newest_calibration_report_of_a_model_on_a_data_set_counts(store: Store) -> None:
    bins = [
        {"report_id": "new", "bin": number, "low": number / 2, "high": (number + 1) / 2, "n": 5}
        for number in (1, 0)
    ]
    points = [{"report_id": "new", "coverage": c, "risk": c / 10} for c in (1.0, 0.5)]
    store.write(
        {
            "calibration_reports": [report("old", 0, 0.3), report("new", 1, 0.1)],
            "reliability_bins": bins,
            "risk_coverage_points": points,
        }
    )
    (found,) = calibration.reports(store)
    assert (found["report_id"], found["ece"]) == ("new", 0.1)
    assert [row["bin"] for row in calibration.reliability(store, "new")] == [0, 1]
    assert [row["coverage"] for row in calibration.risk_coverage(store, "new")] == [0.5, 1.0]


def test_the_variants_of_a_measurement_come_with_the_report_itself_first(night: Store) -> None:
    for row in calibration.reports(night):
        found = calibration.variants(night, row["report_id"])
        assert found[0]["report_id"] == row["report_id"]
        assert {v["dataset"] for v in found} == {row["dataset"]}
        assert len(found) == (1 if row["dataset"].startswith("sim:") else 4)


def test_the_history_joins_nights_to_one_line_in_order_of_time(night: Store) -> None:
    rows = calibration.history(night)
    assert [row["measured_at"] for row in rows] == sorted(row["measured_at"] for row in rows)
    assert sum(row["line"] == "simulated nights" for row in rows) == 2
    assert {row["stage"] for row in rows} == {"shipped"}
    assert len(calibration.history(night, limit=3)) == 3


def test_a_report_from_before_there_were_variants_is_over_all_pixels(store: Store) -> None:
    store.write({"calibration_reports": [report("old", 0, 0.3)]})
    (found,) = calibration.variants(store, "old")
    assert (found["pixels"], found["stage"], found["series"]) == ("all", "shipped", None)
    assert [row["line"] for row in calibration.history(store)] == ["sky"]


def test_a_card_gives_its_calibration(night: Store) -> None:
    model = calibration.reports(night)[0]["model_digest"]
    found = calibration.card(night, model)
    assert found is not None
    assert json.loads(found["calibration"])["temperature"] == 0.78
    assert found["metrics"] is None
    assert calibration.card(night, "nobody") is None
