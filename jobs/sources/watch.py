"""`watch`: a folder that files come into; each is taken once it has been quiet for a while."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from jobs.errors import SourceError
from jobs.sources.archive import Facts, Listed, Page, Read
from jobs.sources.folder import printable, read_image_file
from jobs.sources.network import Network
from jobs.sources.source import Offer

NS = 10**9
OVERLAP_NS = 2 * NS
"""File systems keep times in steps of up to two seconds."""
QUIET_S = 5.0


@dataclass(frozen=True)
class Seen:
    """A file as the folder shows it; times in ns, `changed` is that of the inode."""

    path: Path
    size: int
    modified: int
    changed: int


@dataclass(frozen=True)
class WatchArchive:
    """All files below `root`; the cursor is the newest change that was listed.

    The change time of the inode counts, since a file that is moved in keeps its own old time. A
    cursor in the future (the clock was set back) lists everything again; what is known stays
    known.
    """

    name: str
    root: Path
    quiet_s: float = QUIET_S
    service: str = "watch"

    @classmethod
    def parse(cls, rest: str) -> WatchArchive:
        """Read `PATH[,quiet=SECONDS]` after `watch:`."""
        path, comma, quiet = rest.rpartition(",quiet=")
        if not comma:
            path, quiet = rest, ""
        try:
            quiet_s = float(quiet) if quiet else QUIET_S
        except ValueError:
            quiet_s = -1.0
        if not 0 <= quiet_s <= 3600:
            raise SourceError(f"quiet={quiet[:20]} cannot be: expected seconds from 0 to 3600")
        root = Path(path).expanduser()
        if not root.is_absolute():
            raise SourceError(
                f"watch:{rest} is relative: give the absolute path, such as {root.absolute()}"
            )
        if not root.is_dir():
            raise SourceError(f"no folder at {root}: make it first")
        return cls(f"watch:{root.resolve()}", root.resolve(), quiet_s)

    def page(self, network: Network, cursor: Any, size: int) -> Page:
        """The next files by time of change, up to the first that is still being written."""
        now = int(network.clock.now().timestamp() * NS)
        since = int(cursor or 0)
        since = since if since <= now else 0
        files = sorted(_files(self.root), key=lambda seen: (seen.changed, str(seen.path)))
        quiet = [seen for seen in files if now - max(seen.changed, seen.modified) >= self._quiet()]
        busy = [seen.changed for seen in files if seen not in set(quiet)]
        fresh = [seen for seen in quiet if seen.changed > since]
        chosen = fresh[:size]
        overlap = [seen for seen in quiet if since - OVERLAP_NS <= seen.changed <= since]
        last = max((seen.changed for seen in chosen), default=since)
        last = min([last, *(changed - 1 for changed in busy)])
        more = len(fresh) > len(chosen)
        return Page(tuple(map(_listed, (*overlap, *chosen))), max(last, 0), more=more)

    def _quiet(self) -> int:
        return int(self.quiet_s * NS)

    def fetch(self, network: Network, facts: Facts) -> tuple[bytes, ...]:  # noqa: ARG002
        """Nothing: the worker reads the file where it lies."""
        return ()

    @property
    def read(self) -> Read:
        """The frames of a file."""
        return read_watched


def read_watched(
    _contents: tuple[bytes, ...], facts: Facts, source: str, max_pixels: int
) -> tuple[Offer, ...]:
    """Read one file of the folder. Raises FrameError, or OSError where it went away."""
    path = Path(os.fsdecode(unquote_to_bytes(urlsplit(facts["address"]).path)))
    if not path.exists():
        raise FileNotFoundError(2, "it went away before it was read", str(path))
    return read_image_file(path, source, facts["object_id"], printable(path), max_pixels)


def _listed(seen: Seen) -> Listed:
    address = seen.path.as_uri()
    facts = {"address": address, "object_id": printable(seen.path.name)}
    return Listed(address, f"{seen.size}-{seen.modified}", facts)


def _files(root: Path) -> Iterator[Seen]:
    for path in root.rglob("*"):
        try:
            status = path.lstat()
        except OSError:
            continue  # it went away since the folder was listed
        if stat.S_ISREG(status.st_mode):
            yield Seen(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
