"""Where frames come from: one small module a source, all behind `Source`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobs.errors import SourceError
from jobs.sources import apod, galaxyzoo, sdss, skyview, tess, ztf
from jobs.sources.archive import Archive, ArchiveSource
from jobs.sources.folder import FolderSource
from jobs.sources.network import Network, open_network
from jobs.sources.options import Option, usage
from jobs.sources.simulated import SimulatedSource
from jobs.sources.source import Item, Offer, Source, fetch, load
from jobs.sources.watch import WatchArchive

__all__ = [
    "ARCHIVES",
    "ArchiveSource",
    "FolderSource",
    "Item",
    "Network",
    "Offer",
    "Source",
    "catalogue_of_sources",
    "fetch",
    "load",
    "open_network",
    "open_source",
]


@dataclass(frozen=True)
class Kind:
    """An archive's kind of specification: how it is read, its options, what it gives."""

    parse: Callable[[str], Archive]
    options: Mapping[str, Option]
    gives: str


LOCAL: dict[str, Callable[[str, int], Source]] = {
    "folder": FolderSource.parse,
    "sim": SimulatedSource.parse,
}
ARCHIVES: dict[str, Kind] = {
    "apod": Kind(apod.ApodArchive.parse, apod.OPTIONS, "NASA's Astronomy Picture of the Day"),
    "galaxyzoo": Kind(
        galaxyzoo.GalaxyZooArchive.parse, galaxyzoo.OPTIONS, "Galaxy Zoo objects, SDSS cutouts"
    ),
    "sdss": Kind(sdss.SdssArchive.parse, sdss.OPTIONS, "SDSS cutouts around objects of a query"),
    "skyview": Kind(skyview.SkyViewArchive.parse, skyview.OPTIONS, "tiles of a SkyView survey"),
    "tess": Kind(tess.TessArchive.parse, tess.OPTIONS, "TESS cutouts, one a sector"),
    "watch": Kind(WatchArchive.parse, {}, "files that come into a folder"),
    "ztf": Kind(ztf.ZtfArchive.parse, ztf.OPTIONS, "ZTF alerts: science, template, difference"),
}
LOCAL_USAGE = {
    "folder": ("folder:PATH", "every image below a folder"),
    "sim": ("sim:NIGHT[,frames=N][,terrain=N][,size=N]", "a night of the simulated sky"),
    "watch": ("watch:PATH[,quiet=SECONDS]", "files that come into a folder, once they are quiet"),
}


def open_source(
    specification: str,
    *,
    max_pixels: int,
    network: Network | None = None,
    limit: int | None = None,
) -> Source:
    """Open a source from its specification (`catalogue_of_sources` lists the kinds).

    Archives can be parsed without a `network`, but list and fetch only with one; `limit` is how
    many items a cycle wants. Raises SourceError when the specification is of no known kind, its
    options cannot be, or what it names is not there.
    """
    kind, separator, rest = specification.partition(":")
    if kind in ARCHIVES and (rest or not separator):
        return ArchiveSource(ARCHIVES[kind].parse(rest), max_pixels, network, limit)
    if separator and rest and kind in LOCAL:
        return LOCAL[kind](rest, max_pixels)
    known = ", ".join(f"{name}:..." for name in sorted([*LOCAL, *ARCHIVES]))
    raise SourceError(
        f"no source {specification[:80]!r}: expected one of {known}; "
        "`skysieve scan --source help` explains them"
    )


def catalogue_of_sources() -> dict[str, str]:
    """Every kind of source: how it is written, and what it gives with which options."""
    local = dict(LOCAL_USAGE.values())
    remote = {
        f"{name}[:OPTION=VALUE,...]": f"{kind.gives}; options: {usage(kind.options)}"
        for name, kind in ARCHIVES.items()
        if name not in LOCAL_USAGE
    }
    return {**local, **remote}
