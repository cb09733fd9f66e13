"""New candidates are announced once a cycle and target, and a failed message is kept as such."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from db.store import Store
from jobs.alerts import announce_candidates
from tests.jobs.stubs import NOW
from tests.loopback import LoopbackServer, Reply
from tests.store_factory import fill


def test_candidates_are_announced_once(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store, LoopbackServer() as server:
        fill(store)
        sql = """SELECT r.cycle_id, count(*) AS n FROM detections JOIN runs r USING (run_id)
                 WHERE verdict = 'candidate' GROUP BY ALL ORDER BY n DESC LIMIT 1"""
        (cycle,) = store.rows(sql)
        server.on("/hook", Reply(status=500))
        url = server.url.replace("http://", "json://") + "/hook"
        assert announce_candidates(store, cycle["cycle_id"], [url], NOW) == 0
        server.on("/hook", Reply())
        later = NOW + timedelta(seconds=1)
        assert announce_candidates(store, cycle["cycle_id"], [url], later) == 1
        assert announce_candidates(store, cycle["cycle_id"], [url], later) == 0
        message = json.loads(server.asked[-1].body)
        states = [row["state"] for row in store.rows("SELECT state FROM notifications")]
    assert message["title"] == f"skysieve: {cycle['n']} new candidates"
    assert len(message["message"].splitlines()) == cycle["n"]
    assert sorted(state.partition(":")[0] for state in states) == ["failed", "sent"]


def test_nothing_is_sent_without_candidates(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        assert announce_candidates(store, "no-such-cycle", ["json://127.0.0.1:9/"], NOW) == 0
        assert store.rows("SELECT * FROM notifications") == []
