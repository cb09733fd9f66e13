"""Backup, restore and export."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from db.check import consistency
from db.cycles import add_event
from db.errors import StoreError, TransferError
from db.labels import add_label
from db.store import Store
from db.transfer import backup, export, restore


@pytest.fixture
def archive(archived: bytes, tmp_path: Path) -> Path:
    """A whole backup that a test may damage."""
    path = tmp_path / "night.backup"
    path.write_bytes(archived)
    return path


def everything(store: Store) -> dict[str, list[dict[str, Any]]]:
    return {table: store.table(f"FROM {table} ORDER BY ALL").to_pylist() for table in store.tables}


def test_a_backup_restores_to_equal_rows_and_files(
    analysed: Store, tmp_path: Path, now: datetime
) -> None:
    add_label(analysed, label_id="l1", detection_id="d1", label="accept", labeller="ann", now=now)
    add_event(analysed, "c1", "begun", "reading", now)
    analysed.files.put(b"x" * 3_000_000)
    before = everything(analysed)
    summary = backup(analysed, tmp_path / "night.backup")
    assert restore(tmp_path / "night.backup", tmp_path / "again") == summary
    with Store.open(tmp_path / "again") as again:
        assert everything(again) == before
        assert list(again.files.digests()) == list(analysed.files.digests())
        for digest in again.files.digests():
            assert again.files.get(digest) == analysed.files.get(digest)
        assert consistency(again) == []
        add_event(again, None, "owner", "numbering goes on", now)
        events = again.rows("SELECT event_number FROM run_events ORDER BY 1")
        assert events == [{"event_number": 1}, {"event_number": 2}]
    assert summary["files"] == 2
    assert summary["rows"] == {table: len(rows) for table, rows in before.items()}
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == ["again", "home", "night.backup"]


def test_a_backup_is_of_one_moment_while_writes_go_on(analysed: Store, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            row = {"detection_id": f"w{number}", "method": "knn", "raw": 0.0}
            vector = {"detection_id": f"w{number}", "embedder": "w", "vector": [0.0]}
            analysed.write({"scores": [row], "embeddings": [vector]})
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    rows = backup(analysed, tmp_path / "busy.backup")["rows"]
    stop.set()
    writer.join()
    assert rows["embeddings"] == rows["scores"] + 1


def test_nothing_is_overwritten(analysed: Store, archive: Path, home: Path, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="exists already"):
        backup(analysed, archive)
    with pytest.raises(TransferError, match="is not an empty folder"):
        restore(archive, home)
    with pytest.raises(TransferError, match="is not an empty folder"):
        export(analysed, home)
    assert consistency(analysed) == []
    (tmp_path / "empty").mkdir()
    restore(archive, tmp_path / "empty")


def test_a_backup_of_a_corrupt_file_says_which(analysed: Store, tmp_path: Path) -> None:
    digest = next(analysed.files.digests())
    analysed.files.path(digest).write_bytes(b"pictore")
    with pytest.raises(TransferError, match=f"{digest[2:]} is corrupt"):
        backup(analysed, tmp_path / "b")
    assert [entry.name for entry in tmp_path.iterdir()] == ["home"]


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flip_a_stored_byte(content: bytes) -> bytes:
    at = content.index(b"x" * 1000)
    return content[:at] + b"y" + content[at + 1 :]


@pytest.mark.parametrize("damage", [_cut, _flip_a_stored_byte, lambda _: b"", lambda _: b"PK" * 99])
def test_a_damaged_backup_is_refused_and_leaves_nothing(
    archive: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(TransferError, match="damaged"):
        restore(archive, tmp_path / "again")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["night.backup"]


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            yield name, opened.read(name)


def _rewritten(archive: Path, change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> Path:
    members = dict(_members(archive))
    manifest = json.loads(members.pop("manifest.json"))
    change(members, manifest)
    path = archive.with_name("rewritten")
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in members.items():
            opened.writestr(name, content)
        opened.writestr("manifest.json", json.dumps(manifest))
    return path


def _climb(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    members["../evil"] = b"evil"
    manifest["members"]["../evil"] = "0" * 64


def _add_unnamed(members: dict[str, bytes], _manifest: dict[str, Any]) -> None:
    members["files/../../evil"] = b"evil"


def _drop(members: dict[str, bytes], _manifest: dict[str, Any]) -> None:
    del members[next(name for name in members if name.startswith("files/"))]


def _swap(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    first, second = (name for name in members if name.startswith("files/"))
    members[first], members[second] = members[second], members[first]
    named = manifest["members"]
    named[first], named[second] = named[second], named[first]


def _count_wrong(_members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["rows"]["labels"] += 1


def _format_of_tomorrow(_members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["format"] = 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_climb, r"unexpected member '\.\./evil'"),
        (_add_unnamed, "not those that its manifest names"),
        (_drop, "not those that its manifest names"),
        (_swap, "is corrupt"),
        (_count_wrong, "other rows than its manifest says"),
        (_format_of_tomorrow, "expected format 1, got 2"),
    ],
)
def test_an_archive_made_up_is_refused_and_leaves_nothing(
    archive: Path, tmp_path: Path, change: Any, message: str
) -> None:
    path = _rewritten(archive, change)
    with pytest.raises(TransferError, match=message):
        restore(path, tmp_path / "deep" / "again")
    assert list((tmp_path / "deep").iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_an_absent_backup_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="there is no such file"):
        restore(tmp_path / "none", tmp_path / "again")


def test_an_export_holds_every_table_and_says_what_is_what(
    analysed: Store, tmp_path: Path, now: datetime
) -> None:
    add_label(analysed, label_id="l1", detection_id="d1", label="accept", labeller="ann", now=now)
    folder = tmp_path / "out"
    rows = export(analysed, folder)
    assert rows["detections"] == 3
    assert pq.read_table(folder / "embeddings.parquet").to_pylist() == [
        {"detection_id": "d0", "embedder": "e", "vector": [0.25, -1.5]}
    ]
    for table in analysed.tables:
        assert pq.read_table(folder / f"{table}.parquet").num_rows == rows[table]
    assert (folder / "labels.csv").read_text().splitlines()[1].startswith("l1,d1,accept,ann,")
    assert "detections.parquet: 3 rows" in (folder / "README.txt").read_text()


def test_a_target_that_cannot_be_written_is_a_clear_error(analysed: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write"):
        backup(analysed, tmp_path / "file" / "night.backup")
