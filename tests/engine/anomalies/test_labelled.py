"""Labelled sets as they come: class folders, vote tables, Galaxy10 files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.anomalies.labelled import GALAXY10_CLASSES, class_table, read_labelled
from engine.errors import UnreadableFile


def picture(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 20), level, np.uint8)).save(path)


def test_class_folders(tmp_path: Path) -> None:
    for name, level in (("ring/a.png", 10), ("ring/b.png", 20), ("spiral/c.png", 30)):
        picture(tmp_path / name, level)
    found = read_labelled(tmp_path)
    assert found.labels == ("ring", "ring", "spiral")
    assert found.keys == ("ring/a.png", "ring/b.png", "spiral/c.png")
    assert [frame.pixels.max() for frame in found.frames()] == [10, 20, 30]


def test_another_label_set_merges_and_drops_classes(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png", "c/3.png"):
        picture(tmp_path / name, 5)
    found = read_labelled(tmp_path).relabelled({"a": "round", "b": "round"})
    assert (found.labels, len(found)) == (("round", "round"), 2)
    assert read_labelled(tmp_path).relabelled({}).labels == ("a", "b", "c")


def test_a_table_of_votes_takes_the_largest_share(tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / f"{name}.png", 5)
    table = tmp_path / "votes.csv"
    table.write_text(
        "file,smooth_fraction,disc_fraction\na.png,0.9,0.1\nb.png,0.3,0.7\nc.png,0.45,0.4\n"
    )
    found = read_labelled(table)
    assert found.labels == ("smooth", "disc")
    assert class_table(table, least_votes=0.4).labels == ("smooth", "disc", "smooth")


def test_a_table_of_labels_groups_by_source_and_leaves_copies_out(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 5)
    table = tmp_path / "labels.csv"
    table.write_text("file,source_image,label,dup_of\na.png,S1,crater,\na.png,S1,crater,a.png\n")
    found = read_labelled(table)
    assert (found.labels, found.keys) == (("crater",), ("S1",))


def test_galaxy10(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "Galaxy10_DECals.h5"
    images = np.zeros((3, 24, 24, 3), np.uint8)
    images[1, :, :, 2] = 77
    with h5py.File(path, "w") as stored:
        stored["images"], stored["ans"] = images, np.array([5, 0, 9], np.uint8)
    found = read_labelled(path)
    assert found.labels == tuple(GALAXY10_CLASSES[k] for k in (5, 0, 9))
    frame = found.reads[1]()
    assert frame.pixels.shape == (3, 24, 24)
    assert (frame.pixels[2] == 77).all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "image,label\na.png,b\n", "column named file"),
        ("x.csv", "file,size\na.png,3\n", "column named label, or votes"),
        ("x.txt", "", "holds no labelled images"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UnreadableFile, match=message):
        read_labelled(path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="no images in folders below"):
        read_labelled(tmp_path)
