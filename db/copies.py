"""Copies of the database: a second file with the rows of one moment."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from db.database import Connection
from db.errors import TransferError
from db.migrate import migrate
from db.store import Store

_ROWS_AT_ONCE = 50_000


def copy_database(store: Store, path: Path) -> None:
    """Write all rows of one moment into a new database file at `path`; TransferError if it cannot.

    The rows travel as Arrow, because the store itself is closed to the file system, and because
    copying an open database file would release the lock that keeps other owners out.
    """
    try:
        copy = duckdb.connect(path)
    except duckdb.Error as error:
        raise TransferError(f"cannot write a copy of the database to {path}: {error}") from error
    try:
        migrate(copy, store.now())
        store.snapshot(lambda source: _copy_rows(source, copy, list(store.tables)))
    finally:
        copy.close()


def row_counts(path: Path) -> dict[str, int]:
    """Return the rows per table of a database file that is not open; TransferError if broken."""
    try:
        with duckdb.connect(path, read_only=True) as database:
            tables = database.sql(
                "SELECT table_name FROM duckdb_tables() ORDER BY table_name"
            ).fetchall()
            return {
                name: database.sql(f'SELECT count(*) FROM "{name}"').fetchall()[0][0]  # noqa: S608
                for (name,) in tables
            }
    except duckdb.Error as error:
        raise TransferError(f"{path.name} is no database that can be read: {error}") from error


def _copy_rows(source: Connection, copy: Connection, tables: list[str]) -> None:
    sequences = source.sql("SELECT sequence_name, last_value FROM duckdb_sequences()").fetchall()
    try:
        copy.execute("DELETE FROM schema_migrations")
        for table in tables:
            _append(copy, table, source.sql(f'FROM "{table}"').to_arrow_reader(_ROWS_AT_ONCE))
        for name, last in sequences:
            if last is not None:
                copy.execute("SELECT setval(?, ?)", [name, last])
    except duckdb.Error as error:
        raise TransferError(f"cannot copy the database: {error}") from error


def _append(copy: Connection, table: str, rows: pa.RecordBatchReader) -> None:
    copy.register("incoming", rows)
    copy.execute(f'INSERT INTO "{table}" BY NAME SELECT * FROM incoming')  # noqa: S608
    copy.unregister("incoming")
