"""`skysieve cluster`: group the current anomalies by likeness, as the Anomalies page does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.cli.output import AsJson, progress, report

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = ("cluster_key", "name", "number", "size", "candidates", "embedder", "example")


def cluster(
    kind: Annotated[
        str | None, typer.Option(help="Only search vectors of this embedder; every kind if absent.")
    ] = None,
    verdict: Annotated[
        list[str] | None,
        typer.Option(help="What to group, several times for more: candidate, near_miss, uncertain "
                     "(these three if absent), normal, artefact."),
    ] = None,
    close: Annotated[
        float | None, typer.Option(help="Least mean cosine within a cluster, -1 to 1 (0.5).")
    ] = None,
    fewest: Annotated[
        int | None, typer.Option(min=2, help="Fewest members of a cluster (3).")
    ] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Group the current anomalies by likeness; names that people gave stay with their clusters."""
    from jobs.access import store_access
    from jobs.settings import load_settings

    given = {"kind": kind, "verdicts": verdict, "close": close, "fewest": fewest}
    body = {name: value for name, value in given.items() if value is not None}
    with store_access(load_settings()) as client:
        counts = client.request("clusters", body, _show)["result"]
        rows = client.get("clusters")["rows"]
    if kind is not None:
        rows = [row for row in rows if row["embedder"] == kind]
    if as_json:
        found = [{name: row[name] for name in SHOWN} for row in rows]
        report({**counts, "clusters": found}, as_json=True)
        return
    print(
        f"{counts['grouped']} of {counts['detections']} detections lie in {counts['clusters']} "
        "clusters"
    )
    for line in lines_of(rows):
        print(line)


def lines_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line a cluster, the largest first: size, candidates in it, name."""
    if not rows:
        return []
    cells = [
        (str(row["size"]), str(row["candidates"]), row["name"] or f"cluster {row['number'] + 1}")
        for row in rows
    ]
    cells.insert(0, ("size", "candidates", "name"))
    sizes, candidates = (max(len(cell[column]) for cell in cells) for column in (0, 1))
    return [f"{size:>{sizes}}  {few:>{candidates}}  {name}" for size, few, name in cells]


def _show(row: dict[str, Any]) -> None:
    if row["state"] == "running" and row["total"]:
        progress(f"grouping: {row['done']} of {row['total']} kinds of vectors")
