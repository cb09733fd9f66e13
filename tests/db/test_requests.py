"""Requests move forward: queued, running, ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from db import requests
from db.errors import ConflictError, StoreError
from db.store import Store


def ask(store: Store, key: str, now: datetime, kind: str = "scan") -> dict[str, Any]:
    payload = {"source": "sim:demo", "limit": 3}
    return requests.enqueue(store, kind, payload, request_id=key, asked_by="page", now=now)


def test_asking_again_with_the_same_key_is_one_request(store: Store, now: datetime) -> None:
    first = ask(store, "k1", now)
    assert first["state"] == "queued"
    assert first["payload"] == {"source": "sim:demo", "limit": 3}
    requests.claim_next(store, now)
    assert ask(store, "k1", now + timedelta(hours=1))["state"] == "running"
    assert store.rows("SELECT count(*) AS n FROM requests") == [{"n": 1}]
    with pytest.raises(ConflictError, match="was already asked as scan"):
        ask(store, "k1", now, kind="backup")


def test_the_oldest_of_the_wanted_kinds_is_claimed_once(store: Store, now: datetime) -> None:
    ask(store, "late", now + timedelta(seconds=5))
    ask(store, "early", now)
    ask(store, "other", now - timedelta(seconds=5), kind="backup")
    claimed = [requests.claim_next(store, now, ["scan", "upload"]) for _ in range(3)]
    assert [row and row["request_id"] for row in claimed] == ["early", "late", None]
    last = requests.claim_next(store, now)
    assert last is not None
    assert (last["request_id"], last["state"], last["started_at"]) == ("other", "running", now)


def test_progress_and_result_are_kept(store: Store, now: datetime) -> None:
    ask(store, "k1", now)
    requests.progress(store, "k1", 1, 3)
    assert requests.get_request(store, "k1")["done"] == 0
    requests.claim_next(store, now)
    requests.progress(store, "k1", 1, 3)
    running = requests.get_request(store, "k1")
    assert (running["done"], running["total"]) == (1, 3)
    ended = requests.finish(store, "k1", state="done", result={"stored": [3]}, now=now)
    assert (ended["state"], ended["result"], ended["finished_at"]) == ("done", {"stored": [3]}, now)


def test_what_has_ended_stays_as_it_is(store: Store, now: datetime) -> None:
    ask(store, "k1", now)
    requests.claim_next(store, now)
    ended = requests.finish(store, "k1", state="failed", error="no such folder", now=now)
    later = now + timedelta(hours=1)
    assert requests.finish(store, "k1", state="done", now=later) == ended
    assert requests.cancel(store, "k1", later) == ended
    assert requests.claim_next(store, later) is None
    assert requests.requeue_running(store) == 0


def test_a_request_cancelled_while_it_runs_takes_its_result(store: Store, now: datetime) -> None:
    ask(store, "waiting", now)
    ask(store, "k1", now - timedelta(seconds=1))
    requests.claim_next(store, now)
    assert requests.cancel(store, "waiting", now)["state"] == "cancelled"
    assert requests.cancel(store, "k1", now)["state"] == "cancelled"
    ended = requests.finish(store, "k1", state="done", result={"stored": 2}, now=now)
    assert (ended["state"], ended["result"]) == ("cancelled", {"stored": 2})
    assert requests.claim_next(store, now) is None


def test_what_a_killed_owner_left_running_is_queued_again(store: Store, now: datetime) -> None:
    ask(store, "k1", now)
    requests.claim_next(store, now)
    requests.progress(store, "k1", 2, 3)
    assert requests.requeue_running(store) == 1
    again = requests.claim_next(store, now)
    assert again is not None
    assert (again["request_id"], again["done"], again["total"]) == ("k1", 0, None)


def test_unknown_keys_and_states_are_refused(store: Store, now: datetime) -> None:
    with pytest.raises(StoreError, match="'nobody', which is unknown"):
        requests.get_request(store, "nobody")
    ask(store, "k1", now)
    with pytest.raises(StoreError, match="expected a final state"):
        requests.finish(store, "k1", state="running", now=now)
