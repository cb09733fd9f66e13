"""One pass of the loop over one source: read, analyse, store, and account for every item."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from db.store import Store
from engine.frame import Frame
from jobs.frames import frame_of
from jobs.ids import stable_id
from jobs.plan import Plan
from jobs.pool import WorkerLost, Workers
from jobs.records import Record, observation_row, record_of
from jobs.registration import registration
from jobs.sources import Item, Offer, Source, load
from jobs.worker import lost_analysis, process

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Counts:
    """What became of everything that a source offered: asked is the sum of the others."""

    asked: int
    known: int
    stored: int
    duplicates: int
    failed: int
    ignored: int


class Claims:
    """Frames in work: of two lanes with the same pixels one stores, one sees a duplicate."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: set[str] = set()

    def take(self, digest: str) -> bool:
        with self._lock:
            fresh = digest not in self._digests
            self._digests.add(digest)
            return fresh

    def release(self, digests: Iterable[str]) -> None:
        with self._lock:
            self._digests.difference_update(digests)


@dataclass(frozen=True)
class Cycle:
    """One pass and all that it works with; the same `cycle_id` run again goes on where it was.

    `again` names stored frames to analyse whatever the source has; `limit` bounds the new items.
    """

    cycle_id: str
    source: Source
    plan: Plan
    store: Store
    workers: Workers
    clock: Clock
    claims: Claims = field(default_factory=Claims)
    again: tuple[str, ...] = ()
    limit: int | None = None
    progress: Callable[[int, int], None] = lambda _done, _total: None
    cancelled: Callable[[], bool] = lambda: False

    def run(self) -> Counts:
        """Work through the source and return the counts. A failing frame fails alone."""
        self.store.write(registration(self.plan, self.clock()).rows)
        known = self._known_items()
        listed = list(self.source.items())
        fresh = [item for item in listed if (item.uri, item.fingerprint) not in known]
        if self.limit is not None:
            fresh = fresh[: self.limit]
        stored = (*self.again, *self._stale())
        tasks = [_task(self._reanalyse, digest) for digest in stored]
        tasks += [_task(self._take_in, item) for item in fresh]
        self._work_through(tasks)
        seen = {(item.uri, item.fingerprint) for item in listed} & known
        return self._counts(sum(known_parts for key, known_parts in self._parts() if key in seen))

    def _work_through(self, tasks: list[Callable[[], None]]) -> None:
        """Run the tasks in as many lanes as there are workers; the first store error ends it."""
        self.progress(0, len(tasks))
        done, pending = 0, set[Future[None]]()
        remaining = iter(tasks)
        with ThreadPoolExecutor(self.workers.count, thread_name_prefix="lane") as lanes:
            while not self.cancelled():
                for task in remaining:
                    pending.add(lanes.submit(task))
                    if len(pending) >= 2 * self.workers.count:
                        break
                if not pending:
                    return
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                done += len(finished)
                self.progress(done, len(tasks))

    def _take_in(self, item: Item) -> None:
        record, held = Record(), list[str]()
        try:
            for offer in self._read(item):
                self._take_in_offer(record, held, item, offer)
            for content in record.files.values():
                self.store.files.put(content)
            self.store.write(record.rows)
        finally:
            self.claims.release(held)

    def _read(self, item: Item) -> tuple[Offer, ...]:
        try:
            return self.workers.run(load, item)
        except WorkerLost as error:
            return (Offer(part="", outcome="failed", reason=str(error)),)

    def _take_in_offer(self, record: Record, held: list[str], item: Item, offer: Offer) -> None:
        outcome, reason, digest = str(offer.outcome), offer.reason, None
        if offer.frame is not None:
            digest = offer.frame.digest
            mine = self.claims.take(digest)
            if mine:
                held.append(digest)
            if mine and not self._stored(digest):
                outcome, reason = self._analyse_new(record, offer.frame)
            else:
                outcome, reason = "duplicate", "the same pixels, mask and unit are already stored"
            if outcome != "failed":
                row = observation_row(digest, offer.frame.origin, offer.frame.header, self.clock())
                record.row("observations", **row)
        record.row(
            "intake",
            intake_id=stable_id("intake", self.source.name, item.uri, offer.part, item.fingerprint),
            source=self.source.name,
            uri=item.uri,
            part=offer.part,
            fingerprint=item.fingerprint,
            outcome=outcome,
            frame_digest=digest if outcome != "failed" else None,
            reason=reason,
            cycle_id=self.cycle_id,
            seen_at=self.clock(),
        )

    def _analyse_new(self, record: Record, frame: Frame) -> tuple[str, str]:
        try:
            record.merge(self.workers.run(process, frame, self.plan, self.cycle_id))
        except WorkerLost as error:
            return "failed", str(error)
        return "stored", ""

    def _reanalyse(self, frame_digest: str) -> None:
        """Analyse a stored frame with a model or policy that is new to it."""
        frame = frame_of(self.store, frame_digest)
        try:
            record = self.workers.run(process, frame, self.plan, self.cycle_id)
        except WorkerLost as error:
            lost = lost_analysis(frame_digest, self.plan, str(error))
            record = record_of(frame, lost, cycle_id=self.cycle_id, now=self.clock())
        for content in record.files.values():
            self.store.files.put(content)
        self.store.write(record.rows)

    def _stored(self, digest: str) -> bool:
        found = self.store.rows("SELECT 1 FROM frames WHERE frame_digest = ?", [digest])
        return bool(found)

    def _known_items(self) -> set[tuple[str, str]]:
        sql = "SELECT DISTINCT uri, fingerprint FROM intake WHERE source = ? AND cycle_id <> ?"
        before = self.store.rows(sql, [self.source.name, self.cycle_id])
        mine = self.store.rows(
            "SELECT DISTINCT uri, fingerprint FROM intake WHERE cycle_id = ?", [self.cycle_id]
        )
        return {(row["uri"], row["fingerprint"]) for row in (*before, *mine)}

    def _parts(self) -> list[tuple[tuple[str, str], int]]:
        sql = """SELECT uri, fingerprint, count(*) AS parts FROM intake
                 WHERE source = ? AND cycle_id <> ? GROUP BY ALL"""
        rows = self.store.rows(sql, [self.source.name, self.cycle_id])
        return [((row["uri"], row["fingerprint"]), row["parts"]) for row in rows]

    def _stale(self) -> list[str]:
        """Frames of this source that a pipeline of the plan has not seen with model and policy."""
        unseen = """NOT EXISTS (
            SELECT 1 FROM runs r WHERE r.frame_digest = i.frame_digest
            AND r.pipeline = ? AND r.model_digest = ? AND r.policy_digest = ?)"""
        wanted = " OR ".join([unseen] * len(self.plan.choices))
        sql = (
            "SELECT DISTINCT i.frame_digest FROM intake i "  # noqa: S608  no outside text in it
            f"WHERE i.source = ? AND i.frame_digest IS NOT NULL AND ({wanted}) ORDER BY 1"
        )
        keys = [
            value
            for choice in self.plan.choices
            for value in (choice.pipeline, choice.card.digest, choice.policy.digest)
        ]
        return [row["frame_digest"] for row in self.store.rows(sql, [self.source.name, *keys])]

    def _counts(self, known: int) -> Counts:
        sql = "SELECT outcome, count(*) AS n FROM intake WHERE cycle_id = ? GROUP BY outcome"
        by_outcome = {row["outcome"]: row["n"] for row in self.store.rows(sql, [self.cycle_id])}
        return Counts(
            asked=known + sum(by_outcome.values()),
            known=known,
            stored=by_outcome.get("stored", 0),
            duplicates=by_outcome.get("duplicate", 0),
            failed=by_outcome.get("failed", 0),
            ignored=by_outcome.get("ignored", 0),
        )


def _task(function: Callable[[Any], None], argument: Any) -> Callable[[], None]:
    return lambda: function(argument)


def counts_as_dict(counts: Counts) -> dict[str, int]:
    """The counts by name, as the API and the command line show them."""
    return asdict(counts)
