"""`folder:PATH`: every file below a folder, images read and all others named and ignored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.reading import Limits, image_suffix, read_frames
from jobs.errors import SourceError
from jobs.sources.source import Item, Offer


@dataclass(frozen=True)
class FolderSource:
    """All files below `root`, sorted by path; symbolic links are not followed."""

    name: str
    root: Path
    max_pixels: int

    @classmethod
    def parse(cls, rest: str, max_pixels: int) -> FolderSource:
        """Open the folder at the path given after `folder:`."""
        root = Path(rest).expanduser().resolve()
        if not root.is_dir():
            raise SourceError(f"no folder at {root}: give the path of a folder with images")
        return cls(f"folder:{root}", root, max_pixels)

    def items(self) -> Iterator[Item]:
        """One item a file; its fingerprint is size and time of change."""
        for path in sorted(self.root.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            status = path.stat()
            read = partial(read_image_file, path, self.name, str(path.relative_to(self.root)),
                           self.max_pixels)  # fmt: skip
            yield Item(path.as_uri(), f"{status.st_size}-{status.st_mtime_ns}", read)


def read_image_file(path: Path, source: str, object_id: str, max_pixels: int) -> tuple[Offer, ...]:
    """Read one file into its frames and the parts that are none. Raises FrameError."""
    if image_suffix(path) is None:
        reason = f"not an image file ({path.suffix or 'no suffix'})"
        return (Offer(part="", outcome="ignored", reason=reason),)
    reading = read_frames(
        path, source=source, object_id=object_id, limits=Limits(max_pixels=max_pixels)
    )
    frames = [Offer(part=frame.origin.part, frame=frame) for frame in reading.frames]
    ignored = [
        Offer(part=part.part, outcome="ignored", reason=part.reason) for part in reading.ignored
    ]
    return (*frames, *ignored)
