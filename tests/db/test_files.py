"""Content-addressed files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from db.errors import StoreError
from db.files import Files


def test_content_comes_back_under_its_sha256(tmp_path: Path) -> None:
    files = Files(tmp_path)
    digest = files.put(b"light")
    assert digest == hashlib.sha256(b"light").hexdigest()
    assert files.get(digest) == b"light"
    assert files.path(digest) == tmp_path / digest[:2] / digest[2:]
    assert files.put(b"light") == digest
    assert list(files.digests()) == [digest]
    assert files.usage_bytes() == 5
    assert files.exists(digest)


def test_missing_and_corrupt_files_are_told_apart(tmp_path: Path) -> None:
    files = Files(tmp_path)
    digest = files.put(b"light")
    absent = hashlib.sha256(b"dark").hexdigest()
    assert not files.exists(absent)
    with pytest.raises(StoreError, match=f"{absent} is missing"):
        files.get(absent)
    files.path(digest).write_bytes(b"tight")
    with pytest.raises(StoreError, match=f"{digest} is corrupt"):
        files.get(digest)


def test_a_truncated_file_is_healed_by_putting_it_again(tmp_path: Path) -> None:
    files = Files(tmp_path)
    digest = files.put(b"light")
    files.path(digest).write_bytes(b"li")
    files.put(b"light")
    assert files.get(digest) == b"light"


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "AB" * 32, "ab" * 31 + "/."])
def test_only_a_sha256_names_a_file(tmp_path: Path, digest: str) -> None:
    with pytest.raises(StoreError, match="expected a sha256"):
        Files(tmp_path).path(digest)


def test_what_an_interrupted_write_left_is_removed_at_the_next_opening(tmp_path: Path) -> None:
    kept = Files(tmp_path).put(b"light")
    (tmp_path / "incoming" / "leftover").write_bytes(b"li")
    files = Files(tmp_path)
    assert list((tmp_path / "incoming").iterdir()) == []
    assert files.get(kept) == b"light"


def test_a_write_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Files(tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("db.files.os.fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        files.put(b"light")
    assert list(files.digests()) == []
    assert list((tmp_path / "incoming").iterdir()) == []
