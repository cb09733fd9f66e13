"""`downlink` and `receive` as an operator runs them, with the shipped model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.anomalies.simulated import held_out_frames
from engine.sky import simulated_rover_frame
from engine.writing import write_fits, write_png
from jobs.cli.app import app
from jobs.errors import UsageError

SIDE = 96


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for index in range(2):
        paths.append(folder / f"ground{index}.png")
        frame = simulated_rover_frame("downlink-cli", index, size=SIDE).frame
        write_png(paths[-1], frame.pixels, 8)
    return paths


def run(*arguments: object) -> dict[str, Any]:
    found = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    facts: dict[str, Any] = json.loads(found.stdout)
    return facts


def refused(match: str, *arguments: object) -> None:
    with pytest.raises(UsageError, match=match):
        CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)


@pytest.mark.slow
def test_a_pass_is_planned_sent_cut_and_read_back(pictures: list[Path], tmp_path: Path):
    facts = run("downlink", *pictures, "--out", tmp_path, "--rate-mbps", 0.01, "--pass-s", 2,
                "--light-time-s", 780, "--side", 32)  # fmt: skip
    stream = tmp_path / "pass.stream"
    assert stream.stat().st_size == facts["bytes"] <= facts["budget"] == 2500
    assert json.loads((tmp_path / "plan.json").read_text()) == facts
    gains = [row["gain"] for row in facts["arrived"]]
    assert gains == sorted(gains)
    assert [row["share"] for row in facts["arrived"]] == [0.05, 0.1, 0.25, 0.5, 1.0]
    last = facts["arrived"][-1]
    assert last["seconds"] == pytest.approx(780 + 8 * last["bytes"] / 1e4)
    assert facts["records_left"] > 0
    stream.write_bytes(stream.read_bytes()[: facts["bytes"] // 2])
    got = run("receive", stream, "--out", tmp_path / "files", "--side", 32, "--requests", 5)
    assert {row["frame"] for row in got["frames"]} <= {"ground0", "ground1"}
    assert all(Path(row["file"]).is_file() for row in got["frames"])
    assert 0 < len(got["requests"]) <= 5
    assert {request["reason"] for request in got["requests"]} <= {"lost", "coarse", "uncertain"}


@pytest.mark.slow
def test_a_region_of_interest_goes_first(pictures: list[Path], tmp_path: Path):
    limits = ["--out", tmp_path, "--budget", 900, "--side", 32]
    plain = run("downlink", pictures[0], *limits)
    aimed = run("downlink", pictures[0], *limits, "--roi", "ground0:64:64:32:32:10000")
    assert plain["bytes"] <= 900
    assert not [
        row for row in aimed["left_behind"] if (row["y0"], row["x0"], row["layer"]) == (64, 64, 1)
    ]


@pytest.mark.slow
def test_odd_cutouts_go_first_and_are_judged_where_they_arrived(tmp_path: Path):
    sky = next(held_out_frames(1)).frame
    write_fits(tmp_path / "sky.fits", {"SCI": sky.pixels})
    sent = ["downlink", tmp_path / "sky.fits", "--out", tmp_path, "--side", 32]
    run(*sent, "--budget", 900, "--anomalies", "--source", "sim:link")
    seen = ["receive", tmp_path / "pass.stream", "--out", tmp_path / "files", "--anomalies"]
    (frame,) = run(*seen, "--source", "sim:link")["frames"]
    assert 0 < frame["refined_share"] < 0.5
    assert min(frame["judged"], frame["not_judged"]) > 0
    assert len(frame["anomalies"]) <= frame["judged"]
    assert all(0 < found["p_value"] <= 0.05 for found in frame["anomalies"])
    (stranger,) = run(*seen)["frames"]
    assert (stranger["judged"], stranger["anomalies"]) == (0, [])


def test_wrong_usage_is_named(pictures: list[Path], tmp_path: Path):
    one = ["downlink", pictures[0], "--out", tmp_path]
    refused("say what the pass carries", *one)
    refused("not both", *one, "--budget", 5, "--pass-s", 3)
    refused("needs a --rate-mbps", *one, "--pass-s", 3)
    refused("NAME:Y0:X0", *one, "--budget", 5, "--roi", "x")
    refused("no frame is called", *one, "--budget", 5, "--worth", "nobody:3")
    refused("is no pass", "receive", pictures[0], "--out", tmp_path)
