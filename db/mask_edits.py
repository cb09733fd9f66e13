"""Edits of cosmic-ray masks: what people said about pixels, as a log that only grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from db.database import Connection
from db.errors import ConflictError, StoreError
from db.store import Store, select

Edit = dict[str, Any]

ACTIONS = ("add", "remove", "confirm")
UNDO = "undo"
_COLUMNS = (
    "edit_id",
    "frame_digest",
    "action",
    "y0",
    "x0",
    "height",
    "width",
    "region_file",
    "run_id",
    "threshold",
    "editor",
    "comment",
    "undoes",
)


@dataclass(frozen=True)
class Region:
    """Pixels of a frame: a rectangle from (y0, x0), 0-based, y along rows.

    `file` is the digest of a stored file with a bit for each pixel of the rectangle; None means
    all of them.
    """

    y0: int
    x0: int
    height: int
    width: int
    file: str | None = None


def add_edit(
    store: Store,
    *,
    edit_id: str,
    frame_digest: str,
    action: str,
    region: Region,
    editor: str,
    run_id: str | None = None,
    threshold: float | None = None,
    comment: str = "",
    now: datetime,
) -> Edit:
    """Append an edit and return its row; the same `edit_id` again changes nothing.

    `action` is one of ACTIONS; `run_id` and `threshold` say which mask was on the screen. Raises
    StoreError for an unknown frame, action, run or file and for a region that does not lie inside
    the frame, ConflictError when `edit_id` said something else before.
    """
    if action not in ACTIONS:
        raise StoreError(f"expected an action ({', '.join(ACTIONS)}), got {action!r}")
    if region.file is not None and not store.files.exists(region.file):
        raise StoreError(f"expected a stored region file, got {region.file!r}: store it first")
    if action == "confirm" and region.file is None:
        raise StoreError("a confirmed mask is given bit by bit: store its region file first")
    row = {
        "edit_id": edit_id,
        "frame_digest": frame_digest,
        "action": action,
        "y0": region.y0,
        "x0": region.x0,
        "height": region.height,
        "width": region.width,
        "region_file": region.file,
        "run_id": run_id,
        "threshold": threshold,
        "editor": editor,
        "comment": comment,
        "undoes": None,
    }

    def require_place(connection: Connection) -> None:
        _require_inside(connection, frame_digest, region, whole=action == "confirm")
        known = "SELECT 1 FROM runs WHERE run_id = ? AND frame_digest = ?"
        if run_id is not None and not select(connection, known, [run_id, frame_digest]).num_rows:
            raise StoreError(f"expected a run on frame {frame_digest}, got {run_id!r}: unknown")

    return _say(store, row, require_place, now)


def undo_edit(store: Store, *, edit_id: str, undoes: str, editor: str, now: datetime) -> Edit:
    """Append a row that takes back the edit `undoes`, and return it; again changes nothing.

    Only an editor's own latest edit of a frame can be taken back; then the one before it, and so
    on. Raises StoreError for any other.
    """
    found = store.rows("SELECT frame_digest FROM mask_edits WHERE edit_id = ?", [undoes])
    if not found:
        raise StoreError(f"expected the id of a mask edit, got {undoes!r}: unknown")
    row = dict.fromkeys(_COLUMNS) | {
        "edit_id": edit_id,
        "frame_digest": found[0]["frame_digest"],
        "action": UNDO,
        "editor": editor,
        "comment": "",
        "undoes": undoes,
    }

    def require_latest(connection: Connection) -> None:
        latest = select(
            connection,
            "SELECT edit_id FROM current_mask_edits WHERE frame_digest = ? AND editor = ? "
            "ORDER BY edited_at DESC, edit_id DESC LIMIT 1",
            [row["frame_digest"], editor],
        ).to_pylist()
        if not latest or latest[0]["edit_id"] != undoes:
            raise StoreError(
                f"expected {editor}'s own latest edit of a frame, got {undoes!r}, which is "
                "another's, an older one, or taken back already"
            )

    return _say(store, row, require_latest, now)


def _require_inside(
    connection: Connection, frame_digest: str, region: Region, *, whole: bool
) -> None:
    sql = "SELECT height, width FROM frames WHERE frame_digest = ?"
    found = select(connection, sql, [frame_digest]).to_pylist()
    if not found:
        raise StoreError(f"expected the digest of a stored frame, got {frame_digest!r}: unknown")
    height, width = found[0]["height"], found[0]["width"]
    inside = (
        min(region.y0, region.x0) >= 0
        and min(region.height, region.width) >= 1
        and region.y0 + region.height <= height
        and region.x0 + region.width <= width
    )
    if not inside:
        raise StoreError(
            f"expected a region inside the frame's {height} x {width} pixels, got "
            f"{region.height} x {region.width} from row {region.y0}, column {region.x0}"
        )
    if whole and (region.height, region.width) != (height, width):
        raise StoreError(
            f"a confirmed mask covers its whole frame, {height} x {width} pixels, got "
            f"{region.height} x {region.width}"
        )


def _say(store: Store, row: Edit, require: Callable[[Connection], None], now: datetime) -> Edit:
    """Append `row` in one transaction if it was not said before and what it requires holds."""
    if not row["editor"].strip():
        raise StoreError("expected the name of who edits, got an empty one")

    def say(connection: Connection) -> tuple[Edit, bool]:
        said = _said_before(connection, row)
        if said is not None:
            return said, False
        require(connection)
        return _append(connection, row, now), True

    return store.transaction(say, changed=lambda outcome: outcome[1])[0]


def _said_before(connection: Connection, row: Edit) -> Edit | None:
    sql = "SELECT * FROM mask_edits WHERE edit_id = ?"
    found: list[Edit] = select(connection, sql, [row["edit_id"]]).to_pylist()
    if not found:
        return None
    if any(found[0][name] != value for name, value in row.items()):
        raise ConflictError(
            f"mask edit {row['edit_id']} already says {found[0]['action']} on "
            f"{found[0]['frame_digest']}; use a new id for a new edit"
        )
    return found[0]


def _append(connection: Connection, row: Edit, now: datetime) -> Edit:
    """Append `row` at `now`, or just after the frame's last edit if the clock went back.

    Edits of one frame are applied in order, so that no two may have the same time.
    """
    sql = "SELECT max(edited_at) AS last FROM mask_edits WHERE frame_digest = ?"
    last = select(connection, sql, [row["frame_digest"]]).to_pylist()[0]["last"]
    edited_at = now if last is None else max(now, last + timedelta(microseconds=1))
    places = ", ".join("?" * (len(_COLUMNS) + 1))
    said: list[Edit] = select(
        connection,
        f"INSERT INTO mask_edits ({', '.join(_COLUMNS)}, edited_at) VALUES ({places}) "  # noqa: S608
        "RETURNING *",
        [*(row[name] for name in _COLUMNS), edited_at],
    ).to_pylist()
    return said[0]
