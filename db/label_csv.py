"""Labels as a CSV file: how rows are written and read, whatever they say."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from db.errors import TransferError

Label = dict[str, Any]

COLUMNS = (
    "label_id",
    "detection_id",
    "label",
    "labeller",
    "comment",
    "seconds",
    "undoes",
    "labelled_at",
    "kind",
    "grade",
    "queue",
    "blind",
)
LATER = ("kind", "grade", "queue", "blind")
REQUIRED = ("label_id", "detection_id", "label", "labeller", "labelled_at")


def write_csv(path: Path, labels: Sequence[Label]) -> None:
    """Write `labels` to `path`, whole or not at all; times in ISO 8601 with their zone."""
    partial = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with partial.open("x", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            for label in labels:
                writer.writerow({**label, "labelled_at": label["labelled_at"].isoformat()})
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise TransferError(f"cannot write {path}: {error.strerror}") from error


def read_csv(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the cells of each row with the number of the line that it ends on."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            missing = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
            if missing:
                raise TransferError(f"{path} lacks the columns {', '.join(missing)}")
            for cells in reader:
                yield reader.line_num, cells
    except OSError as error:
        raise TransferError(f"cannot read {path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise TransferError(f"{path} is not a CSV file in UTF-8: {error}") from error


def parse_label(cells: Mapping[str, str | None]) -> Label:
    """Turn the text of one row into values; ValueError says what is wrong."""
    if None in cells:
        raise ValueError("more cells than columns")
    empty = [name for name in REQUIRED if not (cells.get(name) or "").strip()]
    if empty:
        raise ValueError(f"empty {', '.join(empty)}")
    label: dict[str, Any] = {name: cells[name] for name in REQUIRED}
    label["comment"] = cells.get("comment") or ""
    label["undoes"] = cells.get("undoes") or None
    label["seconds"] = _seconds(cells.get("seconds") or "")
    label["kind"] = cells.get("kind") or None
    label["grade"] = _grade(cells.get("grade") or "")
    label["queue"] = cells.get("queue") or ""
    label["blind"] = _truth(cells.get("blind") or "")
    label["labelled_at"] = datetime.fromisoformat(label["labelled_at"])
    if label["labelled_at"].tzinfo is None:
        raise ValueError(f"labelled_at needs a time zone, got {cells['labelled_at']}")
    return label


def _seconds(text: str) -> float | None:
    if not text:
        return None
    seconds = float(text)
    if not math.isfinite(seconds):
        raise ValueError(f"seconds must be finite, got {text}")
    return seconds


def _grade(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        raise ValueError(f"grade must be a whole number, got {text}")
    return int(text)


def _truth(text: str) -> bool:
    if text.lower() not in ("", "true", "false"):
        raise ValueError(f"blind must be true or false, got {text}")
    return text.lower() == "true"
