"""Everything out and in again: backup to one file, restore from it, export for other tools."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.parquet as pq

from db.archive import Manifest, pack, unpack
from db.copies import copy_database, row_counts
from db.database import Connection
from db.errors import TransferError
from db.files import Files
from db.labels import export_labels
from db.store import DATABASE_NAME, FILES_NAME, Store

_ROWS_AT_ONCE = 50_000

_EXPORT_README = """Export of a skysieve store, made {made_at}.

{tables}
labels.csv: the log of labels once more, in the form that `skysieve labels import` reads

Times are UTC. Columns ending in _file are sha256 digests of stored files; an export leaves the
files out, a backup keeps them. A label `undo` takes back the label that its row names.
"""


Summary = dict[str, Any]


def backup(store: Store, target: Path) -> Summary:
    """Write a verified backup of all rows and files to `target` and say what it holds.

    The store stays in use meanwhile; the rows are those of one moment. `target` appears only when
    it is whole. Raises TransferError if it exists or cannot be written, or a file is corrupt.
    """
    if target.exists():
        raise TransferError(f"{target} exists already; choose another name or remove it")
    with _partial(target) as work:
        work.mkdir()
        database, archive = work / DATABASE_NAME, work / "archive"
        copy_database(store, database)
        members = {DATABASE_NAME: database, **_stored_files(store.files)}
        facts = {"made_at": store.now().isoformat(), "rows": row_counts(database)}
        manifest = pack(archive, members, facts)
        _require_own_digests(manifest)
        archive.replace(target)
    return _summary(manifest, target)


def restore(source: Path, home: Path) -> Summary:
    """Unpack a backup into `home`, which is absent or empty, and say what it held.

    Every digest and every table's row count is checked first. Raises TransferError for a home
    that holds anything, or an archive that is damaged or no backup; then nothing is left behind.
    """
    _require_free(home)
    with _partial(home) as work:
        manifest = unpack(source, work)
        _require_own_digests(manifest)
        if row_counts(work / DATABASE_NAME) != manifest.get("rows"):
            raise TransferError(f"{source}: the database holds other rows than its manifest says")
        _put_in_place(work, home)
    return _summary(manifest, source)


def export(store: Store, folder: Path) -> dict[str, int]:
    """Write every table as Parquet, the labels as CSV and a README.txt; return rows per table.

    `folder` is absent or empty and appears only when it is whole; the tables are of one moment.
    """
    _require_free(folder)
    with _partial(folder) as work:
        work.mkdir()
        rows = store.snapshot(lambda connection: _write_tables(connection, store.tables, work))
        export_labels(store, work / "labels.csv")
        listed = "\n".join(f"{table}.parquet: {n} rows" for table, n in rows.items())
        readme = _EXPORT_README.format(made_at=store.now().isoformat(), tables=listed)
        (work / "README.txt").write_text(readme, encoding="utf-8")
        _put_in_place(work, folder)
    return rows


@contextlib.contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """Lend a name beside `target` to work under, and leave nothing there whatever happens."""
    partial = target.absolute().with_name(f".{target.name}.{uuid4().hex}")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        yield partial
    except OSError as error:
        raise TransferError(f"cannot write {target}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TransferError(f"{folder} is not an empty folder; choose a new one")


def _put_in_place(work: Path, folder: Path) -> None:
    if folder.exists():
        folder.rmdir()
    work.replace(folder)


def _stored_files(files: Files) -> dict[str, Path]:
    paths = [files.path(digest) for digest in files.digests()]
    return {f"{FILES_NAME}/{path.parent.name}/{path.name}": path for path in paths}


def _summary(manifest: Manifest, archive: Path) -> Summary:
    return {
        "made_at": manifest["made_at"],
        "bytes": archive.stat().st_size,
        "files": len(manifest["members"]) - 1,
        "rows": manifest["rows"],
    }


def _require_own_digests(manifest: Manifest) -> None:
    """A stored file is named by its digest: the archive's name and digest must agree."""
    if DATABASE_NAME not in manifest["members"]:
        raise TransferError(f"the backup holds no {DATABASE_NAME}")
    for name, digest in manifest["members"].items():
        if name != DATABASE_NAME and name.removeprefix(FILES_NAME).replace("/", "") != digest:
            raise TransferError(
                f"the stored file {name} is corrupt: its bytes have digest {digest}"
            )


def _write_tables(connection: Connection, tables: Iterable[str], folder: Path) -> dict[str, int]:
    return {
        table: _write_parquet(connection, table, folder / f"{table}.parquet") for table in tables
    }


def _write_parquet(connection: Connection, table: str, path: Path) -> int:
    reader = connection.sql(f'FROM "{table}"').to_arrow_reader(_ROWS_AT_ONCE)
    rows = 0
    with pq.ParquetWriter(path, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows
