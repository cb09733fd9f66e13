"""An uploaded file, kept in the store's files: a source of one item."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jobs.sources.folder import read_image_file
from jobs.sources.source import Item, Offer


@dataclass(frozen=True)
class UploadSource:
    """One file that somebody gave, by its digest and the name it came under."""

    path: Path
    file_name: str
    digest: str
    max_pixels: int
    name: str = "upload"

    def items(self) -> Iterator[Item]:
        """The one file."""
        read = partial(read_upload, self.path, self.file_name, self.max_pixels)
        yield Item(f"upload:{self.file_name}", self.digest, read)


def read_upload(path: Path, file_name: str, max_pixels: int) -> tuple[Offer, ...]:
    """Read the file under the name it came with, since the suffix says what it is."""
    safe_name = Path(file_name).name or "upload"
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / safe_name
        named.write_bytes(path.read_bytes())
        return read_image_file(named, "upload", safe_name, f"upload:{safe_name}", max_pixels)
