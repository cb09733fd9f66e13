"""Stored files, addressed by the sha256 of their content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from db.errors import StoreError

DIGEST = re.compile(r"[0-9a-f]{64}")


class Files:
    """A folder of files named by the sha256 of their content: `ab/cdef...`.

    A file appears under its name only when it is whole and on disk; opening the folder removes
    what an interrupted write left behind. Only the owner of the store opens it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        for leftover in self._incoming.iterdir():
            leftover.unlink()

    def put(self, content: bytes) -> str:
        """Keep `content` durably and return its digest; keeping it again changes nothing."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.path(digest)
        if path.exists() and path.stat().st_size == len(content):
            return digest
        incoming = self._incoming / uuid4().hex
        try:
            self._write(incoming, content)
            path.parent.mkdir(exist_ok=True)
            incoming.replace(path)
        except OSError as error:
            incoming.unlink(missing_ok=True)
            raise StoreError(
                f"cannot write the file {digest} ({len(content)} bytes) under {self.root}: "
                f"{error.strerror}; free disk space or check the folder's permissions"
            ) from error
        _sync_folder(path.parent)
        _sync_folder(self.root)
        return digest

    def get(self, digest: str) -> bytes:
        """Read the content of `digest`; StoreError says whether it is missing or corrupt."""
        path = self.path(digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise StoreError(
                f"the file {digest} is missing from {self.root}; restore it from a backup"
            ) from error
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            raise StoreError(
                f"the file {digest} is corrupt: its {len(content)} bytes have digest {found}; "
                "restore it from a backup"
            )
        return content

    def path(self, digest: str) -> Path:
        """Return where `digest` is kept, whether or not it exists; StoreError if not a sha256."""
        if not DIGEST.fullmatch(digest):
            raise StoreError(f"expected a sha256 in 64 lower-case hex digits, got {digest[:80]!r}")
        return self.root / digest[:2] / digest[2:]

    def exists(self, digest: str) -> bool:
        """Say whether a file of this digest is kept, without reading it."""
        return self.path(digest).is_file()

    def remove(self, digest: str) -> None:
        """Give up a file; one that is not there stays away. Raises StoreError where it cannot."""
        try:
            self.path(digest).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot remove the file {digest} under {self.root}: {error.strerror}"
            ) from error

    def digests(self) -> Iterator[str]:
        """Yield the digest of every kept file, in order."""
        for shard in sorted(self.root.glob("[0-9a-f][0-9a-f]")):
            for path in sorted(shard.iterdir()):
                yield shard.name + path.name

    def usage_bytes(self) -> int:
        """Return the bytes of all kept files together."""
        return sum(self.path(digest).stat().st_size for digest in self.digests())

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        with path.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make names in `folder` durable, where the system can (Windows cannot open folders)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
