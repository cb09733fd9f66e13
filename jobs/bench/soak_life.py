"""One owner's life in a soak: it keeps its schedules until somebody kills it."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from db.errors import StoreError
from jobs.bench.fake_pipelines import FakeWorkers, fake_plan
from jobs.bench.soak_post import POST_FILE

FOREVER, LAST = "forever", "last"
READY, PROGRESS = "ready", "ended"
NOWHERE = "http://127.0.0.1:9"
EVERY_S = 1


def live(root: Path, *, post_is_dead: bool, mode: str = FOREVER) -> int:
    """Own the store of `root` with a clock from a file; returns only from the last life."""
    import jobs.carriers
    from jobs.owner import Owner
    from jobs.settings import load_settings

    jobs.carriers.make_plan = fake_plan  # type: ignore[attr-defined]
    folders = sorted(path for path in (root / "in").iterdir() if path.is_dir())
    sources = [f"folder:{folder}" for folder in folders]
    port = 9 if post_is_dead else int((root / POST_FILE).read_text())
    settings = load_settings(
        home=root / "home",
        schedule="; ".join(f"{source} every {EVERY_S}" for source in sources),
        notify_urls=(f"json://127.0.0.1:{port}/told",),
        notify_at_once_rate=0.001,
        simbad_url=NOWHERE,
        ned_url=NOWHERE,
        vizier_url=NOWHERE,
        skybot_url=NOWHERE,
        catalogue_timeout_s=0.2,
        catalogue_ask_every_s=1,
    )
    owner = Owner(settings, clock=clock_of(root / "clock"), workers=FakeWorkers(2))
    owner.start(takes_turns=mode == FOREVER)
    (root / READY).touch()
    while mode == FOREVER:
        with contextlib.suppress(StoreError):  # of a full disk, say: the owner answers it
            ended = owner.store.rows("SELECT count(*) AS n FROM cycles WHERE state <> 'running'")
            (root / f"{PROGRESS}.part").write_text(str(ended[0]["n"]))
            (root / f"{PROGRESS}.part").rename(root / PROGRESS)
        time.sleep(0.2)
    for _ in range(2):
        for source in sources:
            owner.enqueue("scan", {"source": source}, request_id=uuid.uuid4().hex)
        while owner.store.rows("SELECT 1 FROM requests WHERE state IN ('queued', 'running')"):
            time.sleep(0.1)
    owner.close()
    return 0


def clock_of(path: Path) -> Callable[[], datetime]:
    """A clock that is ahead of the system's by the seconds that a file says."""

    def now() -> datetime:
        try:
            ahead = float(path.read_text())
        except (OSError, ValueError):
            ahead = 0.0  # it is being written
        return datetime.now(UTC) + timedelta(seconds=ahead)

    return now
