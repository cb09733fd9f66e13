"""`skysieve db ...` and `skysieve labels ...`: the store's own commands."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.output import AsJson, report

db = typer.Typer(no_args_is_help=True, help="The store: migrate, sql, export, backup, restore.")
labels = typer.Typer(no_args_is_help=True, help="People's labels: import and export.")


@db.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the store's schema up to date and say which version it has."""
    from jobs.access import store_access
    from jobs.settings import load_settings

    sql = "SELECT max(version) AS version, count(*) AS applied FROM schema_migrations"
    with store_access(load_settings()) as client:
        report(client.post("query", {"sql": sql})["rows"][0], as_json=as_json)


@db.command()
def sql(
    statement: Annotated[str, typer.Argument(help="One SELECT over the store's tables.")],
    as_json: AsJson = False,
) -> None:
    """Run one reading SQL statement and print its rows."""
    from jobs.access import store_access
    from jobs.settings import load_settings

    with store_access(load_settings()) as client:
        answer = client.post("query", {"sql": statement})
    if answer["truncated"]:
        print(f"only the first {len(answer['rows'])} rows: add a LIMIT", file=sys.stderr)
    if as_json:
        print(json.dumps(answer["rows"], indent=2))
        return
    print("\t".join(answer["columns"]))
    for row in answer["rows"]:
        print("\t".join("" if value is None else str(value) for value in row.values()))


@db.command("export")
def export_tables(
    folder: Annotated[Path, typer.Argument(help="A folder, made if it is not there.")],
    as_json: AsJson = False,
) -> None:
    """Write every table as Parquet, and the labels as CSV, into a folder."""
    import zipfile

    from jobs.access import store_access
    from jobs.settings import load_settings

    with store_access(load_settings()) as client:
        content = client.call("GET", "export").content
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
        report({"folder": str(folder), "files": len(archive.namelist())}, as_json=as_json)


@db.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The backup to write; it must not exist yet.")],
    as_json: AsJson = False,
) -> None:
    """Write the whole store, images included, into one file, while it is in use."""
    from jobs.access import request
    from jobs.settings import load_settings

    row = request(load_settings(), "backup", {"target": str(file.resolve())}, lambda _: None)
    report(row["result"], as_json=as_json)


@db.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.", exists=True, dir_okay=False)],
    as_json: AsJson = False,
) -> None:
    """Make the store of this (empty) home from a backup."""
    from db.transfer import restore as restore_store
    from jobs.errors import OwnerError
    from jobs.owner_file import read_owner
    from jobs.settings import load_settings

    settings = load_settings()
    if read_owner(settings.home) is not None:
        raise OwnerError(f"the store in {settings.home} is in use: stop its owner first")
    restore_store(file, settings.home)
    report({"home": str(settings.home), "restored": str(file)}, as_json=as_json)


@labels.command("import")
def import_labels(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)], as_json: AsJson = False
) -> None:
    """Add the labels of a CSV file; rows that are there already are not doubled."""
    from jobs.access import store_access
    from jobs.settings import load_settings

    with store_access(load_settings()) as client:
        headers = {"Content-Type": "text/csv"}
        answer = client.call("POST", "labels", data=file.read_bytes(), headers=headers).json()
    report(answer, as_json=as_json)


@labels.command("export")
def export_labels(file: Path, as_json: AsJson = False) -> None:
    """Write the whole label log as CSV."""
    from jobs.access import store_access
    from jobs.settings import load_settings

    with store_access(load_settings()) as client:
        content = client.call("GET", "labels", params={"format": "csv"}).content
    file.write_bytes(content)
    rows = sum(1 for _ in csv.reader(io.StringIO(content.decode("utf-8"), newline=""))) - 1
    report({"file": str(file), "labels": rows}, as_json=as_json)


@labels.command("export-masks")
def export_masks(
    folder: Annotated[Path, typer.Argument(help="A folder, made if it is not there.")],
    as_json: AsJson = False,
) -> None:
    """Write each cosmic-ray mask that people edited as FITS, with an index.csv, for training."""
    from jobs.access import store_access
    from jobs.settings import load_settings

    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    with store_access(load_settings()) as client:
        for row in client.pages("mask-edits/frames"):
            name = f"mask-{row['frame_digest'][:16]}.fits"
            content = client.call("GET", f"mask-edits/frames/{row['frame_digest']}").content
            (folder / name).write_bytes(content)
            listed.append({"file": name, **row, "editors": "; ".join(row["editors"])})
    columns = ("file", "frame_digest", "object_id", "source", "edits", "confirmed", "editors",
               "edited_at")  # fmt: skip
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(listed)
    report({"folder": str(folder), "masks": len(listed)}, as_json=as_json)
