"""`folder:PATH`: every file below a folder, images read and all others named and ignored."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from engine.frame import Frame
from engine.reading import Limits, image_suffix, read_frames
from jobs.errors import SourceError
from jobs.sources.source import Item, Offer


@dataclass(frozen=True)
class FolderSource:
    """All files below `root`, sorted by path; symbolic links are named, not followed."""

    name: str
    root: Path
    max_pixels: int

    @classmethod
    def parse(cls, rest: str, max_pixels: int) -> FolderSource:
        """Open the folder at the absolute path given after `folder:`."""
        path = Path(rest).expanduser()
        if not path.is_absolute():
            raise SourceError(
                f"folder:{rest} is relative, and the owner of the store may run elsewhere: "
                f"give the absolute path, such as folder:{path.absolute()}"
            )
        root = path.resolve()
        if not root.is_dir():
            raise SourceError(f"no folder at {root}: give the path of a folder with images")
        return cls(f"folder:{root}", root, max_pixels)

    def items(self) -> Iterator[Item]:
        """One item a file; its fingerprint is size and time of change."""
        for path in sorted(self.root.rglob("*")):
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue  # it went away since the folder was listed
            if stat.S_ISDIR(status.st_mode):
                continue
            fingerprint = f"{status.st_size}-{status.st_mtime_ns}"
            if stat.S_ISREG(status.st_mode):
                object_id = printable(path.relative_to(self.root))
                read = partial(read_image_file, path, self.name, object_id, printable(path),
                               self.max_pixels)  # fmt: skip
            else:
                read = partial(not_a_file, symbolic_link=stat.S_ISLNK(status.st_mode))
            yield Item(path.as_uri(), fingerprint, read)


def read_image_file(
    path: Path, source: str, object_id: str, uri: str, max_pixels: int
) -> tuple[Offer, ...]:
    """Read one file into its frames and the parts that are none. Raises FrameError."""
    if image_suffix(path) is None:
        reason = f"not an image file ({printable(path.suffix) or 'no suffix'})"
        return (Offer(part="", outcome="ignored", reason=reason),)
    reading = read_frames(
        path, source=source, object_id=object_id, limits=Limits(max_pixels=max_pixels)
    )
    frames = [_offer(frame, uri) for frame in reading.frames]
    ignored = [
        Offer(part=part.part, outcome="ignored", reason=part.reason) for part in reading.ignored
    ]
    return (*frames, *ignored)


def not_a_file(*, symbolic_link: bool) -> tuple[Offer, ...]:
    """Name what stands in a folder without being a file of its own."""
    what = "a symbolic link, which is not followed" if symbolic_link else "a device or pipe"
    return (Offer(part="", outcome="ignored", reason=what),)


def printable(name: Path | str) -> str:
    """A file's name as text that any store and page can hold, whatever its bytes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _offer(frame: Frame, uri: str) -> Offer:
    located = replace(frame, origin=replace(frame.origin, uri=uri))
    return Offer(part=frame.origin.part, frame=located)
