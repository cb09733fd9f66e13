"""Mask edits: an append-only log whose undone rows no longer count."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from db.check import consistency
from db.errors import ConflictError, StoreError
from db.mask_edits import Region, add_edit, undo_edit
from db.queries import mask_edits
from db.store import Store
from db.transfer import backup, export, restore

SQUARE = Region(2, 3, 4, 5)


def edit(store: Store, edit_id: str, now: datetime, **changed: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "frame_digest": "f1",
        "action": "add",
        "region": SQUARE,
        "editor": "ann",
        "run_id": "r1",
        "threshold": 0.5,
    }
    return add_edit(store, edit_id=edit_id, now=now, **{**plain, **changed})


def held(store: Store) -> list[str]:
    rows = store.rows("SELECT edit_id FROM current_mask_edits ORDER BY edited_at")
    return [row["edit_id"] for row in rows]


def test_an_edit_is_kept_with_who_and_when_and_what_was_on_screen(
    analysed: Store, now: datetime
) -> None:
    row = edit(analysed, "e1", now, comment="a star")
    assert (row["y0"], row["x0"], row["height"], row["width"]) == (2, 3, 4, 5)
    assert (row["editor"], row["edited_at"], row["comment"]) == ("ann", now, "a star")
    assert (row["run_id"], row["threshold"], row["region_file"]) == ("r1", 0.5, None)


def test_the_same_edit_again_changes_nothing(analysed: Store, now: datetime) -> None:
    edit(analysed, "e1", now)
    changes = analysed.changes
    assert edit(analysed, "e1", now + timedelta(hours=1))["edited_at"] == now
    assert analysed.changes == changes
    with pytest.raises(ConflictError, match="already says add"):
        edit(analysed, "e1", now, action="remove")


def test_edits_of_one_frame_have_an_order_even_when_the_clock_goes_back(
    analysed: Store, now: datetime
) -> None:
    for number, editor in enumerate(("ann", "bob", "ann")):
        edit(analysed, f"e{2 - number}", now - timedelta(seconds=number), editor=editor)
    assert held(analysed) == ["e2", "e1", "e0"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"frame_digest": "f9"}, "digest of a stored frame"),
        ({"action": "paint"}, "expected an action"),
        ({"editor": "  "}, "name of who edits"),
        ({"run_id": "r9"}, "expected a run on frame"),
        ({"region": Region(5, 0, 4, 1)}, "inside the frame's 8 x 8"),
        ({"region": Region(-1, 0, 1, 1)}, "inside the frame's 8 x 8"),
        ({"region": Region(0, 0, 0, 1)}, "inside the frame's 8 x 8"),
        ({"region": Region(0, 0, 1, 1, "0" * 64)}, "stored region file"),
        ({"action": "confirm", "region": Region(0, 0, 8, 8)}, "bit by bit"),
    ],
)
def test_what_cannot_be_is_refused(
    analysed: Store, now: datetime, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        edit(analysed, "e1", now, **changed)
    assert held(analysed) == []


def test_a_confirmed_mask_covers_its_whole_frame(analysed: Store, now: datetime) -> None:
    bits = analysed.files.put(b"bits")
    with pytest.raises(StoreError, match="covers its whole frame"):
        edit(analysed, "e1", now, action="confirm", region=Region(0, 0, 8, 7, bits))
    edit(analysed, "e1", now, action="confirm", region=Region(0, 0, 8, 8, bits))
    assert held(analysed) == ["e1"]


def test_undo_takes_back_ones_own_latest_and_then_the_one_before(
    analysed: Store, now: datetime
) -> None:
    for number, editor in enumerate(("ann", "ann", "bob")):
        edit(analysed, f"e{number}", now + timedelta(seconds=number), editor=editor)
    for undoes, editor in (("e0", "ann"), ("e2", "ann"), ("e9", "ann")):
        with pytest.raises(StoreError, match=r"own latest edit|unknown"):
            undo_edit(analysed, edit_id="u", undoes=undoes, editor=editor, now=now)
    undo_edit(analysed, edit_id="u1", undoes="e1", editor="ann", now=now)
    undo_edit(analysed, edit_id="u1", undoes="e1", editor="ann", now=now)
    assert held(analysed) == ["e0", "e2"]
    following = mask_edits.edit_to_undo(analysed, "f1", "ann")
    assert following is not None
    undo_edit(analysed, edit_id="u2", undoes=following["edit_id"], editor="ann", now=now)
    assert held(analysed) == ["e2"]
    assert mask_edits.edit_to_undo(analysed, "f1", "ann") is None
    log = mask_edits.edits_of_frame(analysed, "f1")
    assert [(row["action"], row["current"]) for row in log] == [
        ("add", False), ("add", False), ("add", True), ("undo", False), ("undo", False),
    ]  # fmt: skip


def test_edited_frames_and_the_log_are_paged(analysed: Store, now: datetime) -> None:
    analysed.write(
        {"frames": [analysed.rows("FROM frames")[0] | {"frame_digest": f"f{n}"} for n in (2, 3)]}
    )
    for number in (3, 1, 2):
        edit(analysed, f"e{number}", now, frame_digest=f"f{number}", run_id=None)
    edit(analysed, "u", now, frame_digest="f3", run_id=None, editor="bob")
    first = mask_edits.page_of_edited_frames(analysed, limit=2)
    second = mask_edits.page_of_edited_frames(analysed, limit=2, cursor=first.next)
    rows = first.rows + second.rows
    assert [row["frame_digest"] for row in rows] == ["f1", "f2", "f3"]
    assert (rows[2]["edits"], rows[2]["editors"]) == (2, ["ann", "bob"])
    assert second.next is None
    log = mask_edits.page_of_edits(analysed, limit=3)
    assert len(log.rows) == 3
    assert len(mask_edits.page_of_edits(analysed, limit=3, cursor=log.next).rows) == 1
    assert len(mask_edits.page_of_edits(analysed, frame_digest="f3").rows) == 2


def test_edits_are_checked_backed_up_and_exported(
    analysed: Store, tmp_path: Path, now: datetime
) -> None:
    edit(analysed, "e1", now, region=Region(0, 0, 2, 2, analysed.files.put(b"region")))
    undo_edit(analysed, edit_id="u1", undoes="e1", editor="ann", now=now)
    assert consistency(analysed) == []
    backup(analysed, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "again")
    with Store.open(tmp_path / "again") as again:
        assert again.rows("FROM mask_edits") == analysed.rows("FROM mask_edits")
        assert consistency(again) == []
    export(analysed, tmp_path / "export")
    assert pq.read_table(tmp_path / "export" / "mask_edits.parquet").num_rows == 2


def test_an_edit_that_refers_to_nothing_is_named(analysed: Store, now: datetime) -> None:
    edit(analysed, "e1", now, region=Region(0, 0, 2, 2, analysed.files.put(b"region")))
    analysed.files.path(analysed.files.put(b"region")).unlink()
    analysed.move("UPDATE mask_edits SET frame_digest = 'gone' RETURNING edit_id")
    assert [fault.partition(":")[0] for fault in consistency(analysed)] == [
        "mask_edits.frame_digest",
        "mask_edits.region_file",
    ]
