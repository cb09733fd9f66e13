"""Migrations: once each, in order, whole or not at all."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from db.errors import MigrationError, StoreTooNew
from db.migrate import Migration, load_migrations, migrate
from db.store import DATABASE_NAME, Store

FIRST = Migration(1, "first", "CREATE TABLE a (x INT); CREATE TABLE b (x INT);")
SECOND = Migration(2, "second", "ALTER TABLE a ADD COLUMN y INT; INSERT INTO a VALUES (1, 2);")


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def test_each_migration_is_applied_once(
    connection: duckdb.DuckDBPyConnection, now: datetime
) -> None:
    assert migrate(connection, now, [FIRST]) == [1]
    assert migrate(connection, now, [FIRST, SECOND]) == [2]
    assert migrate(connection, now, [FIRST, SECOND]) == []
    assert connection.sql("FROM a").fetchall() == [(1, 2)]


def test_a_failing_migration_leaves_the_schema_before_it(
    connection: duckdb.DuckDBPyConnection, now: datetime
) -> None:
    broken = Migration(2, "broken", "CREATE TABLE c (x INT); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(MigrationError, match=r"migration 2 \(broken\) failed"):
        migrate(connection, now, [FIRST, broken])
    tables = connection.sql("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
    assert tables == [("a",), ("b",), ("schema_migrations",)]
    assert migrate(connection, now, [FIRST, SECOND]) == [2]


def test_a_migration_changed_after_it_was_applied_is_refused(
    connection: duckdb.DuckDBPyConnection, now: datetime
) -> None:
    migrate(connection, now, [FIRST])
    changed = Migration(1, "first", FIRST.sql + " -- changed")
    with pytest.raises(MigrationError, match=r"migration 1 \(first\) was changed"):
        migrate(connection, now, [changed, SECOND])


def test_a_newer_database_is_refused_and_stays_as_it_is(home: Path, now: datetime) -> None:
    Store.open(home).close()
    newest = load_migrations()[-1].version
    with duckdb.connect(home / DATABASE_NAME) as database:
        later = [newest + 1, "later", "0" * 64, now]
        database.execute("INSERT INTO schema_migrations VALUES (?, ?, ?, ?)", later)
    for _ in range(2):
        with pytest.raises(StoreTooNew, match=f"schema version {newest + 1}, this program knows"):
            Store.open(home)


def test_opening_twice_migrates_nothing_the_second_time(home: Path) -> None:
    history = "SELECT version, name, sha256, applied_at FROM schema_migrations"
    with Store.open(home) as store:
        first = store.rows(history)
    with Store.open(home) as store:
        assert store.rows(history) == first
    assert [row["sha256"] for row in first] == [m.sha256 for m in load_migrations()]


def test_a_gap_in_the_numbers_is_refused(tmp_path: Path) -> None:
    for name in ("0001_a.sql", "0003_c.sql", "notes.txt"):
        (tmp_path / name).write_text("SELECT 1;")
    with pytest.raises(MigrationError, match=r"without gaps, got \[1, 3\]"):
        load_migrations(tmp_path)
