"""Messages: at once above a rate, a digest a day, quiet hours, and nothing twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db import digests as kept
from db.check import consistency
from db.notifications import UNKNOWN, claim
from db.store import Store
from jobs.alerts import Teller, is_quiet
from jobs.digests import period_due
from jobs.notify import NotificationOutcome, notify_one
from jobs.settings import load_settings
from tests.loopback import LoopbackServer, Reply
from tests.store_factory import HOSTILE, NOW, fill

pytestmark = pytest.mark.slow

URL = "json://127.0.0.1:9/hook"
OTHER = "json://127.0.0.1:9/other"
EVENING = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)


@dataclass
class Post:
    """A post office whose doors can be shut, and a clock."""

    now: datetime = EVENING
    sent: list[tuple[str, str, str, str]] = field(default_factory=list)
    fails: bool = False
    on_send: Callable[[], None] = lambda: None

    def send(self, url: str, subject: str, body: str, html: str = "") -> NotificationOutcome:
        self.on_send()
        if self.fails:
            return NotificationOutcome(url, sent=False, reason="shut")
        self.sent.append((url, subject, body, html))
        return NotificationOutcome(url, sent=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "home") as store:
        fill(store)
        yield store


def teller(store: Store, post: Post, **changed: Any) -> Teller:
    chosen = {"notify_urls": (URL,), "notify_at_once_rate": 0.01, "digest_at": "", **changed}
    return Teller(store, load_settings(home=store.home, **chosen), lambda: post.now, post.send)


def candidates(store: Store) -> int:
    sql = "SELECT count(*) AS n FROM detections WHERE verdict = 'candidate'"
    return int(store.rows(sql)[0]["n"])


def test_candidates_above_the_rate_are_told_at_once_and_once(store: Store) -> None:
    post = Post()
    assert teller(store, post).go() == 1
    ((url, subject, body, _),) = post.sent
    assert url == URL
    assert subject == f"skysieve: {candidates(store)} new candidates"
    assert len(body.splitlines()) == candidates(store)
    assert teller(store, post).go() == 0
    assert teller(store, post, notify_urls=(URL, OTHER)).go() == 1
    assert [sent[0] for sent in post.sent] == [URL, OTHER]
    assert consistency(store) == []


@pytest.mark.parametrize("rate", [0.0, 0.001])
def test_what_is_not_rare_enough_waits_for_the_digest(store: Store, rate: float) -> None:
    assert teller(store, Post(), notify_at_once_rate=rate).go() == 0


def test_a_place_that_was_told_is_not_told_again_under_another_model(store: Store) -> None:
    post = Post()
    teller(store, post).go()
    row = store.rows("SELECT * FROM detections WHERE verdict = 'candidate' LIMIT 1")[0]
    row |= {"detection_id": "again", "run_id": row["run_id"]}
    store.write({"detections": [row]})
    assert teller(store, post).go() == 0


def test_in_quiet_hours_messages_wait(store: Store) -> None:
    post = Post(now=datetime(2026, 11, 20, 23, 30, tzinfo=UTC))
    quiet = teller(store, post, notify_quiet="22:00-06:00")
    assert quiet.go() == 0
    post.now = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
    assert quiet.go() == 1


@pytest.mark.parametrize(
    ("hours", "time", "quiet"),
    [
        ("22:00-06:00", "21:59", False), ("22:00-06:00", "22:00", True),
        ("22:00-06:00", "05:59", True), ("22:00-06:00", "06:00", False),
        ("12:00-13:00", "12:30", True), ("12:00-13:00", "13:00", False), ("", "12:00", False),
    ],
)  # fmt: skip
def test_quiet_hours_go_over_midnight(hours: str, time: str, quiet: bool) -> None:
    assert is_quiet(hours, datetime.fromisoformat(f"2026-03-01T{time}+00:00")) is quiet


def test_a_failed_message_is_tried_again_later_and_five_times_at_most(store: Store) -> None:
    post = Post(fails=True)
    failing = teller(store, post)
    failing.go()
    assert failing.go() == 0
    for _ in range(9):
        post.now += timedelta(minutes=30)
        failing.go()
    (row,) = store.rows("SELECT state, attempts FROM notifications")
    assert (row["state"], row["attempts"]) == ("failed: shut", 5)
    store.move("UPDATE notifications SET attempts = 4 RETURNING 1")
    post.fails = False
    post.now += timedelta(minutes=30)
    assert failing.go() == 1
    assert failing.go() == 0


def test_an_owner_killed_while_sending_does_not_send_twice(store: Store) -> None:
    class Killed(BaseException):
        """What kill -9 looks like from inside: nothing after it is carried out."""

    def die() -> None:
        raise Killed

    post = Post(on_send=die)
    with pytest.raises(Killed, match=r"^$"):
        teller(store, post).go()
    assert [row["state"] for row in store.rows("SELECT state FROM notifications")] == ["sending"]
    post.on_send = lambda: None
    following = teller(store, post)
    following.start()
    assert following.go() == 0
    assert post.sent == []
    assert [row["state"] for row in store.rows("SELECT state FROM notifications")] == [UNKNOWN]


def test_two_tellers_at_once_claim_a_message_once(store: Store) -> None:
    message = {"notification_id": "n", "kind": "digest", "target": "t", "target_key": "k",
               "subject": "s", "body": "b", "html_file": None}  # fmt: skip
    assert [claim(store, message, {}, NOW) for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize(
    ("at", "last", "now", "period"),
    [
        ("06:00", None, "2026-03-02T07:00", ("2026-03-01T06:00", "2026-03-02T06:00")),
        ("06:00", "2026-03-02T06:00", "2026-03-02T07:00", None),
        ("06:00", "2026-03-02T06:00", "2026-03-03T05:59", None),
        ("06:00", "2026-03-02T06:00", "2026-03-09T06:00", ("2026-03-02T06:00", "2026-03-09T06:00")),
        ("06:00", "2026-03-09T06:00", "2026-03-02T07:00", None),
        ("", None, "2026-03-02T07:00", None),
    ],
)
def test_one_digest_a_day_also_after_days_of_absence(
    at: str, last: str | None, now: str, period: tuple[str, str] | None
) -> None:
    def moment(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    expected = None if period is None else (moment(period[0]), moment(period[1]))
    assert period_due(at, last and moment(last), moment(now)) == expected


def test_a_digest_is_made_once_stored_and_sent_with_its_page(store: Store) -> None:
    post = Post(now=datetime(2026, 11, 21, 6, 30, tzinfo=UTC))
    daily = teller(
        store, post, notify_at_once_rate=0, digest_at="06:00", page_url="http://sieve.example"
    )
    store.move("UPDATE detections SET detected_at = ? RETURNING 1", [EVENING])
    assert daily.go() == 1
    assert daily.go() == 0
    ((_, subject, body, html),) = post.sent
    (digest,) = kept.digests(store)
    n = candidates(store)
    assert digest["candidates"] == n
    assert subject == digest["subject"]
    assert f"{n} candidates" in subject
    assert html.count("<img ") == n == html.count('src="data:image/png;base64,')
    assert html.count("http://sieve.example/anomalies?detection=") == n
    assert "p = 0.002" in body
    assert HOSTILE not in html
    assert store.files.get(digest["html_file"]).decode() == html
    assert consistency(store) == []
    post.now += timedelta(days=1)
    assert daily.go() == 0


def test_a_digest_tells_what_failed_and_leaves_out_what_was_told(store: Store) -> None:
    post = Post(now=datetime(2026, 11, 20, 6, 30, tzinfo=UTC))
    daily = teller(store, post, digest_at="")
    daily.go()
    post.sent.clear()
    teller(store, post, digest_at="06:00").go()
    ((_, _, body, html),) = post.sent
    assert "No candidates to tell of." in body
    assert f"{candidates(store)} more were told at once" in html
    assert "the worker was killed twice on this frame" in body
    assert "the worker was killed twice on this frame" in html


def test_a_real_target_gets_text_and_an_e_mail_address_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import apprise.plugins.email

    with LoopbackServer() as server:
        server.on("/hook", Reply())
        url = server.url.replace("http://", "json://") + "/hook"
        assert notify_one(url, "subject", "text", "<p>page</p>").sent
        assert json.loads(server.asked[-1].body)["message"] == "text"
    written: list[dict[str, Any]] = []
    monkeypatch.setattr(
        apprise.plugins.email.NotifyEmail, "notify", lambda _, **said: written.append(said) or True
    )
    assert notify_one("mailto://user:pass@example.org", "subject", "text", "<p>page</p>").sent
    assert written[0]["body"] == "<p>page</p>"
    assert written[0]["body_format"] == apprise.NotifyFormat.HTML
