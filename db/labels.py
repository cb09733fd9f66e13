"""Labels: what people said, as a log that only grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from db.database import Connection
from db.errors import StoreError, TransferError
from db.label_csv import COLUMNS, LATER, Label, parse_label, read_csv, write_csv
from db.label_log import UNDO, LabelLog
from db.store import Store

LABELS = ("accept", "reject", "unsure")
KINDS = {
    "astrophysical": "accept",
    "cosmic_ray": "reject",
    "codec_artefact": "reject",
    "instrument": "reject",
    "known_object": "reject",
    "boring": "reject",
    "unsure": "unsure",
}
"""What a labeller can call a thing, and the judgement that follows: a known object is real, but no
discovery."""
HIGHEST_GRADE = 5

_SHOWN_FAULTS = 20


def add_label(
    store: Store,
    *,
    label_id: str,
    detection_id: str,
    label: str | None = None,
    labeller: str,
    comment: str = "",
    seconds: float | None = None,
    kind: str | None = None,
    grade: int | None = None,
    queue: str = "",
    blind: bool = False,
    now: datetime,
) -> Label:
    """Append a label and return its row; the same `label_id` again changes nothing.

    `label` is one of LABELS, or None to take the one that follows from `kind`, one of KINDS.
    `seconds` is how long the labeller looked, `grade` an interest from 0 to 5, `queue` where the
    thing was handed out, `blind` whether machine scores were hidden. Raises StoreError for an
    unknown detection, label, kind or grade, ConflictError when `label_id` said something else
    before.
    """
    row = _row(
        label_id=label_id, detection_id=detection_id, label=label, labeller=labeller,
        comment=comment, seconds=seconds, kind=kind, grade=grade, queue=queue, blind=blind,
    )  # fmt: skip
    return add_labels(store, [row], now)[0]


def add_labels(store: Store, rows: Sequence[Mapping[str, Any]], now: datetime) -> list[Label]:
    """Append labels (arguments of `add_label`) in one transaction: all of them, or none.

    They follow each other by a microsecond, so that the last of them is the latest.
    """
    whole = [_row(**row) for row in rows]
    for row in whole:
        _require_named(row)

    return _appended(store, whole, now)


def _row(**given: Any) -> Label:
    """A whole row of the log out of what was given; StoreError for words that are not known."""
    label, kind = given.get("label"), given.get("kind")
    try:
        label = checked_label(label, kind, given.get("grade"))
    except ValueError as error:
        raise StoreError(str(error)) from error
    return {
        "label_id": given["label_id"],
        "detection_id": given["detection_id"],
        "label": label,
        "labeller": given["labeller"],
        "comment": given.get("comment", ""),
        "seconds": given.get("seconds"),
        "undoes": None,
        "kind": kind,
        "grade": given.get("grade"),
        "queue": given.get("queue", ""),
        "blind": given.get("blind", False),
    }


def checked_label(label: str | None, kind: str | None, grade: int | None) -> str:
    """The judgement that `label` or `kind` states; ValueError where they do not fit."""
    if kind is not None and kind not in KINDS:
        raise ValueError(f"expected a kind ({', '.join(KINDS)}), got {kind!r}")
    if label is None and kind is not None:
        label = KINDS[kind]
    if label not in LABELS:
        raise ValueError(f"expected a label ({', '.join(LABELS)}), got {label!r}")
    if kind is not None and KINDS[kind] != label:
        raise ValueError(f"{kind} means {KINDS[kind]}, got the label {label!r}: leave one out")
    if grade is not None and not 0 <= grade <= HIGHEST_GRADE:
        raise ValueError(f"expected a grade from 0 to {HIGHEST_GRADE}, got {grade}")
    return label


def undo_label(store: Store, *, label_id: str, undoes: str, labeller: str, now: datetime) -> Label:
    """Append a row that takes back the label `undoes`, and return it; again changes nothing.

    Only a labeller's own latest label on a detection can be taken back; the one before it, if
    any, is current again. Raises StoreError for any other.
    """
    return undo_labels(store, [(undoes, label_id)], labeller, now)[0]


def undo_labels(
    store: Store, undos: Sequence[tuple[str, str]], labeller: str, now: datetime
) -> list[Label]:
    """Take labels back in one transaction: all of them, or none.

    `undos` pairs the id of each label with that of the row that takes it back; the rest is as in
    `undo_label`.
    """
    found = store.rows(
        "SELECT label_id, detection_id FROM labels "
        "WHERE label_id IN (SELECT unnest($1::VARCHAR[]))",
        [[undoes for undoes, _ in undos]],
    )
    about = {row["label_id"]: row["detection_id"] for row in found}
    rows = []
    for undoes, label_id in undos:
        if undoes not in about:
            raise StoreError(f"expected the id of a label, got {undoes!r}: unknown")
        row = {
            "label_id": label_id, "detection_id": about[undoes], "label": UNDO,
            "labeller": labeller, "comment": "", "seconds": None, "undoes": undoes,
            "kind": None, "grade": None, "queue": "", "blind": False,
        }  # fmt: skip
        _require_named(row)
        rows.append(row)
    return _appended(store, rows, now)


def export_labels(store: Store, path: Path) -> int:
    """Write the whole log, undone labels and undos included, to a CSV file; return its rows."""
    columns = ", ".join(COLUMNS)
    rows = store.rows(f"SELECT {columns} FROM labels ORDER BY labelled_at, label_id")  # noqa: S608
    write_csv(path, rows)
    return len(rows)


def import_labels(store: Store, path: Path) -> dict[str, int]:
    """Append the labels of a CSV file and return how many were `added` and already `known`.

    Needs the columns label_id, detection_id, label, labeller and labelled_at (ISO 8601 with a
    time zone); the others may be absent, as in files of older versions. Raises TransferError,
    with the line numbers, if any row is wrong; then nothing is written.
    """
    said = {row["label_id"]: row for row in store.rows("SELECT * FROM labels")}
    detections = set(store.table("SELECT detection_id FROM detections")[0].to_pylist())
    fresh: list[Label] = []
    faults: list[str] = []
    known = 0
    for line, cells in read_csv(path):
        try:
            label = parse_label(cells)
            if _is_known(label, cells, said, detections):
                known += 1
                continue
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            continue
        said[label["label_id"]] = label
        fresh.append(label)
    if faults:
        raise TransferError(_listed(path, faults))
    store.write({"labels": fresh})
    return {"added": len(fresh), "known": known}


def _require_named(row: Label) -> None:
    if not row["labeller"].strip():
        raise StoreError("expected the name of who labels, got an empty one")


def _appended(store: Store, rows: Sequence[Label], now: datetime) -> list[Label]:
    """Append rows in one transaction, a microsecond apart; return what the log now says."""

    def say(connection: Connection) -> tuple[list[Label], bool]:
        log = LabelLog(connection, rows)
        said = [
            log.add(row, now + timedelta(microseconds=number)) for number, row in enumerate(rows)
        ]
        log.write(store.tables)
        return said, bool(log.fresh)

    return store.transaction(say, changed=lambda outcome: outcome[1])[0]


def _is_known(
    label: Label,
    cells: Mapping[str, str],
    said: Mapping[str, Label],
    detections: set[str],
) -> bool:
    """Say whether the same row is in the log already; ValueError if it does not fit there.

    A file of an older version lacks columns, and says nothing about them.
    """
    before = said.get(label["label_id"])
    if before is not None:
        told = [name for name in COLUMNS if name in cells or name not in LATER]
        if any(before[name] != label[name] for name in told):
            raise ValueError(f"label_id {label['label_id']} already says something else")
        return True
    if label["detection_id"] not in detections:
        raise ValueError(f"unknown detection_id {label['detection_id']}")
    if label["label"] not in (*LABELS, UNDO):
        raise ValueError(f"unknown label {label['label']!r}, expected {', '.join(LABELS)}, {UNDO}")
    if (label["label"] == UNDO) != (label["undoes"] is not None):
        raise ValueError("exactly the undo rows name what they undo")
    if label["label"] != UNDO:
        checked_label(label["label"], label["kind"], label["grade"])
    if label["undoes"] is not None:
        _require_undoable(label, said.get(label["undoes"]))
    return False


def _require_undoable(undo: Label, undone: Label | None) -> None:
    if undone is None or undone["label"] == UNDO:
        raise ValueError(f"undoes {undo['undoes']}, which is no label before this line")
    if any(undo[name] != undone[name] for name in ("labeller", "detection_id")):
        raise ValueError(f"undoes {undo['undoes']}, which is another's or on another detection")


def _listed(path: Path, faults: list[str]) -> str:
    shown = "\n  ".join(faults[:_SHOWN_FAULTS])
    more = f"\n  and {len(faults) - _SHOWN_FAULTS} more" if len(faults) > _SHOWN_FAULTS else ""
    return f"{path}: {len(faults)} rows are wrong, nothing was imported:\n  {shown}{more}"
