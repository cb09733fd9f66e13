"""The labelled real sets: their pictures, the tasks made of them, and folds by source."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.frame import Frame, Origin
from engine.reading import read_frames

PARTS, CHOICE_PARTS = 7, (0, 1)
BRIGHT_AREA = 0.1
NO_LABEL = "?"


@dataclass(frozen=True)
class Picture:
    """One labelled picture: `key` is its source image or object, `content` a digest of its data."""

    key: str
    label: str
    survey: str
    content: str
    read: Callable[[], Frame]


@dataclass(frozen=True)
class Task:
    """Which rows of a set take part and which are anomalous.

    `is_pool` ranks a pool by a model of the pool itself, for discovery; else models see normals
    of other sources only.
    """

    name: str
    dataset: str
    rows: NDArray[np.int64]
    odd: NDArray[np.bool_]
    keys: NDArray[np.str_]
    is_pool: bool = False

    def parts(self) -> NDArray[np.int64]:
        """Part 0..6 of every row: 0 and 1 are for choosing, 2..6 are the five test folds."""
        return balanced_parts(self.keys, self.odd, PARTS)


def balanced_parts(
    keys: Sequence[str] | NDArray[np.str_], odd: NDArray[np.bool_], count: int
) -> NDArray[np.int64]:
    """Part of every row, 0..count-1: rows of a key share one, anomalies are spread evenly.

    Keys with most anomalies first (then most normals, then by hash), each to the part with the
    fewest of what it brings.
    """
    totals: dict[str, NDArray[np.int64]] = {}
    for key, is_odd in zip(keys, odd, strict=True):
        totals.setdefault(str(key), np.zeros(2, np.int64))[int(is_odd)] += 1
    filled = np.zeros((count, 2), dtype=np.int64)
    chosen: dict[str, int] = {}
    for key in sorted(totals, key=lambda k: (-totals[k][1], -totals[k][0], _hash(k))):
        kind = int(totals[key][1] > 0)
        part = min(
            range(count),
            key=lambda p, key=key, kind=kind: (  # type: ignore[misc]
                filled[p, kind],
                filled[p, 1 - kind],
                _hash(f"{key}/{p}"),
            ),
        )
        chosen[key] = part
        filled[part] += totals[key]
    return np.array([chosen[str(key)] for key in keys], dtype=np.int64)


def datasets(data: Path) -> dict[str, list[Picture]]:
    """The sets that are there: first, gz2, gz_examples, hirise, ztf."""
    sets: dict[str, list[Picture]] = {}
    radio = data / "galaxies" / "first_radio_galaxies.npz"
    if radio.is_file():
        with np.load(radio) as stored:
            images, labels = stored["images"], stored["labels"]
        sets["first"] = [
            _array(images[i], str(labels[i]), f"first-{i}") for i in range(len(labels))
        ]
    for name, table, key in (
        ("gz2", data / "galaxies" / "gz2_kaggle.csv", "galaxy_id"),
        ("gz_examples", data / "galaxies" / "gz_examples.csv", "file"),
        ("hirise", data / "mars" / "hirise_landmarks.csv", "source_image"),
    ):
        if table.is_file():
            sets[name] = _table(table, key)
    stamps = data / "ztf" / "ztf_alert_stamps.npz"
    if stamps.is_file():
        sets["ztf"] = _stamps(stamps, stamps.with_name("ztf_alerts.csv"))
    return sets


def tasks(sets: dict[str, list[Picture]]) -> list[Task]:
    """Every task that the sets allow; all-zero pictures and duplicates take no part."""
    made: list[Task] = []
    if "first" in sets:
        made.append(_task("first_bent", "first", sets, {"Compact", "FRI", "FRII"}, {"Bent"}))
        made.append(_task("first_extended", "first", sets, {"Compact"}, {"Bent", "FRI", "FRII"}))
    if "gz2" in sets:
        made.append(_task("gz2_spirals", "gz2", sets, {"non_spirals"}, {"spirals"}))
    if "gz_examples" in sets:
        made += [
            _task(f"odd_{survey}", "gz_examples", sets, {"0"}, {"1"}, survey=survey)
            for survey in ("gama", "sloan")
        ]
    if "hirise" in sets:
        made.append(_task("hirise_craters", "hirise", sets, {"other"}, {"crater"}))
        dunes = {"dark_dune", "bright_dune"}
        made.append(_task("hirise_dunes", "hirise", sets, {"other"}, dunes))
    if "ztf" in sets:
        made.append(_task("ztf_drb", "ztf", sets, {"real"}, {"bogus"}))
    return [task for task in made if task.odd.any() and not task.odd.all()]


def bright_area(frame: Frame) -> float:
    """Share of pixels more than a tenth of full scale above the median."""
    pixels = np.nan_to_num(frame.pixels)
    scale = 255.0 if frame.sample_type == "uint8" else max(float(np.ptp(pixels)), 1e-9)
    return float(np.mean(pixels / scale > np.median(pixels) / scale + BRIGHT_AREA))


def _task(
    name: str,
    dataset: str,
    sets: dict[str, list[Picture]],
    normal: set[str],
    odd: set[str],
    *,
    survey: str = "",
) -> Task:
    pictures = sets[dataset]
    rows = [
        row
        for row, picture in enumerate(pictures)
        if picture.label in normal | odd and picture.survey == survey
    ]
    return Task(
        name,
        dataset,
        np.array(rows, dtype=np.int64),
        np.array([pictures[row].label in odd for row in rows], dtype=np.bool_),
        np.array([pictures[row].key for row in rows]),
        is_pool=dataset == "gz_examples",
    )


def _array(pixels: NDArray[np.generic], label: str, name: str) -> Picture:
    empty = not np.any(pixels)
    content = hashlib.sha256(pixels.tobytes()).hexdigest()
    shown = NO_LABEL if empty else label
    return Picture(name, shown, "", content, lambda: Frame.of(pixels, Origin("bench", name)))


def _table(table: Path, key: str) -> list[Picture]:
    pictures = []
    with table.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            path = table.parent / row["file"]
            label = NO_LABEL if row.get("dup_of") else row.get("label", row.get("odd", NO_LABEL))
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            pictures.append(
                Picture(row[key], str(label), row.get("survey", ""), content, _opener(path))
            )
    return pictures


def _opener(path: Path) -> Callable[[], Frame]:
    return lambda: read_frames(path, source="bench").frames[0]


def _stamps(stamps: Path, table: Path) -> list[Picture]:
    with np.load(stamps) as stored:
        images = stored["stamps"]
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    pictures = []
    for image, row in zip(images, rows, strict=True):
        drb = float(row["drb"] or "nan")
        label = "bogus" if drb < 0.5 else "real" if drb >= 0.5 else NO_LABEL
        pictures.append(_array(image.astype(np.float32), label, row["objectId"]))
    return pictures


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
