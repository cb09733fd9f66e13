"""Writing, reading and moving rows."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from db.errors import ConflictError, StoreError
from db.store import Store, select

Make = Callable[..., dict[str, Any]]


def test_a_batch_counts_its_new_rows_and_repeated_changes_nothing(
    store: Store, schedule: Make
) -> None:
    batch = {"schedules": [schedule("a"), schedule("b")], "embeddings": [_embedding([1.0])]}
    assert store.write(batch) == {"schedules": 2, "embeddings": 1}
    before = store.rows("FROM schedules ORDER BY schedule_id")
    changed = {**batch, "schedules": [schedule("a", every_s=99.0), schedule("c")]}
    assert store.write(changed) == {"schedules": 1, "embeddings": 0}
    after = store.rows("FROM schedules ORDER BY schedule_id")
    assert after[:2] == before
    assert [row["schedule_id"] for row in after] == ["a", "b", "c"]


def test_a_key_twice_in_one_batch_is_one_row(store: Store, schedule: Make) -> None:
    assert store.write({"schedules": [schedule("a"), schedule("a")]}) == {"schedules": 1}


def test_a_batch_with_one_wrong_row_writes_nothing(store: Store, schedule: Make) -> None:
    batch = {"embeddings": [_embedding([1.0])], "schedules": [schedule("a", every_s=-1.0)]}
    with pytest.raises(ConflictError, match="every_s > 0"):
        store.write(batch)
    assert store.rows("FROM embeddings") == []
    assert store.changes == 0


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"stars": [{"a": 1}]}, "expected a table of the schema, got 'stars'"),
        ({"schedules": [{"color": 1}]}, "expected columns of schedules .*got color"),
        ({"schedules": [{}]}, "expected columns of schedules .*got none"),
        ({"schedules": [{"every_s": "often"}]}, r"does not fit schedules.every_s \(DOUBLE\)"),
        ({"schedules": [{"frame_limit": 2**40}]}, "does not fit schedules.frame_limit"),
        ({"schedules": [{"created_at": datetime(2026, 1, 1)}]}, "expected a time with its zone"),
        ({"embeddings": [{"vector": ["x"]}]}, r"does not fit embeddings.vector \(FLOAT\[\]\)"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(store: Store, batch: Any, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        store.write(batch)


def test_a_missing_required_column_is_refused(store: Store) -> None:
    with pytest.raises(ConflictError, match="NOT NULL constraint failed"):
        store.write({"schedules": [{"schedule_id": "a"}]})


def test_absent_columns_take_their_default_and_nan_is_no_number(
    store: Store, schedule: Make
) -> None:
    store.write({"schedules": [schedule("a"), schedule("b", paused=True, frame_limit=3)]})
    rows = store.rows("SELECT paused, frame_limit FROM schedules ORDER BY schedule_id")
    assert rows == [
        {"paused": False, "frame_limit": None},
        {"paused": True, "frame_limit": 3},
    ]
    score = {"detection_id": "d", "method": "knn", "raw": 1.0, "percentile": math.nan}
    store.write({"scores": [score]})
    assert store.rows("SELECT percentile FROM scores") == [{"percentile": None}]
    with pytest.raises(ConflictError, match=r"scores\.raw"):
        store.write({"scores": [{**score, "method": "pca", "raw": math.nan}]})


def test_times_come_back_in_utc_whatever_their_zone(
    store: Store, schedule: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    here = datetime(2026, 11, 20, 11, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    store.write({"schedules": [schedule("a", created_at=here)]})
    found = store.rows("SELECT created_at FROM schedules WHERE created_at = ?", [here])
    assert found[0]["created_at"] == datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
    assert found[0]["created_at"].utcoffset() == timedelta(0)


def test_vectors_json_and_numpy_numbers_go_in(store: Store, schedule: Make) -> None:
    vector = np.array([0.5, -2.0], dtype=np.float64)
    model = {"model_digest": "m", "name": "n", "pipeline": "codec", "card": {"b": [1], "a": None}}
    store.write(
        {
            "embeddings": [_embedding(vector), {**_embedding([1, 2, 3]), "detection_id": "e"}],
            "models": [{**model, "registered_at": datetime.now(UTC)}],
            "schedules": [schedule("a", every_s=np.float32(2.5), frame_limit=np.int64(7))],
        }
    )
    vectors = store.table("SELECT vector FROM embeddings ORDER BY detection_id")["vector"]
    assert vectors.to_pylist() == [[0.5, -2.0], [1.0, 2.0, 3.0]]
    assert store.rows("SELECT card->>'$.b[0]' AS b FROM models") == [{"b": "1"}]
    assert store.rows("SELECT every_s, frame_limit FROM schedules") == [
        {"every_s": 2.5, "frame_limit": 7}
    ]


def test_the_change_counter_moves_only_when_something_changed(store: Store, schedule: Make) -> None:
    seen = [store.changes]
    store.write({"schedules": [schedule("a")]})
    seen.append(store.changes)
    store.write({"schedules": [schedule("a")]})
    store.move("UPDATE schedules SET every_s = 1 WHERE schedule_id = 'no' RETURNING *")
    store.write({"schedules": []})
    seen.append(store.changes)
    store.move("UPDATE schedules SET every_s = 1 RETURNING *")
    seen.append(store.changes)
    assert seen == [0, 1, 1, 2]


def test_reading_statements_cannot_write(store: Store, schedule: Make) -> None:
    store.write({"schedules": [schedule("a")]})
    for sql in ("DELETE FROM schedules RETURNING *", "CREATE TABLE x (a INT)"):
        with pytest.raises(StoreError, match="read-only"):
            store.rows(sql)
    assert len(store.rows("FROM schedules")) == 1


def test_a_move_without_returning_is_refused_and_undone(store: Store, schedule: Make) -> None:
    store.write({"schedules": [schedule("a")]})
    with pytest.raises(StoreError, match="RETURNING"):
        store.move("UPDATE schedules SET every_s = 1")
    assert store.rows("SELECT every_s FROM schedules") == [{"every_s": 60.0}]


def test_a_transaction_that_raises_is_undone(store: Store, schedule: Make) -> None:
    store.write({"schedules": [schedule("a")]})

    def half_done(connection: Any) -> None:
        select(connection, "DELETE FROM schedules RETURNING *")
        raise ValueError("half done")

    with pytest.raises(ValueError, match="half done"):
        store.transaction(half_done)
    assert len(store.rows("FROM schedules")) == 1
    with pytest.raises(StoreError, match="would wait for itself"):
        store.transaction(lambda _: store.write({"schedules": [schedule("b")]}))


def test_readers_see_whole_batches_while_writes_go_on(store: Store) -> None:
    """Each batch has ten rows in each of two tables: no reader ever sees anything between."""
    stop = threading.Event()
    odd: list[dict[str, Any]] = []
    reads = [0, 0]

    def read(which: int) -> None:
        while not stop.is_set():
            row = store.rows(
                "SELECT (SELECT count(*) FROM scores) AS a, (SELECT count(*) FROM embeddings) AS b"
            )[0]
            reads[which] += 1
            if row["a"] != row["b"] or row["a"] % 10:
                odd.append(row)

    readers = [threading.Thread(target=read, args=(which,)) for which in range(2)]
    for reader in readers:
        reader.start()
    writers = [threading.Thread(target=_write_batches, args=(store, name)) for name in "xy"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    stop.set()
    for reader in readers:
        reader.join()
    assert odd == []
    assert min(reads) > 0
    assert store.rows("SELECT count(*) AS n FROM scores") == [{"n": 2 * 8 * 10}]
    assert store.changes == 16


def test_a_closed_store_says_so_and_closes_twice(store: Store, schedule: Make) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed; open it again"):
        store.rows("SELECT 1")
    with pytest.raises(StoreError, match="is closed; open it again"):
        store.write({"schedules": [schedule("a")]})


def _embedding(vector: Any) -> dict[str, Any]:
    return {"detection_id": "d", "embedder": "e", "vector": vector}


def _write_batches(store: Store, name: str) -> None:
    for number in range(8):
        ids = [f"{name}-{number}-{index}" for index in range(10)]
        store.write(
            {
                "scores": [{"detection_id": i, "method": "knn", "raw": 0.0} for i in ids],
                "embeddings": [{"detection_id": i, "embedder": "e", "vector": [0.0]} for i in ids],
            }
        )
