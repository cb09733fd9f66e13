"""`score` and `train anomaly` on folders of small pictures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from engine.anomalies.pipeline import AnomalyPipeline
from engine.cards import read_card
from engine.reading import read_frames
from engine.results import Verdict
from jobs.cli.anomaly import folder_source, image_files, score, train_anomaly
from jobs.errors import SourceError, UsageError

SIDE = 48


def picture(rng: np.random.Generator, *, odd: bool = False) -> Image.Image:
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    width = rng.uniform(5, 8)
    light = np.exp(-(rows**2 + columns**2) / (2 * width**2))
    if odd:
        light = np.exp(-((np.hypot(rows, columns) - 14) ** 2) / 8)
    return Image.fromarray(
        (20 + 200 * light + rng.normal(0, 4, light.shape)).clip(0, 255).astype("u1")
    )


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, count, odd in (("normal", 120, False), ("new", 20, False), ("odd", 6, True)):
        (folder / name).mkdir()
        for number in range(count):
            picture(rng, odd=odd).save(folder / name / f"{name}-{number:03d}.png")
    return folder


def run(folder: Path, out: Path, *arguments: str) -> tuple[dict[str, object], list[dict[str, str]]]:
    app = typer.Typer()
    app.command()(score)
    fixed = ["--reference", str(folder), "--out", str(out), "--embedder", "morphology", "--json"]
    result = CliRunner().invoke(app, [*arguments, *fixed], catch_exceptions=False)
    assert result.exit_code == 0
    with out.open(newline="") as stream:
        return json.loads(result.stdout), list(csv.DictReader(stream))


def test_odd_pictures_get_small_p_values_and_normal_ones_do_not(
    folder: Path, tmp_path: Path
) -> None:
    facts, rows = run(
        folder / "normal", tmp_path / "scores.csv", str(folder / "new"), str(folder / "odd")
    )
    assert (facts["files"], facts["scored"], facts["reference_images"]) == (26, 26, 120)
    assert facts["n_fit"] + facts["n_cal"] == 120
    assert facts["smallest_p_value"] == pytest.approx(1 / (facts["n_cal"] + 1))
    p_value = {Path(row["file"]).name: float(row["combined_p_value"]) for row in rows}
    odd = [p for name, p in p_value.items() if name.startswith("odd")]
    assert max(odd) == pytest.approx(facts["smallest_p_value"])
    assert np.mean([p <= 0.05 for name, p in p_value.items() if name.startswith("new")]) <= 0.2


def test_every_method_has_score_percentile_and_p_value(folder: Path, tmp_path: Path) -> None:
    _, rows = run(folder / "normal", tmp_path / "scores.csv", str(folder / "odd"))
    for method in ("combined", "mahalanobis", "knn", "pca_reconstruction"):
        assert float(rows[0][f"{method}_percentile"]) > 95
        assert 0 < float(rows[0][f"{method}_p_value"]) < 0.1
        assert np.isfinite(float(rows[0][f"{method}_score"]))
    assert rows[0]["verdict"] in list(Verdict)
    assert rows[0]["reason"]


def test_unreadable_files_are_rows_with_their_error(folder: Path, tmp_path: Path) -> None:
    broken, tiny = tmp_path / "broken.png", tmp_path / "tiny.png"
    broken.write_bytes(b"not an image")
    Image.new("L", (8, 8), 9).save(tiny)
    good = folder / "odd" / "odd-000.png"
    facts, rows = run(folder / "normal", tmp_path / "scores.csv", str(broken), str(good), str(tiny))
    assert [Path(row["file"]) for row in rows] == [broken, good, tiny]
    assert "not a FITS, PNG, TIFF or JPEG image" in rows[0]["error"]
    assert "8 x 8 px: at least 16 are needed" in rows[2]["error"]
    assert rows[0]["combined_p_value"] == rows[0]["verdict"] == ""
    assert rows[1]["error"] == ""
    assert (facts["scored"], facts["unreadable"]) == (1, 2)


def test_nothing_scored_is_a_failure_that_still_writes_the_rows(
    folder: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    with pytest.raises(UsageError, match="none of 1 files could be scored"):
        score([broken], folder / "normal", tmp_path / "out.csv", None, "morphology")
    assert "is empty" in (tmp_path / "out.csv").read_text()


def test_a_reference_image_that_is_scored_is_not_fitted_on(folder: Path, tmp_path: Path) -> None:
    one = folder / "normal" / "normal-000.png"
    facts, _ = run(folder / "normal", tmp_path / "scores.csv", str(one))
    assert facts["reference_images"] == 119


def test_samples_multiply_rows_and_are_reproducible(folder: Path, tmp_path: Path) -> None:
    arguments = (str(folder / "odd"), "--samples-per-image", "2")
    facts, rows = run(folder / "normal", tmp_path / "a.csv", *arguments)
    _, again = run(folder / "normal", tmp_path / "b.csv", *arguments)
    assert facts["n_fit"] + facts["n_cal"] == 240
    assert rows == again


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no images in .*: expected FITS"):
        image_files([tmp_path])


def test_a_trained_folder_covers_whole_pictures_of_that_folder(
    folder: Path, tmp_path: Path
) -> None:
    train_anomaly(folder / "normal", "mine", None, embedder="morphology", out=tmp_path)
    assert read_card("mine", tmp_path).pipeline == "anomaly"
    pipeline = AnomalyPipeline(folder=tmp_path, reference_name="mine")
    for source, verdict in (
        (folder_source(folder / "normal"), Verdict.CANDIDATE),
        (folder_source(folder / "odd"), Verdict.UNCERTAIN),
    ):
        frame = read_frames(folder / "odd" / "odd-001.png", source=source).frames[0]
        (detection,) = pipeline.run(frame, np.random.default_rng(0)).detections
        wanted = (verdict, Verdict.NEAR_MISS) if verdict is Verdict.CANDIDATE else (verdict,)
        assert detection.verdict in wanted
