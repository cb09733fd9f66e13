"""Images with class names: folders by class, tables of votes, Galaxy10 files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.errors import UnreadableFile
from engine.frame import Frame, Origin
from engine.reading import image_suffix, read_frames

GALAXY10_CLASSES = (
    "disturbed",
    "merging",
    "round smooth",
    "in-between round smooth",
    "cigar-shaped smooth",
    "barred spiral",
    "unbarred tight spiral",
    "unbarred loose spiral",
    "edge-on without bulge",
    "edge-on with bulge",
)
SOURCE = "labelled"


@dataclass(frozen=True)
class LabelledImages:
    """Images that are read when asked for, one class name and one source-image key each."""

    reads: tuple[Callable[[], Frame], ...]
    labels: tuple[str, ...]
    keys: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def frames(self) -> Iterator[Frame]:
        """The images, in order."""
        for read in self.reads:
            yield read()

    def relabelled(self, names: Mapping[str, str]) -> LabelledImages:
        """Another label set: every class renamed by `names`; classes it leaves out are dropped.

        Several old names may share a new one. An empty mapping changes nothing.
        """
        if not names:
            return self
        kept = [row for row, label in enumerate(self.labels) if label in names]
        return replace(
            self,
            reads=tuple(self.reads[row] for row in kept),
            labels=tuple(names[self.labels[row]] for row in kept),
            keys=tuple(self.keys[row] for row in kept),
        )


def read_labelled(path: Path) -> LabelledImages:
    """Read what `path` is: a folder of class folders, a .csv table, or a Galaxy10 .h5 file.

    Raises UnreadableFile when it is none of these.
    """
    if path.is_dir():
        return class_folders(path)
    if path.suffix.lower() == ".csv":
        return class_table(path)
    if path.suffix.lower() in (".h5", ".hdf5"):
        return galaxy10(path)
    raise UnreadableFile(
        f"{path} holds no labelled images: give a folder with one folder per class, a .csv table "
        "with a file column, or a Galaxy10 .h5 file"
    )


def class_folders(folder: Path) -> LabelledImages:
    """Images below FOLDER/CLASS/; the class is the folder's name."""
    found = [
        (path, inside.name)
        for inside in sorted(p for p in folder.iterdir() if p.is_dir())
        for path in sorted(inside.rglob("*"))
        if path.is_file() and image_suffix(path)
    ]
    if not found:
        raise UnreadableFile(f"no images in folders below {folder}: expected {folder}/CLASS/IMAGE")
    paths, labels = zip(*found, strict=True)
    keys = tuple(str(path.relative_to(folder)) for path in paths)
    return LabelledImages(tuple(_opener(path) for path in paths), labels, keys)


def class_table(
    table: Path, *, least_votes: float = 0.5, votes: Sequence[str] = ()
) -> LabelledImages:
    """Images named by a table's `file` column (relative to the table), as Galaxy Zoo publishes.

    The class is the `label` column where there is one; else the column of `votes` (all columns
    that end in "_fraction" or "_debiased" where none are given) with the largest share, and rows
    whose largest share is below `least_votes` are left out. A `source_image`, `galaxy_id` or
    `objectId` column groups crops of one image; rows with `dup_of` are left out. Raises
    UnreadableFile when the columns are not there.
    """
    with table.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if not row.get("dup_of")]
    if not rows or "file" not in rows[0]:
        raise UnreadableFile(f"{table} needs a column named file with the images' paths")
    shares = tuple(votes) or tuple(
        name for name in rows[0] if name.endswith(("_fraction", "_debiased"))
    )
    if "label" not in rows[0] and not shares:
        raise UnreadableFile(
            f"{table} needs a column named label, or votes in columns that end in _fraction or "
            "_debiased"
        )
    group = next((n for n in ("source_image", "galaxy_id", "objectId") if n in rows[0]), "file")
    kept: list[tuple[Path, str, str]] = []
    for row in rows:
        label = row["label"] if "label" in row else _majority(row, shares, least_votes)
        if label:
            kept.append((table.parent / row["file"], label, row[group]))
    if not kept:
        raise UnreadableFile(f"no row of {table} has a class with a share of {least_votes:g}")
    paths, labels, keys = zip(*kept, strict=True)
    return LabelledImages(tuple(_opener(path) for path in paths), labels, keys)


def galaxy10(path: Path, classes: Sequence[str] = GALAXY10_CLASSES) -> LabelledImages:
    """A Galaxy10 file: `images` uint8 (N, H, W, 3) and `ans` (N,), class numbers from 0.

    The default names are those of Galaxy10 DECaLS (Leung & Bovy 2019; Walmsley et al. 2021).
    Raises UnreadableFile without h5py, or when the file is another one.
    """
    try:
        import h5py
    except ImportError as error:
        raise UnreadableFile("reading Galaxy10 needs h5py: install skysieve[galaxy10]") from error
    try:
        with h5py.File(path) as stored:
            answers = np.asarray(stored["ans"], dtype=np.int64)
            shape = stored["images"].shape
    except (OSError, KeyError) as error:
        raise UnreadableFile(f"{path} is not a Galaxy10 file with images and ans") from error
    if len(shape) != 4 or shape[0] != len(answers) or answers.max(initial=0) >= len(classes):
        raise UnreadableFile(
            f"{path} should hold images (N, H, W, 3) and {len(classes)} classes, has {shape}"
        )

    def opener(row: int) -> Callable[[], Frame]:
        def read() -> Frame:
            with h5py.File(path) as stored:
                pixels = np.asarray(stored["images"][row], dtype=np.uint8)
            planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
            return Frame.of(planes, Origin(SOURCE, f"{path.stem}-{row}"))

        return read

    rows = range(len(answers))
    return LabelledImages(
        tuple(opener(row) for row in rows),
        tuple(classes[answers[row]] for row in rows),
        tuple(f"{path.stem}-{row}" for row in rows),
    )


def _majority(row: Mapping[str, str], shares: Sequence[str], least: float) -> str | None:
    values = [float(row[name] or 0) for name in shares]
    best = int(np.argmax(values))
    name = shares[best].removesuffix("_fraction").removesuffix("_debiased")
    return name if values[best] >= least else None


def _opener(path: Path) -> Callable[[], Frame]:
    return lambda: read_frames(path, source=SOURCE).frames[0]
