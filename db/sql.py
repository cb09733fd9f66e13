"""SQL from people: one statement that reads, and nothing else."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import duckdb
import pyarrow as pa

from db.database import Connection, is_fatal
from db.errors import QueryRefused
from db.store import Store

_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


def read_only(store: Store, sql: str, *, limit: int = 10_000, timeout_s: float = 30) -> pa.Table:
    """Run one SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN statement.

    At most `limit` rows come back; the table's schema metadata says `truncated` = "true" or
    "false". Raises QueryRefused for anything else than one such statement, for one that fails,
    and for one that runs longer than `timeout_s` seconds.
    """

    def run(connection: Connection) -> pa.Table:
        try:
            with _interrupted_after(connection, timeout_s):
                _require_reading(connection, sql)
                return connection.sql(sql).limit(limit + 1).to_arrow_table()
        except duckdb.InterruptException as error:
            raise QueryRefused(
                f"the query ran longer than {timeout_s:g} s; narrow it or add a LIMIT"
            ) from error
        except duckdb.Error as error:
            if is_fatal(error):
                raise
            raise QueryRefused(f"the query was refused: {error}") from error

    table = store.snapshot(run)
    truncated = str(table.num_rows > limit).lower()
    return table.slice(0, limit).replace_schema_metadata({"truncated": truncated})


@contextlib.contextmanager
def _interrupted_after(connection: Connection, timeout_s: float) -> Iterator[None]:
    """Interrupt what runs on `connection` after `timeout_s`, until it has ended."""
    ended = threading.Event()

    def watch() -> None:
        patience = timeout_s
        while not ended.wait(patience):
            connection.interrupt()
            patience = 0.05  # again: an interrupt that comes between two steps is lost

    watcher = threading.Thread(target=watch, name="query-watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _require_reading(connection: Connection, sql: str) -> None:
    """Refuse by kind of statement; what writes inside a SELECT meets the read-only transaction."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise QueryRefused(f"expected exactly one statement, got {len(statements)}")
    try:
        kind = statements[0].type
    except ValueError as error:
        raise QueryRefused("expected a statement that only reads, such as SELECT") from error
    if kind not in _READING:
        raise QueryRefused(f"expected a statement that only reads, such as SELECT, got {kind.name}")
