"""Where frames come from: one small module a source, all behind `Source`."""

from __future__ import annotations

from collections.abc import Callable

from jobs.errors import SourceError
from jobs.sources.folder import FolderSource
from jobs.sources.simulated import SimulatedSource
from jobs.sources.source import Item, Offer, Source, load

__all__ = ["FolderSource", "Item", "Offer", "Source", "load", "open_source"]

KINDS: dict[str, Callable[[str, int], Source]] = {
    "folder": FolderSource.parse,
    "sim": SimulatedSource.parse,
}


def open_source(specification: str, *, max_pixels: int) -> Source:
    """Open `folder:PATH` or `sim:NIGHT[,frames=N][,terrain=N][,size=N]`.

    Raises SourceError when the specification is of no known kind, or what it names is not there.
    """
    kind, separator, rest = specification.partition(":")
    if not separator or not rest or kind not in KINDS:
        known = ", ".join(f"{name}:..." for name in sorted(KINDS))
        raise SourceError(f"no source {specification!r}: expected one of {known}")
    return KINDS[kind](rest, max_pixels)
