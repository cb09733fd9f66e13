"""The store: one owner, many readers, one writer thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import pyarrow as pa

from db.batches import Batch, Columns, Part, encode
from db.database import Connection, Database
from db.errors import StoreError
from db.files import Files
from db.migrate import migrate

T = TypeVar("T")

DATABASE_NAME = "skysieve.duckdb"
FILES_NAME = "files"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Store:
    """The rows and files of one home folder, owned by this process until `close`.

    Reads run in the calling thread, each on a snapshot of its own, and never wait for writes.
    Writes run one after the other in one thread and are durable when the call returns. After
    StoreInvalidated a write may or may not have gone through: repeat it, since a batch repeated
    changes nothing.
    """

    files: Files

    def __init__(self, database: Database, files: Files, now: Callable[[], datetime]) -> None:
        self.files = files
        self.now = now
        self._database = database
        self._changes = 0
        self._writer_ident: int | None = None
        self._writer = ThreadPoolExecutor(1, "store-writer", initializer=self._enter_writer)
        self._schema: Mapping[str, Columns] = self._read_schema()

    @classmethod
    def open(
        cls,
        home: Path,
        *,
        memory_limit: str = "1GB",
        threads: int = 2,
        now: Callable[[], datetime] = _utc_now,
    ) -> Store:
        """Open the store of `home`, made if absent, and bring its schema up to date.

        Parameters: `memory_limit` of DuckDB (such as "1GB"), `threads` it may use, `now` the
        clock (UTC). Raises StoreLocked if another process owns it, StoreTooNew if a newer
        program wrote it, MigrationError, StoreError.
        """
        home.mkdir(parents=True, exist_ok=True)
        database = Database(home / DATABASE_NAME, memory_limit=memory_limit, threads=threads)
        try:
            migrate(database.unmanaged(), now())
            return cls(database, Files(home / FILES_NAME), now)
        except BaseException:
            database.close()
            raise

    @property
    def home(self) -> Path:
        """The folder that holds the database and the files."""
        return self._database.path.parent

    @property
    def changes(self) -> int:
        """How many committed writes changed something since the store was opened."""
        return self._changes

    @property
    def tables(self) -> Mapping[str, Columns]:
        """Every table with its columns and their SQL types."""
        return self._schema

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run one reading statement and return its rows; times are in UTC, JSON is text."""
        rows: list[dict[str, Any]] = self.table(sql, params).to_pylist()
        return rows

    def table(self, sql: str, params: Sequence[Any] = ()) -> pa.Table:
        """Run one reading statement and return an Arrow table; StoreError if it fails or writes."""
        with self._database.reading() as cursor:
            return select(cursor, sql, params)

    def snapshot(self, function: Callable[[Connection], T]) -> T:
        """Call `function` with a connection on which all reads see the same moment."""
        with self._database.reading() as cursor:
            return function(cursor)

    def write(self, batch: Batch) -> dict[str, int]:
        """Append rows (table name -> rows) in one transaction; return the new rows per table.

        A row whose key is already there is left as it is. Raises StoreError for unknown tables,
        columns or values that do not fit, ConflictError for a broken rule; then nothing is
        written. `db.batches.encode` says how values are taken.
        """
        parts = encode(batch, self._schema)
        counts = dict.fromkeys(batch, 0)
        if not parts:
            return counts

        def append(connection: Connection) -> dict[str, int]:
            for part in parts:
                counts[part.table] += insert(connection, part)
            return counts

        return self.transaction(append, changed=lambda new: any(new.values()))

    def move(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run one `UPDATE|DELETE|INSERT ... RETURNING` in the writer thread; return its rows."""

        def run(connection: Connection) -> list[dict[str, Any]]:
            moved = select(connection, sql, params)
            if moved.column_names == ["Count"]:
                raise StoreError(f"expected a statement that ends in RETURNING, got {sql[:200]!r}")
            rows: list[dict[str, Any]] = moved.to_pylist()
            return rows

        return self.transaction(run, changed=bool)

    def transaction(
        self,
        function: Callable[[Connection], T],
        *,
        changed: Callable[[T], bool] = lambda _: True,
    ) -> T:
        """Call `function` with a connection inside one write transaction, in the writer thread.

        What it raises undoes the transaction and comes out here. `changed` says from the result
        whether anything changed (for the change counter).
        """
        if threading.get_ident() == self._writer_ident:
            raise StoreError("a write inside a write would wait for itself; use its connection")
        try:
            committing = self._writer.submit(self._commit, function, changed)
        except RuntimeError as error:
            closed = f"the store {self._database.path} is closed; open it again"
            raise StoreError(closed) from error
        return committing.result()

    def close(self) -> None:
        """Finish the writes under way and close the database; a second time does nothing."""
        self._writer.shutdown(wait=True)
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _enter_writer(self) -> None:
        self._writer_ident = threading.get_ident()

    def _commit(self, function: Callable[[Connection], T], changed: Callable[[T], bool]) -> T:
        with self._database.writing() as connection:
            result = function(connection)
        if changed(result):
            self._changes += 1
        return result

    def _read_schema(self) -> Mapping[str, Columns]:
        columns = self.rows(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "JOIN duckdb_tables() USING (table_name) ORDER BY table_name, column_index"
        )
        schema: dict[str, dict[str, str]] = {}
        for column in columns:
            schema.setdefault(column["table_name"], {})[column["column_name"]] = column["data_type"]
        return schema


def select(connection: Connection, sql: str, params: Sequence[Any] = ()) -> pa.Table:
    """Run one statement that returns rows on `connection`; for use inside a transaction."""
    relation = connection.sql(sql, params=list(params))
    if relation is None:
        raise StoreError(f"expected a statement that returns rows, got {sql[:200]!r}")
    return relation.to_arrow_table()


def insert(connection: Connection, part: Part) -> int:
    """Append the rows of `part` whose key is new, and return how many those were."""
    columns = ", ".join(f'"{name}"' for name in part.columns)
    connection.register("incoming", part.rows)
    # execute() plans a statement once; sql() makes a relation, which took three times as long.
    counted = connection.execute(
        f'INSERT INTO "{part.table}" ({columns}) SELECT {columns} FROM incoming '  # noqa: S608
        "ON CONFLICT DO NOTHING"
    ).fetchall()
    connection.unregister("incoming")
    return int(counted[0][0])
