"""The log of labels: it only grows, and says what is current."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db.errors import ConflictError, StoreError, TransferError
from db.labels import (
    KINDS,
    add_label,
    add_labels,
    export_labels,
    import_labels,
    undo_label,
    undo_labels,
)
from db.queries.verify import label_to_undo
from db.store import Store

LOG = "SELECT * FROM labels ORDER BY label_id"
AWKWARD = 'two\r\nlines, "quoted"; =1+1 ☄'


def say(
    store: Store, label_id: str, label: str | None, now: datetime, **changed: Any
) -> dict[str, Any]:
    words = {"detection_id": "d1", "labeller": "ann", **changed}
    return add_label(store, label_id=label_id, label=label, now=now, **words)


def current(store: Store) -> list[tuple[str, str, str]]:
    rows = store.rows("SELECT labeller, detection_id, label FROM current_labels ORDER BY ALL")
    return [(row["labeller"], row["detection_id"], row["label"]) for row in rows]


def test_the_latest_label_of_each_labeller_is_current(analysed: Store, now: datetime) -> None:
    say(analysed, "l1", "accept", now)
    say(analysed, "l2", "reject", now + timedelta(seconds=1))
    say(analysed, "l3", "unsure", now, labeller="bob")
    assert current(analysed) == [("ann", "d1", "reject"), ("bob", "d1", "unsure")]


def test_the_same_label_id_again_changes_nothing(analysed: Store, now: datetime) -> None:
    first = say(analysed, "l1", "accept", now, comment=AWKWARD, seconds=2.5)
    changes = analysed.changes
    assert say(analysed, "l1", "accept", now, comment=AWKWARD, seconds=2.5) == first
    assert analysed.changes == changes
    with pytest.raises(ConflictError, match="l1 already says accept on d1"):
        say(analysed, "l1", "reject", now)
    assert analysed.rows(LOG) == [first]


def test_a_clock_that_went_back_does_not_hide_a_newer_label(analysed: Store, now: datetime) -> None:
    say(analysed, "l1", "accept", now)
    say(analysed, "l0", "reject", now - timedelta(hours=1))
    assert current(analysed) == [("ann", "d1", "reject")]


def test_undo_is_a_further_row_and_brings_the_label_before_back(
    analysed: Store, now: datetime
) -> None:
    say(analysed, "l1", "accept", now)
    say(analysed, "l2", "reject", now)
    for _ in range(2):
        undone = undo_label(analysed, label_id="u1", undoes="l2", labeller="ann", now=now)
        assert (undone["label"], undone["undoes"]) == ("undo", "l2")
    assert current(analysed) == [("ann", "d1", "accept")]
    undo_label(analysed, label_id="u2", undoes="l1", labeller="ann", now=now)
    assert current(analysed) == []
    assert len(analysed.rows(LOG)) == 4


def test_only_ones_own_current_label_can_be_undone(analysed: Store, now: datetime) -> None:
    say(analysed, "l1", "accept", now)
    say(analysed, "l2", "reject", now)
    for undoes, labeller in (("l1", "ann"), ("l2", "bob")):
        with pytest.raises(StoreError, match="own latest label"):
            undo_label(analysed, label_id="u1", undoes=undoes, labeller=labeller, now=now)
    undo_label(analysed, label_id="u1", undoes="l2", labeller="ann", now=now)
    for undoes in ("l2", "u1"):
        with pytest.raises(StoreError, match="own latest label"):
            undo_label(analysed, label_id="u2", undoes=undoes, labeller="ann", now=now)
    with pytest.raises(StoreError, match="'l9': unknown"):
        undo_label(analysed, label_id="u2", undoes="l9", labeller="ann", now=now)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"detection_id": "d9"}, "'d9': unknown"),
        ({"label": "maybe"}, r"expected a label \(accept, reject, unsure\), got 'maybe'"),
        ({"label": "undo"}, "expected a label"),
        ({"labeller": " "}, "expected the name of who labels"),
        ({"kind": "ufo"}, r"expected a kind \(astrophysical, .*\), got 'ufo'"),
        ({"kind": "cosmic_ray"}, "cosmic_ray means reject, got the label 'accept'"),
        ({"grade": 6}, "expected a grade from 0 to 5, got 6"),
    ],
)
def test_labels_refuse_what_they_do_not_know(
    analysed: Store, now: datetime, changed: dict[str, str], message: str
) -> None:
    words = {"label": "accept", **changed}
    with pytest.raises(StoreError, match=message):
        say(analysed, "l1", now=now, **words)
    assert analysed.rows(LOG) == []


@pytest.mark.parametrize(("kind", "label"), list(KINDS.items()))
def test_a_kind_says_what_is_made_of_it(
    analysed: Store, now: datetime, kind: str, label: str
) -> None:
    row = add_label(
        analysed, label_id="l1", detection_id="d1", labeller="ann", kind=kind, grade=4,
        queue="random", blind=True, now=now,
    )  # fmt: skip
    assert (row["label"], row["kind"], row["grade"]) == (label, kind, 4)
    (kept,) = analysed.rows("SELECT label, kind, grade, queue, blind FROM current_labels")
    assert list(kept.values()) == [label, kind, 4, "random", True]


def test_many_labels_are_written_all_or_none(analysed: Store, now: datetime) -> None:
    rows = [
        {"label_id": f"l{n}", "detection_id": f"d{n}", "labeller": "ann", "kind": "boring"}
        for n in range(4)
    ]
    with pytest.raises(StoreError, match="'d3': unknown"):
        add_labels(analysed, rows, now)
    assert analysed.rows(LOG) == []
    for _ in range(2):
        assert len(add_labels(analysed, rows[:3], now)) == 3
    assert current(analysed) == [("ann", f"d{n}", "reject") for n in range(3)]
    last = label_to_undo(analysed, "ann")
    assert last is not None
    assert last["label_id"] == "l2"


def test_many_labels_are_taken_back_all_or_none(analysed: Store, now: datetime) -> None:
    rows = [
        {"label_id": f"l{n}", "detection_id": f"d{n}", "labeller": "ann", "kind": "boring"}
        for n in range(3)
    ]
    add_labels(analysed, rows, now)
    say(analysed, "newer", "accept", now, detection_id="d2")
    log, changes = analysed.rows(LOG), analysed.changes
    undos = [(f"l{n}", f"u{n}") for n in range(3)]
    with pytest.raises(StoreError, match="own latest label on a detection, got 'l2'"):
        undo_labels(analysed, undos, "ann", now)
    with pytest.raises(StoreError, match="'l9': unknown"):
        undo_labels(analysed, [*undos[:2], ("l9", "u9")], "ann", now)
    assert (analysed.rows(LOG), analysed.changes) == (log, changes)
    # Newest first, one may go back through several labels on the same detection in one go.
    for _ in range(2):
        undo_labels(analysed, [("newer", "u"), *undos], "ann", now)
    assert current(analysed) == []
    assert (len(analysed.rows(LOG)), analysed.changes) == (8, changes + 1)


def test_labels_of_one_batch_on_one_detection_follow_each_other(
    analysed: Store, now: datetime
) -> None:
    said = [
        {"label_id": name, "detection_id": "d1", "labeller": "ann", "kind": kind}
        for name, kind in (("z", "boring"), ("a", "astrophysical"))
    ]
    add_labels(analysed, [*said, said[1]], now)
    assert current(analysed) == [("ann", "d1", "accept")]
    assert len(analysed.rows(LOG)) == 2


def test_an_adjudication_outweighs_all_other_labels(analysed: Store, now: datetime) -> None:
    say(analysed, "l1", "accept", now)
    say(analysed, "l2", "accept", now, labeller="bob")
    say(analysed, "l3", "reject", now, labeller="eve", queue="adjudication")
    say(analysed, "l4", "accept", now, detection_id="d2")
    counted = analysed.rows("SELECT detection_id, labeller FROM counted_labels ORDER BY ALL")
    assert [tuple(row.values()) for row in counted] == [("d1", "eve"), ("d2", "ann")]
    undo_label(analysed, label_id="u", undoes="l3", labeller="eve", now=now)
    assert len(analysed.rows("SELECT * FROM counted_labels")) == 3


def test_a_file_of_an_older_version_says_nothing_about_newer_columns(
    analysed: Store, now: datetime, tmp_path: Path
) -> None:
    say(analysed, "l1", None, now, kind="cosmic_ray", grade=1)
    path = tmp_path / "labels.csv"
    old = "label_id,detection_id,label,labeller,labelled_at,comment,seconds,undoes"
    path.write_text(f"{old}\nl1,d1,reject,ann,{now.isoformat()},,,\n", "utf-8")
    assert import_labels(analysed, path) == {"added": 0, "known": 1}
    path.write_text(f"{old},kind,grade\nl1,d1,reject,ann,{now.isoformat()},,,,boring,1\n", "utf-8")
    with pytest.raises(TransferError, match="l1 already says something else"):
        import_labels(analysed, path)
    for cells, message in (
        ("cosmic_ray,7", "expected a grade from 0 to 5, got 7"),
        ("cosmic_ray,x", "grade must be a whole number"),
        ("astrophysical,1", "astrophysical means accept"),
    ):
        path.write_text(
            f"{old},kind,grade\nl2,d1,reject,ann,{now.isoformat()},,,,{cells}\n", "utf-8"
        )
        with pytest.raises(TransferError, match=message):
            import_labels(analysed, path)


def test_the_log_goes_out_and_in_again_unchanged(
    analysed: Store, now: datetime, tmp_path: Path
) -> None:
    say(analysed, "l1", "accept", now, comment=AWKWARD, seconds=0.1)
    say(analysed, "l2", None, now, kind="instrument", grade=0, queue="random", blind=True)
    undo_label(analysed, label_id="u1", undoes="l2", labeller="ann", now=now)
    path = tmp_path / "labels.csv"
    assert export_labels(analysed, path) == 3
    log = analysed.rows(LOG)
    assert import_labels(analysed, path) == {"added": 0, "known": 3}
    analysed.move("DELETE FROM labels WHERE label_id <> 'l1' RETURNING label_id")
    assert import_labels(analysed, path) == {"added": 2, "known": 1}
    assert analysed.rows(LOG) == log
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["labels.csv"]


def test_only_the_required_columns_are_needed(analysed: Store, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    header = "label_id,detection_id,label,labeller,labelled_at"
    path.write_text(f"\ufeff{header}\nl1,d1,accept,ann,2026-11-20T06:00:00+01:00\n", "utf-8")
    assert import_labels(analysed, path) == {"added": 1, "known": 0}
    row = analysed.rows(LOG)[0]
    assert (row["comment"], row["seconds"], row["undoes"]) == ("", None, None)
    assert row["labelled_at"] == datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


def test_wrong_rows_are_named_by_line_and_nothing_is_written(
    analysed: Store, now: datetime, tmp_path: Path
) -> None:
    say(analysed, "l1", "accept", now)
    at = "2026-11-20T06:00:00Z"
    rows = [
        ["good", "d1", "accept", "bob", at, "", "", ""],
        ["b1", "d9", "accept", "bob", at, "", "", ""],
        ["b2", "d1", "maybe", "bob", at, "", "", ""],
        ["b3", "d1", "accept", "", at, "", "", ""],
        ["b4", "d1", "accept", "bob", "yesterday", "", "", ""],
        ["b5", "d1", "accept", "bob", "2026-11-20T06:00:00", "", "", ""],
        ["b6", "d1", "accept", "bob", at, "two\nlines", "soon", ""],
        ["b7", "d1", "undo", "bob", at, "", "", "l1"],
        ["b8", "d1", "undo", "bob", at, "", "", ""],
        ["l1", "d1", "reject", "ann", at, "", "", ""],
    ]
    path = tmp_path / "labels.csv"
    required = ["label_id", "detection_id", "label", "labeller", "labelled_at"]
    header = [*required, "comment", "seconds", "undoes"]
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    with pytest.raises(TransferError, match="9 rows are wrong, nothing was imported") as caught:
        import_labels(analysed, path)
    faults = str(caught.value).splitlines()[1:]
    assert [fault.split(":")[0].strip() for fault in faults] == [
        f"line {number}" for number in (3, 4, 5, 6, 7, 9, 10, 11, 12)
    ]
    assert [row["label_id"] for row in analysed.rows(LOG)] == ["l1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"label_id,label\n", "lacks the columns detection_id, labeller, labelled_at"),
        (b"", "lacks the columns"),
        (b"label_id,detection_id,label,labeller,labelled_at\n\xff,d,d,d,d\n", "CSV file in UTF-8"),
    ],
)
def test_what_is_no_file_of_labels_is_refused(
    analysed: Store, tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(TransferError, match=message):
        import_labels(analysed, path)
    with pytest.raises(TransferError, match="No such file"):
        import_labels(analysed, tmp_path / "absent.csv")
