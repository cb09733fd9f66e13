"""`skysieve scan` and `skysieve demo`: work through a source, by whoever owns the store."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.cli.output import AsJson, progress, report

if TYPE_CHECKING:
    from jobs.settings import Settings

DEMO_SOURCE = "sim:demo"


def scan(
    source: Annotated[
        str, typer.Option(help="folder:PATH, sim:NIGHT, sdss:..., ztf:...; `help` lists them all.")
    ],
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many new items.")] = None,
    once: Annotated[bool, typer.Option("--once", help="One pass (the default).")] = False,
    aggressive: Annotated[
        bool, typer.Option("--aggressive", help="The higher stated candidate rate.")
    ] = False,
    interval: Annotated[
        float | None, typer.Option(min=1, help="Scan again after this many seconds, for ever.")
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="First fit a reference on the folder, or on what is stored."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take in what a source has, analyse it, and account for every item."""
    from jobs.access import request
    from jobs.errors import UsageError
    from jobs.settings import load_settings

    if once and interval is not None:
        raise UsageError("--once and --interval exclude each other: give one of them")
    if source == "help":
        from jobs.sources import catalogue_of_sources

        report(catalogue_of_sources(), as_json=as_json)
        return
    settings = load_settings()
    source = _from_here(source)
    if calibrate:
        _calibrate(settings, source)
    body = {"source": source, "limit": limit, "aggressive": aggressive}
    while True:
        row = request(settings, "scans", body, _shower())
        report({"source": source, **row["result"]}, as_json=as_json)
        if interval is None:
            return
        time.sleep(interval)


def demo(as_json: AsJson = False) -> None:
    """Fill the store with a simulated night through all three pipelines; done once, kept."""
    scan(source=DEMO_SOURCE, as_json=as_json)


def _shower() -> Callable[[dict[str, Any]], None]:
    """Say how far a request is, whenever that changed."""
    last = ""

    def show(row: dict[str, Any]) -> None:
        nonlocal last
        line = f"{row['state']}: {row['done']} of {row['total']} images" if row["total"] else last
        if line != last:
            progress(line)
        last = line

    return show


def _from_here(source: str) -> str:
    """The source with a folder's path made absolute, since its owner may run elsewhere."""
    kind, separator, path = source.partition(":")
    if kind in ("folder", "watch") and path:
        tail = ""
        if kind == "watch" and ",quiet=" in path:
            path, _, quiet = path.rpartition(",quiet=")
            tail = f",quiet={quiet}"
        return f"{kind}{separator}{Path(path).expanduser().resolve()}{tail}"
    return source


def _calibrate(settings: Settings, source: str) -> None:
    """Fit a reference of the source's own, which the scan then judges by.

    A folder is fitted on its images; any other source on the frames of it that are stored.
    """
    from jobs.access import request
    from jobs.cli.anomaly import train_anomaly
    from jobs.recalibration import next_name
    from jobs.sources import FolderSource, open_source

    opened = open_source(source, max_pixels=settings.max_pixels)
    if not isinstance(opened, FolderSource):
        row = request(settings, "calibrations", {"source": opened.name}, _shower())
        progress(f"fitted {row['result']['reference']} on {row['result']['fitted_on']} cutouts")
        return
    with contextlib.redirect_stdout(sys.stderr):
        train_anomaly(
            reference=opened.root,
            name=next_name(settings.home / "references", opened.name),
            domain=[opened.name],
            out=settings.home / "references",
        )
