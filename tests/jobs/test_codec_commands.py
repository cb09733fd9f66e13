"""`compress` and `decompress` as a user runs them, with the shipped model."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image
from typer.testing import CliRunner

from engine.sky import simulated_frame, simulated_rover_frame
from engine.writing import write_fits, write_png
from jobs.bench.codec import bench_codec
from jobs.cli.app import app
from jobs.errors import UsageError

SIDE = 64


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "ground.png"
    write_png(path, simulated_rover_frame("codec-cli", 0, size=SIDE).frame.pixels, 8)
    return path


@pytest.fixture
def stars(tmp_path: Path) -> Path:
    path = tmp_path / "stars.fits"
    frames = [simulated_frame("codec-cli", index, size=SIDE).frame for index in range(2)]
    images = {name: frame.pixels for name, frame in zip("AB", frames, strict=True)}
    write_fits(path, images, header=frames[0].header)
    return path


def run(*arguments: object) -> dict[str, Any]:
    found = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    facts: dict[str, Any] = json.loads(found.stdout)
    return facts


def test_sizes_are_those_on_disk_and_keep_the_rate(picture: Path, tmp_path: Path):
    facts = run("compress", picture, "--out", tmp_path, "--bpp", 1.0)
    size = (tmp_path / "ground.cosmic").stat().st_size
    assert facts["bytes"] == facts["files"][0]["bytes"] == size
    assert facts["bpp"] == 8 * size / SIDE**2 <= 1.0
    assert facts["files"][0]["compression_ratio"] == pytest.approx(8 / facts["bpp"])


@pytest.mark.parametrize("options", [["--lossless"], ["--near", "0"]])
def test_lossless_png_comes_back_equal(picture: Path, tmp_path: Path, options: list[str]):
    run("compress", picture, "--out", tmp_path, *options)
    facts = run("decompress", tmp_path / "ground.cosmic", "--out", tmp_path / "again.png")
    assert facts["lost_tiles"] == []
    with Image.open(picture) as before, Image.open(tmp_path / "again.png") as after:
        np.testing.assert_array_equal(np.asarray(after), np.asarray(before))


def test_every_frame_of_a_file_becomes_its_own_file(stars: Path, tmp_path: Path):
    facts = run("compress", stars, "--out", tmp_path / "out", "--lossless")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert facts["frames"] == len(names) == 2
    assert all(name.startswith("stars.") and name.endswith(".cosmic") for name in names)
    again = []
    for index, name in enumerate(names):
        out = tmp_path / f"{index}.fits"
        run("decompress", tmp_path / "out" / name, "--out", out)
        again.append(fits.getdata(out, "SCI"))
    with fits.open(stars) as original:
        np.testing.assert_array_equal(again, [original["A"].data, original["B"].data])


def test_the_uncertainty_file_holds_all_maps_and_the_wcs(stars: Path, tmp_path: Path):
    run("compress", stars, "--out", tmp_path, "--bpp", 6.0)
    coded = sorted(tmp_path.glob("*.cosmic"))[0]
    maps = tmp_path / "maps.fits"
    sci = tmp_path / "sci.fits"
    facts = run("decompress", coded, "--out", sci, "--uncertainty", maps)
    assert facts["fits_cards"] == "essential"
    with fits.open(maps) as units:
        names = [unit.name for unit in units[1:]]
        assert names == ["PREDICTED", "DROPOUT", "EXPECTED", "BOUND90"]
        assert (units["BOUND90"].data > units["EXPECTED"].data).mean() > 0.5
        assert (units["PREDICTED"].data > 0).all()
        assert (units["DROPOUT"].data >= 0).all()
        assert units["DROPOUT"].header["CTYPE1"] == "RA---TAN"


def test_both_maps_are_above_zero_at_the_rates_trained_on(picture: Path, tmp_path: Path):
    run("compress", picture, "--out", tmp_path, "--bpp", 1.0)
    maps = tmp_path / "maps.fits"
    coded = tmp_path / "ground.cosmic"
    run("decompress", coded, "--out", tmp_path / "back.png", "--uncertainty", maps)
    with fits.open(maps) as units:
        assert all((unit.data > 0).all() for unit in units[1:])


def test_damage_is_reported_and_masked(picture: Path, tmp_path: Path):
    big = tmp_path / "big.png"
    write_png(big, simulated_rover_frame("codec-cli", 1, size=300).frame.pixels, 8)
    run("compress", big, "--out", tmp_path, "--lossless")
    coded = tmp_path / "big.cosmic"
    content = bytearray(coded.read_bytes())
    content[200] ^= 0xFF
    coded.write_bytes(content)
    facts = run("decompress", coded, "--out", tmp_path / "big.fits")
    assert facts["lost_tiles"] == [0]
    with fits.open(tmp_path / "big.fits") as units:
        assert units["MASK"].data[:256, :256].all()
        assert not units["MASK"].data[:, 256:].any()


@pytest.mark.slow
def test_another_process_writes_the_same_picture(picture: Path, tmp_path: Path):
    run("compress", picture, "--out", tmp_path, "--bpp", 1.0)
    coded = tmp_path / "ground.cosmic"
    run("decompress", coded, "--out", tmp_path / "here.png")
    there = [sys.executable, "-m", "jobs.cli.app", "decompress", coded, "--out"]
    subprocess.run([*map(str, there), str(tmp_path / "there.png")], check=True)
    assert (tmp_path / "here.png").read_bytes() == (tmp_path / "there.png").read_bytes()


def test_protected_hits_come_back_exactly(tmp_path: Path):
    frame = simulated_frame("codec-cli", 3, size=128).frame
    path = tmp_path / "hit.fits"
    write_fits(path, {"SCI": frame.pixels}, header=frame.header)
    facts = run("compress", path, "--out", tmp_path, "--bpp", 4, "--protect-hits")
    (row,) = facts["files"]
    assert row["hit_pixels"] > 0
    assert row["bpp"] <= 4
    back = run("decompress", row["file"], "--out", tmp_path / "back.fits")
    assert back["hits_lost"] is False
    raw, again = fits.getdata(path, "SCI"), fits.getdata(tmp_path / "back.fits", "SCI")
    assert (raw == again).sum() >= row["hit_pixels"]


def test_a_lossless_file_is_safe_everywhere(picture: Path, tmp_path: Path):
    run("compress", picture, "--out", tmp_path, "--near", 2)
    coded, safe = tmp_path / "ground.cosmic", tmp_path / "safe.fits"
    for bound, share in ((3.0, 1.0), (1.0, 0.0)):
        facts = run("decompress", coded, "--out", tmp_path / "b.png", "--safe-map", safe,
                    "--error-below", bound)  # fmt: skip
        assert facts["safe_share"] == share
        assert fits.getdata(safe, "SAFE").mean() == share
    refused("go together", "decompress", coded, "--out", tmp_path / "b.png", "--safe-map", safe)


@pytest.mark.parametrize("suffix", [".npy", ".fits"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32"])
def test_a_large_image_goes_by_rows(tmp_path: Path, kind: str, suffix: str):
    ramp = (np.add.outer(np.arange(70) * 3, np.arange(90) * 2) % 200).astype(kind)
    source, back = tmp_path / f"large{suffix}", tmp_path / f"back{suffix}"
    if suffix == ".npy":
        np.save(source, ramp)
    else:
        fits.PrimaryHDU(ramp, fits.Header({"OBJECT": "ramp"})).writeto(source)
    facts = run("compress", source, "--out", tmp_path, "--stream", "--bpp", 4)
    coded = tmp_path / "large.cosmic"
    assert facts["files"][0]["bytes"] == coded.stat().st_size <= 4 * ramp.size / 8
    run("decompress", coded, "--out", back, "--stream")
    plain = tmp_path / "plain.fits"
    run("decompress", coded, "--out", plain)
    found = np.load(back) if suffix == ".npy" else fits.getdata(back)
    assert found.dtype.newbyteorder("=") == ramp.dtype
    np.testing.assert_allclose(found, fits.getdata(plain, "SCI"), atol=1e-3 * (kind == "float32"))
    if suffix == ".fits":
        assert fits.getheader(back)["OBJECT"] == "ramp"
    refused(
        "--bpp or --bytes alone", "compress", source, "--out", tmp_path, "--stream", "--near", 1
    )


def refused(match: str, *arguments: object) -> None:
    with pytest.raises(UsageError, match=match):
        CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)


def test_wrong_usage_is_named(picture: Path, tmp_path: Path):
    refused("exactly one of", "compress", picture, "--out", tmp_path, "--bpp", 1, "--near", 2)
    refused("2 frames would be written", "compress", picture, picture, "--out", tmp_path)
    refused(r"must end in \.png or \.fits", "decompress", picture, "--out", tmp_path / "a.txt")
    refused("cannot be read", "decompress", tmp_path / "none", "--out", tmp_path / "a.png")


@pytest.mark.slow
def test_the_bench_writes_what_it_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):

    monkeypatch.setattr("jobs.bench.codec.RATES", (1.0,))
    one_each = {"simulated_ground": 1, "simulated_sky": 1}
    monkeypatch.setattr("jobs.bench.codec.FRAMES", one_each)
    monkeypatch.setattr("jobs.bench.codec_science.SKY_FRAMES", 1)
    out = tmp_path / "codec.json"
    bench_codec(
        out,
        data=None,
        seed=0,
        now=datetime(2026, 1, 1, tzinfo=UTC),
        sections=("quality", "priority", "photometry", "colour"),
    )
    everything = json.loads(out.read_text())["figures"]
    assert everything["photometry"]["lossless"]["largest_error"] == 0
    assert everything["photometry"]["near_2"]["largest_error"] <= 2
    assert everything["photometry"]["2_bpp_hits_protected"]["largest_error_on_hits"] == 0
    assert everything["priority"]["simulated_ground"]["gain_over_even"] > 0
    figures = everything["1_bpp"]
    assert set(figures) == set(one_each)
    for codecs in figures.values():
        assert set(codecs) == {"skysieve", "jpeg", "jpeg2000", "jpegxl", "hcompress"}
        assert all(0.5 < row["bpp"] <= 1.0 for row in codecs.values())
