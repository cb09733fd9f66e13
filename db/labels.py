"""Labels: what people said, as a log that only grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from db.database import Connection
from db.errors import ConflictError, StoreError, TransferError
from db.label_csv import COLUMNS, Label, parse_label, read_csv, write_csv
from db.store import Store, select

LABELS = ("accept", "reject", "unsure")
UNDO = "undo"

_SHOWN_FAULTS = 20


def add_label(
    store: Store,
    *,
    label_id: str,
    detection_id: str,
    label: str,
    labeller: str,
    comment: str = "",
    seconds: float | None = None,
    now: datetime,
) -> Label:
    """Append a label and return its row; the same `label_id` again changes nothing.

    `label` is one of LABELS, `seconds` how long the labeller looked. Raises StoreError for an
    unknown detection or label, ConflictError when `label_id` said something else before.
    """
    if label not in LABELS:
        raise StoreError(f"expected a label ({', '.join(LABELS)}), got {label!r}")
    row = {
        "label_id": label_id,
        "detection_id": detection_id,
        "label": label,
        "labeller": labeller,
        "comment": comment,
        "seconds": seconds,
        "undoes": None,
    }

    def require_detection(connection: Connection) -> None:
        known = "SELECT 1 FROM detections WHERE detection_id = ?"
        if not select(connection, known, [detection_id]).num_rows:
            raise StoreError(f"expected the id of a detection, got {detection_id!r}: unknown")

    return _say(store, row, require_detection, now)


def undo_label(store: Store, *, label_id: str, undoes: str, labeller: str, now: datetime) -> Label:
    """Append a row that takes back the label `undoes`, and return it; again changes nothing.

    Only a labeller's own latest label on a detection can be taken back; the one before it, if
    any, is current again. Raises StoreError for any other.
    """
    found = store.rows("SELECT detection_id FROM labels WHERE label_id = ?", [undoes])
    if not found:
        raise StoreError(f"expected the id of a label, got {undoes!r}: unknown")
    row = {
        "label_id": label_id,
        "detection_id": found[0]["detection_id"],
        "label": UNDO,
        "labeller": labeller,
        "comment": "",
        "seconds": None,
        "undoes": undoes,
    }

    def require_current(connection: Connection) -> None:
        current = "SELECT 1 FROM current_labels WHERE label_id = ? AND labeller = ?"
        if not select(connection, current, [undoes, labeller]).num_rows:
            raise StoreError(
                f"expected {labeller}'s own latest label on a detection, got {undoes!r}, which "
                "is another's, an older one, or taken back already"
            )

    return _say(store, row, require_current, now)


def export_labels(store: Store, path: Path) -> int:
    """Write the whole log, undone labels and undos included, to a CSV file; return its rows."""
    rows = store.rows(f"SELECT {', '.join(COLUMNS)} FROM labels ORDER BY labelled_at, label_id")  # noqa: S608
    write_csv(path, rows)
    return len(rows)


def import_labels(store: Store, path: Path) -> dict[str, int]:
    """Append the labels of a CSV file and return how many were `added` and already `known`.

    Needs the columns label_id, detection_id, label, labeller and labelled_at (ISO 8601 with a
    time zone); comment, seconds and undoes may be absent. Raises TransferError, with the line
    numbers, if any row is wrong; then nothing is written.
    """
    said = {row["label_id"]: row for row in store.rows("SELECT * FROM labels")}
    detections = set(store.table("SELECT detection_id FROM detections")[0].to_pylist())
    fresh: list[Label] = []
    faults: list[str] = []
    known = 0
    for line, cells in read_csv(path):
        try:
            label = parse_label(cells)
            if _is_known(label, said, detections):
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


def _say(store: Store, row: Label, require: Callable[[Connection], None], now: datetime) -> Label:
    """Append `row` in one transaction if it was not said before and what it requires holds."""
    if not row["labeller"].strip():
        raise StoreError("expected the name of who labels, got an empty one")

    def say(connection: Connection) -> tuple[Label, bool]:
        said = _said_before(connection, row)
        if said is not None:
            return said, False
        require(connection)
        return _append(connection, row, now), True

    return store.transaction(say, changed=lambda outcome: outcome[1])[0]


def _said_before(connection: Connection, row: Label) -> Label | None:
    sql = "SELECT * FROM labels WHERE label_id = ?"
    found: list[Label] = select(connection, sql, [row["label_id"]]).to_pylist()
    if not found:
        return None
    if any(found[0][name] != value for name, value in row.items()):
        raise ConflictError(
            f"label {row['label_id']} already says {found[0]['label']} on "
            f"{found[0]['detection_id']}; use a new id for a new label"
        )
    return found[0]


def _append(connection: Connection, row: Label, now: datetime) -> Label:
    """Append `row` at `now`, or just after what its labeller said last if the clock went back."""
    sql = "SELECT max(labelled_at) AS last FROM labels WHERE detection_id = ? AND labeller = ?"
    last = select(connection, sql, [row["detection_id"], row["labeller"]]).to_pylist()[0]["last"]
    labelled_at = now if last is None else max(now, last + timedelta(microseconds=1))
    said: list[Label] = select(
        connection,
        "INSERT INTO labels (label_id, detection_id, label, labeller, comment, seconds, undoes, "
        "labelled_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
        [*row.values(), labelled_at],
    ).to_pylist()
    return said[0]


def _is_known(label: Label, said: Mapping[str, Label], detections: set[str]) -> bool:
    """Say whether the same row is in the log already; ValueError if it does not fit there."""
    before = said.get(label["label_id"])
    if before is not None:
        if any(before[name] != label[name] for name in COLUMNS):
            raise ValueError(f"label_id {label['label_id']} already says something else")
        return True
    if label["detection_id"] not in detections:
        raise ValueError(f"unknown detection_id {label['detection_id']}")
    if label["label"] not in (*LABELS, UNDO):
        raise ValueError(f"unknown label {label['label']!r}, expected {', '.join(LABELS)}, {UNDO}")
    if (label["label"] == UNDO) != (label["undoes"] is not None):
        raise ValueError("exactly the undo rows name what they undo")
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
