"""SQL from people reads, and does nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from db.errors import QueryRefused
from db.sql import read_only
from db.store import Store

READING = [
    "SELECT 1 AS one",
    "select detection_id from detections -- with a comment",
    "WITH x AS (SELECT 1 AS a) SELECT * FROM x;",
    "FROM detections",
    "VALUES (1), (2)",
    "DESCRIBE detections",
    "SHOW TABLES",
    "SUMMARIZE detections",
    "EXPLAIN SELECT * FROM runs",
    "EXPLAIN ANALYZE SELECT * FROM runs",
]

REFUSED = [
    "",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE labels",
    "SELEC 1",
    "SELECT * FROM stars",
    "INSERT INTO embeddings VALUES ('d', 'x', [1.0])",
    "UPDATE detections SET verdict = 'normal'",
    "DELETE FROM detections",
    "DROP TABLE detections",
    "CREATE TABLE x (a INT)",
    "CREATE TEMP TABLE x AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "ALTER TABLE detections ADD COLUMN z INT",
    "TRUNCATE detections",
    "WITH gone AS (DELETE FROM detections RETURNING *) SELECT * FROM gone",
    "WITH new AS (UPDATE detections SET x = 0 RETURNING *) FROM new",
    "EXPLAIN ANALYZE DELETE FROM detections",
    "SELECT nextval('event_number')",
    "COPY detections TO 'stolen.csv'",
    "COPY detections FROM '/etc/passwd'",
    "EXPORT DATABASE 'stolen'",
    "IMPORT DATABASE 'stolen'",
    "ATTACH 'other.duckdb'",
    "ATTACH ':memory:' AS m",
    "DETACH skysieve",
    "USE memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 1",
    "SET enable_external_access = true",
    "RESET enable_external_access",
    "PRAGMA memory_limit = '9GB'",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "CALL quack_serve('quack:localhost')",
    "CONNECT 'quack:localhost'",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN",
    "COMMIT",
    "PREPARE p AS SELECT 1",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_parquet('https://example.org/x.parquet')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '/etc/passwd'",
    "FROM query('DELETE FROM detections')",
    "SELECT getenv('HOME')",
]


def test_reading_statements_run(analysed: Store) -> None:
    empty = [sql for sql in READING if read_only(analysed, sql).num_rows == 0]
    assert empty == []


def test_everything_else_is_refused_and_changes_nothing(
    analysed: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = analysed.table("FROM detections"), analysed.changes, list(analysed.tables)
    passed = []
    for sql in REFUSED:
        try:
            read_only(analysed, sql)
        except QueryRefused:
            continue
        passed.append(sql)
    assert passed == []
    assert (analysed.table("FROM detections"), analysed.changes) == before[:2]
    assert analysed.rows("SELECT current_setting('threads') AS n") == [{"n": 2}]
    tables = analysed.rows("SELECT table_name FROM duckdb_tables() ORDER BY 1")
    assert [row["table_name"] for row in tables] == before[2]
    assert [entry.name for entry in tmp_path.iterdir()] == ["home"]


def test_python_variables_are_no_tables(analysed: Store) -> None:
    secret = analysed.table("FROM models")
    with pytest.raises(QueryRefused, match="secret does not exist"):
        read_only(analysed, "FROM secret")
    assert secret.num_rows == 1


def test_rows_beyond_the_limit_are_left_out_and_said_to_be(store: Store) -> None:
    cut = read_only(store, "SELECT range AS n FROM range(50) ORDER BY n DESC", limit=3)
    assert cut.to_pylist() == [{"n": 49}, {"n": 48}, {"n": 47}]
    assert cut.schema.metadata == {b"truncated": b"true"}
    whole = read_only(store, "FROM range(3)", limit=3)
    assert (whole.num_rows, whole.schema.metadata) == (3, {b"truncated": b"false"})


def test_a_query_that_takes_too_long_is_stopped(store: Store) -> None:
    started = time.monotonic()
    endless = "SELECT sum(sin(a.range * b.range)) FROM range(9000000) a, range(9000000) b"
    with pytest.raises(QueryRefused, match=r"ran longer than 0\.2 s"):
        read_only(store, endless, timeout_s=0.2)
    assert time.monotonic() - started < 10
    assert read_only(store, "SELECT 1 AS one").to_pylist() == [{"one": 1}]
