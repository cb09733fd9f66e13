"""What a store must be after any kill, and what it must hold once all is finished."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from db.check import consistency
from db.store import Store
from jobs.bench.soak_post import LOG_FILE

Ledger = dict[str, str]


def audit(home: Path, ledger: Ledger, contents: int, *, final: bool) -> dict[str, Any]:
    """Open the store and return its figures, with one sentence for each thing that is not so.

    `ledger` maps each file's address to "frame", "failed" or "ignored"; `contents` is how many
    different pictures were laid. Before the end files may wait, but none may be there twice.
    """
    with Store.open(home) as store:
        faults = consistency(store)
        rows = store.rows("SELECT uri, outcome, reason, frame_digest FROM intake")
        seen = Counter(row["uri"] for row in rows)
        twice = sum(1 for n in seen.values() if n > 1)
        stored = Counter(row["frame_digest"] for row in rows if row["outcome"] == "stored")
        twice += sum(1 for n in stored.values() if n > 1)
        faults += [f"{twice} files or frames are there twice"] * bool(twice)
        wrong = [row for row in rows if not _as_laid(row, ledger)]
        faults += [f"{len(wrong)} files became something else, as {wrong[:1]}"] * bool(wrong)
        silent = sum(1 for row in rows if row["outcome"] != "stored" and not row["reason"])
        silent += _count(store, UNEXPLAINED)
        loose = _count(store, UNRECONCILED)
        faults += [f"{loose} finished cycles do not add up"] * bool(loose)
        unanalysed = _count(store, UNANALYSED)
        faults += [f"{unanalysed} frames lack runs of a pipeline"] * bool(unanalysed)
        waiting = _count(store, "SELECT count(*) FROM requests WHERE state IN ('queued','running')")
        lost = 0
        if final:
            lost = sum(1 for uri in ledger if uri not in seen) + contents - len(stored)
            faults += [f"{lost} files or frames are lost"] * bool(lost)
            faults += [f"{waiting} requests never ended"] * bool(waiting)
        faults += [f"{silent} failures have no reason"] * bool(silent)
        told = messages(home.parent / LOG_FILE)
        again = sum(n - 1 for n in told.values())
        faults += [f"{again} messages came twice"] * bool(again)
        states = store.rows("SELECT state FROM notifications")
        return {
            "faults": faults,
            "cycles": _count(store, "SELECT count(*) FROM cycles"),
            "frames_laid": contents,
            "frames_stored": len(stored),
            "lost": lost,
            "twice": twice,
            "silent": silent,
            "catalogue_questions": _count(store, "SELECT count(*) FROM catalogue_queries"),
            "wrongly_unknown": _count(store, WRONGLY_UNKNOWN),
            "messages_arrived": sum(told.values()),
            "messages_twice": again,
            "messages_unknown": sum(row["state"].startswith("unknown") for row in states),
        }


def messages(log: Path) -> Counter[str]:
    """How often each line of each message arrived."""
    if not log.exists():
        return Counter()
    texts = [json.loads(line) for line in log.read_text().splitlines()]
    return Counter(line for text in texts for line in text.splitlines() if "fake" in line)


def _as_laid(row: dict[str, Any], ledger: Ledger) -> bool:
    expected = ledger.get(row["uri"])
    if expected == "frame":
        return row["outcome"] in ("stored", "duplicate")
    return bool(row["outcome"] == expected)


def _count(store: Store, sql: str) -> int:
    return int(next(iter(store.rows(sql)[0].values())))


UNEXPLAINED = """
    SELECT (SELECT count(*) FROM cycles WHERE state = 'failed' AND error = '')
         + (SELECT count(*) FROM requests WHERE state = 'failed' AND error = '')
         + (SELECT count(*) FROM runs WHERE status <> 'ok' AND reason = '')"""
UNRECONCILED = """
    SELECT count(*) FROM cycles WHERE state = 'done'
    AND asked <> known + stored + duplicates + failed + ignored"""
UNANALYSED = """
    SELECT count(*) FROM (SELECT f.frame_digest FROM frames f LEFT JOIN runs r USING (frame_digest)
    GROUP BY f.frame_digest HAVING count(DISTINCT r.pipeline) < 3)"""
WRONGLY_UNKNOWN = "SELECT count(*) FROM object_states WHERE state = 'no_match'"
