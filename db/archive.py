"""The backup file: a zip of named members and a manifest with the sha256 of each."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from db.errors import TransferError

Manifest = dict[str, Any]

FORMAT = 1
_MANIFEST = "manifest.json"
_MEMBER = re.compile(r"[a-z]+\.duckdb|files/[0-9a-f]{2}/[0-9a-f]{62}")
_CHUNK = 1 << 20


def pack(path: Path, members: Mapping[str, Path], facts: Mapping[str, Any]) -> Manifest:
    """Write `members` (name -> file) to a new archive at `path`, read it back, return its manifest.

    `facts` go into the manifest. Raises TransferError if what is read back differs.
    """
    digests = {name: _sha256(member) for name, member in members.items()}
    manifest = {"format": FORMAT, **facts, "members": digests}
    with path.open("xb") as stream:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, member in members.items():
                archive.write(member, name)
            archive.writestr(_MANIFEST, json.dumps(manifest, indent=1))
        stream.flush()
        os.fsync(stream.fileno())
    verify(path)
    return manifest


def verify(path: Path) -> Manifest:
    """Read the whole archive, compare every digest, and return its manifest."""
    return _read(path, None)


def unpack(path: Path, folder: Path) -> Manifest:
    """Unpack the members into the new `folder`, compare every digest, return the manifest.

    Raises TransferError for an archive that is damaged, incomplete or no backup, and for one
    with a member whose name could lead elsewhere.
    """
    folder.mkdir()
    return _read(path, folder)


def _read(path: Path, folder: Path | None) -> Manifest:
    try:
        with zipfile.ZipFile(path) as archive:
            manifest: Manifest = json.loads(archive.read(_MANIFEST))
            _require_known_names(archive, manifest)
            for name, digest in manifest["members"].items():
                if _take_out(archive, name, folder) != digest:
                    raise TransferError(f"{path}: {name} is damaged; use another backup")
    except FileNotFoundError as error:
        raise TransferError(f"cannot read {path}: there is no such file") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError) as error:
        raise TransferError(f"{path} is damaged or no backup: {error}") from error
    return manifest


def _require_known_names(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    if manifest["format"] != FORMAT:
        raise ValueError(f"expected format {FORMAT}, got {manifest['format']}")
    odd = [name for name in manifest["members"] if not _MEMBER.fullmatch(name)]
    if odd:
        raise ValueError(f"unexpected member {odd[0]!r}")
    if sorted(archive.namelist()) != sorted([*manifest["members"], _MANIFEST]):
        raise ValueError("its members are not those that its manifest names")


def _take_out(archive: zipfile.ZipFile, name: str, folder: Path | None) -> str:
    """Read one member, into `folder` if given, and return its sha256."""
    with archive.open(name) as packed:
        if folder is None:
            return _copy(packed, None)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as unpacked:
            return _copy(packed, unpacked)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return _copy(stream, None)


def _copy(source: IO[bytes], target: IO[bytes] | None) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
    return digest.hexdigest()
