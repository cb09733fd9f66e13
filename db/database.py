"""The open DuckDB file: how it is opened, lent out cursor by cursor, and survives a fatal error."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

from db.errors import ConflictError, StoreError, StoreInvalidated, StoreLocked

Connection = duckdb.DuckDBPyConnection

# How long a recovery or a close waits for statements that were interrupted.
_PATIENCE_S = 10.0

_open_paths: set[Path] = set()
_open_paths_lock = threading.Lock()


class Database:
    """One DuckDB file, open read-write and closed to the file system.

    No statement can read or write another file, attach a database, load an extension or change a
    setting, whoever wrote it. Each use gets a cursor of its own, inside a transaction.
    """

    def __init__(self, path: Path, *, memory_limit: str, threads: int) -> None:
        self.path = path.resolve()
        self._memory_limit = memory_limit
        self._threads = threads
        self._turn = threading.Condition()
        self._lent: set[Connection] = set()
        self._generation = 0
        self._dead = False
        with _open_paths_lock:
            if self.path in _open_paths:
                raise StoreLocked(f"{self.path} is already open in this process; use that Store")
            self._root: Connection | None = self._connect()
            _open_paths.add(self.path)

    def unmanaged(self) -> Connection:
        """Return the first connection, for migrations before anything else uses the store."""
        if self._root is None:
            raise self._closed()
        return self._root

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a cursor inside a read-only transaction: one snapshot, and no write gets through."""
        with self._cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            yield cursor

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend a cursor inside a transaction that commits at the end, or not at all."""
        with self._cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION")
            yield cursor
            cursor.execute("COMMIT")

    def close(self) -> None:
        """Interrupt what still reads and close the file; a second time does nothing."""
        with self._turn:
            self._shut()
        with _open_paths_lock:
            _open_paths.discard(self.path)

    def _connect(self) -> Connection:
        try:
            connection = duckdb.connect(
                self.path,
                config={
                    "memory_limit": self._memory_limit,
                    "threads": self._threads,
                    "enable_external_access": "false",
                    "python_enable_replacements": "false",
                    "autoload_known_extensions": "false",
                    "autoinstall_known_extensions": "false",
                },
            )
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            connection.execute("SET lock_configuration = true")
        except duckdb.Error as error:
            raise _opening_error(self.path, error) from error
        return connection

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Connection]:
        with self._turn:
            if self._root is None:
                raise self._closed()
            generation = self._generation
            cursor = self._root.cursor()
            self._lent.add(cursor)
        try:
            yield cursor
        except duckdb.Error as error:
            self._take_back(cursor)
            if is_fatal(error):
                self._recover(generation)
            if generation != self._generation:
                raise self._invalidated(error) from error
            raise _statement_error(error) from error
        finally:
            self._take_back(cursor)

    def _take_back(self, cursor: Connection) -> None:
        """Close a lent cursor; an open transaction is rolled back."""
        with self._turn:
            if cursor in self._lent:
                cursor.close()
                self._lent.discard(cursor)
                self._turn.notify_all()

    def _recover(self, generation: int) -> None:
        """Close the dead instance and open the file again, once in this object's life."""
        with self._turn:
            if generation != self._generation or self._root is None:
                return
            self._generation += 1
            first_time = self._generation == 1
            released = self._shut()
            self._dead = True
            if first_time and released:
                with contextlib.suppress(StoreError):
                    self._root = self._connect()
                    self._dead = False

    def _shut(self) -> bool:
        """Interrupt and await all lent cursors, then close; say whether all were given back.

        DuckDB hands a new connection the old instance for as long as any cursor of it lives.
        """
        root, self._root = self._root, None
        deadline = time.monotonic() + _PATIENCE_S
        while self._lent and time.monotonic() < deadline:
            for cursor in self._lent:
                cursor.interrupt()  # again and again: one that came between statements is lost
            self._turn.wait(timeout=0.05)
        if root is not None:
            with contextlib.suppress(duckdb.Error):
                root.close()
        return not self._lent

    def _closed(self) -> StoreError:
        if self._generation == 0:
            return StoreError(f"the store {self.path} is closed; open it again")
        return self._invalidated(None)

    def _invalidated(self, error: duckdb.Error | None) -> StoreInvalidated:
        after = (
            "it stays closed: free disk space and start again"
            if self._dead
            else "it was opened again: repeat the write, which changes nothing if it went through"
        )
        cause = f" ({error})" if error else ""
        return StoreInvalidated(f"DuckDB gave up on {self.path}{cause}; {after}")


def is_fatal(error: duckdb.Error) -> bool:
    """Say whether DuckDB gave up on the whole instance with this error."""
    return isinstance(
        error, duckdb.FatalException | duckdb.InternalException
    ) or "has been invalidated" in str(error)


def _opening_error(path: Path, error: duckdb.Error) -> StoreError:
    if "Could not set lock" in str(error):
        return StoreLocked(
            f"another process owns {path}: {_first_line(error)}; "
            "ask it through its address, or stop it first"
        )
    return StoreError(f"cannot open {path}: {_first_line(error)}")


def _statement_error(error: duckdb.Error) -> StoreError:
    if isinstance(error, duckdb.ConstraintException):
        return ConflictError(f"a row breaks a rule of its table: {error}")
    return StoreError(f"the database refused a statement: {error}")


def _first_line(error: duckdb.Error) -> str:
    return str(error).partition("\n")[0]
