"""One owner at a time, and what happens when DuckDB gives up."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest

from db.errors import StoreError, StoreInvalidated, StoreLocked
from db.store import DATABASE_NAME, Store

OWNER = """
import sys
from pathlib import Path
from db.store import Store
with Store.open(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""

FULL_DISK = """
import os, resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from db.errors import StoreError, StoreInvalidated
from db.store import Store

def events(number):
    event = {"cycle_id": str(number), "kind": "noise", "happened_at": datetime.now(UTC)}
    return {"run_events": [{**event, "message": os.urandom(4000).hex()} for _ in range(200)]}

home, limit = Path(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
kept, raised = [], set()
with Store.open(home) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for number in range(40):
        try:
            store.write(events(number))
            kept.append(number)
        except StoreError as error:
            raised.add(type(error).__name__)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with Store.open(home) as store:
    rows = store.rows("SELECT cycle_id::INT AS c, count(*) AS n FROM run_events GROUP BY ALL")
    found = {row["c"] for row in rows}
    assert all(row["n"] == 200 for row in rows), rows
    assert set(kept) <= found, (kept, found)
print(" ".join(sorted(raised)))
"""


def fail_fatally(_connection: Any) -> None:
    """Raise what DuckDB raises when its instance is dead."""
    raise duckdb.FatalException("FATAL Error: no space left on device")


def test_a_second_store_in_the_same_process_is_refused(store: Store, home: Path) -> None:
    with pytest.raises(StoreLocked, match="already open in this process"):
        Store.open(home)
    assert store.rows("SELECT 1 AS one") == [{"one": 1}]


def test_a_home_can_be_opened_again_after_it_was_closed(home: Path) -> None:
    for expected in (0, 1):
        with Store.open(home) as store:
            assert store.rows("SELECT count(*) AS n FROM embeddings") == [{"n": expected}]
            store.write({"embeddings": [{"detection_id": "d", "embedder": "e", "vector": [1]}]})


@pytest.mark.slow
def test_a_store_owned_by_another_process_is_refused_until_that_ends(home: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(home)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        with pytest.raises(StoreLocked, match=f"another process owns .*PID {owner.pid}"):
            Store.open(home)
        owner.communicate()
    Store.open(home).close()


def test_a_file_that_is_no_database_is_refused(home: Path) -> None:
    home.mkdir()
    (home / DATABASE_NAME).write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match=r"cannot open .*not a valid DuckDB database file"):
        Store.open(home)


def test_after_a_fatal_error_the_store_opens_again_once(store: Store) -> None:
    row = {"detection_id": "d", "embedder": "e", "vector": [1.0]}
    store.write({"embeddings": [row]})
    with pytest.raises(StoreInvalidated, match="it was opened again: repeat the write"):
        store.transaction(fail_fatally)
    assert store.write({"embeddings": [row, {**row, "detection_id": "e"}]}) == {"embeddings": 1}
    with pytest.raises(StoreInvalidated, match="it stays closed"):
        store.transaction(fail_fatally)
    with pytest.raises(StoreInvalidated, match="it stays closed"):
        store.rows("SELECT 1")
    with pytest.raises(StoreInvalidated, match="it stays closed"):
        store.write({"embeddings": [row]})


def test_a_reader_in_flight_is_interrupted_when_the_instance_dies(store: Store) -> None:
    raised: list[BaseException] = []
    reading = threading.Event()

    def read_for_ever(connection: Any) -> None:
        reading.set()
        connection.sql("SELECT sum(sin(a.range * b.range)) FROM range(9000000) a, range(9000000) b"
                       ).to_arrow_table()  # fmt: skip

    def read() -> None:
        with pytest.raises(StoreInvalidated, match="gave up") as caught:
            store.snapshot(read_for_ever)
        raised.append(caught.value)

    reader = threading.Thread(target=read)
    reader.start()
    reading.wait()
    with pytest.raises(StoreInvalidated, match="it was opened again"):
        store.transaction(fail_fatally)
    reader.join(timeout=20)
    assert len(raised) == 1
    assert store.rows("SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize(
    ("limit_bytes", "errors"), [(8_000_000, "StoreError"), (18_000_000, "StoreInvalidated")]
)
def test_a_full_disk_loses_no_acknowledged_batch(home: Path, limit_bytes: int, errors: str) -> None:
    """The log cannot grow (a plain refusal), or a checkpoint cannot (DuckDB gives up)."""
    command = [sys.executable, "-c", FULL_DISK, str(home), str(limit_bytes)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.stderr == ""
    assert ran.stdout.split() == [errors]
