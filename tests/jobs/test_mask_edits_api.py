"""Mask edits over a real server, and out of the store as FITS."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from tests.jobs.commands import Home, succeeded
from tests.jobs.serving import Served, served

pytestmark = pytest.mark.slow

NIGHT = "sim:edits,frames=2,terrain=1,size=64"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("edits") / "home"


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Served]:
    with served(home) as server:
        assert server.scanned(NIGHT)["stored"] == 3
        yield server


def a_frame(server: Served, number: int) -> str:
    runs = server.get("runs", pipeline="cosmicrays", status="ok")["rows"]
    return sorted(str(run["frame_digest"]) for run in runs)[number]


def test_an_edit_is_said_once_taken_back_and_listed(server: Served) -> None:
    frame = a_frame(server, 0)
    said: dict[str, Any] = {
        "frame_digest": frame, "action": "add", "editor": "ada",
        "y0": 1, "x0": 2, "height": 3, "width": 4,
    }  # fmt: skip

    first = server.post("mask-edits", **said, edit_id="one")
    again = server.post("mask-edits", **said, edit_id="one")
    server.post("mask-edits", undoes="one", editor="ada", edit_id="two")

    assert first == again
    log = server.get("mask-edits", frame=frame)["rows"]
    assert [(row["edit_id"], row["action"], row["undoes"]) for row in log] == [
        ("one", "add", None), ("two", "undo", "one"),
    ]  # fmt: skip
    frames = server.get("mask-edits/frames")["rows"]
    assert frame not in [row["frame_digest"] for row in frames]


def test_edited_masks_are_written_for_training(server: Served, home: Path, tmp_path: Path) -> None:
    frame = a_frame(server, 1)
    document = {"frame_digest": frame, "action": "add", "editor": "ada"}
    server.post("mask-edits", **document, y0=0, x0=0, height=1, width=5)
    server.post("mask-edits", **{**document, "action": "remove"}, y0=0, x0=0, height=1, width=1)

    out = tmp_path / "masks"
    printed = succeeded(Home(home).run("labels", "export-masks", str(out), "--json"))

    assert '"masks": 1' in printed
    (row,) = csv.DictReader((out / "index.csv").read_text().splitlines())
    assert (row["frame_digest"], row["edits"], row["editors"]) == (frame, "2", "ada")
    with fits.open(out / row["file"]) as units:
        np.testing.assert_array_equal(units["MASK"].data[0, :5], [0, 1, 1, 1, 1])
        assert units["JUDGED"].data.sum() == 5


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({}, "lacks frame_digest, action, editor"),
        ({"frame_digest": "x", "action": "add", "editor": "ada"}, "no cosmic-ray run"),
        ({"undoes": "nothing", "editor": "ada"}, "unknown"),
        ({"frame_digest": "x", "action": "add", "editor": "a", "threshold": "high"}, "threshold"),
    ],
)
def test_what_makes_no_sense_is_refused(
    server: Served, document: dict[str, Any], word: str
) -> None:
    answer = server.call("POST", "mask-edits", json=document)
    assert answer.status_code == 400
    assert word in answer.json()["error"]
