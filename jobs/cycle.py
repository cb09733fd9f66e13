"""One pass of the loop over one source: read, analyse, store, and account for every item."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from db.errors import ConflictError, StoreError, StoreInvalidated
from db.store import Store
from engine.errors import EngineError
from engine.frame import Frame
from jobs.duplicates import NearDuplicates, add_likeness, add_link
from jobs.frames import frame_of
from jobs.ids import stable_id
from jobs.plan import Plan
from jobs.pool import WorkerLost, Workers
from jobs.records import Record, failed_runs, observation_row, record_of, without_results
from jobs.registration import registration
from jobs.sources import Item, Offer, Source, fetch, load
from jobs.worker import lost_analysis, process

Clock = Callable[[], datetime]
STAMPED = (("frames", "stored_at"), ("runs", "finished_at"), ("detections", "detected_at"))


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
    """Items and frames in work: who comes second waits, and then sees what the first stored."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._taken: set[object] = set()

    @contextmanager
    def held(self, keys: Set[object]) -> Iterator[None]:
        """Hold all the keys while inside, taken at once, so that no two wait for each other."""
        with self._free:
            self._free.wait_for(lambda: self._taken.isdisjoint(keys))
            self._taken |= keys
        try:
            yield
        finally:
            with self._free:
                self._taken -= keys
                self._free.notify_all()


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
    policy: str = "normal"
    near_duplicates: NearDuplicates = field(default_factory=NearDuplicates)
    progress: Callable[[int, int], None] = lambda _done, _total: None
    cancelled: Callable[[], bool] = lambda: False
    note: Callable[[str, str], None] = lambda _kind, _message: None

    def run(self) -> Counts:
        """Work through the source and return the counts. A failing frame fails alone."""
        self.store.write(registration(self.plan, self.clock()).rows)
        known = self._known_items()
        listed = list(self.source.items())
        fresh = [item for item in listed if (item.uri, item.fingerprint) not in known]
        if self.limit is not None:
            fresh = fresh[: max(0, self.limit - self._taken_in_before())]
        stored = (*self.again, *self._stale())
        self.note(
            "listed",
            f"{self.source.name} has {len(listed)} items, {len(fresh)} of them to take in now; "
            f"{len(stored)} stored frames are analysed anew",
        )
        tasks = [_task(self._reanalyse, digest) for digest in stored]
        tasks += [_task(self._take_in, item) for item in fresh]
        self._work_through(tasks)
        if recalled := self._call_back():
            self.note("called back", f"{recalled} earlier results are in front again")
        return self._counts({(item.uri, item.fingerprint) for item in listed})

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
        """Read and analyse an item, unless another cycle did so while this one came to it."""
        with self.claims.held({(self.source.name, item.uri)}):
            if self._taken_in(item):
                return
            offers = self._read(item)
            with self.claims.held({offer.frame.digest for offer in offers if offer.frame}):
                record = Record()
                for offer in offers:
                    self._add(record, item, offer)
                self._keep(record)

    def _read(self, item: Item) -> tuple[Offer, ...]:
        nothing = Offer(part="", outcome="ignored", reason="there is nothing in it")
        at_hand = fetch(item)
        if isinstance(at_hand, Offer):
            return (at_hand,)
        try:
            return self.workers.run(load, at_hand) or (nothing,)
        except WorkerLost as error:
            return (Offer(part="", outcome="failed", reason=str(error)),)

    def _add(self, record: Record, item: Item, offer: Offer) -> None:
        """Add one offer's intake, its observation, and what the pipelines make of a new frame."""
        outcome, reason = str(offer.outcome), offer.reason
        digest, fingerprint = None, item.fingerprint
        if offer.frame is not None:
            digest = offer.frame.digest
            if not self._is_new(record, offer.frame):
                outcome, reason = "duplicate", "the same pixels, mask and unit are already stored"
            elif near := self.near_duplicates.of(self.store, offer):
                digest, outcome = near[0], "duplicate"
                reason = f"it looks like a stored image ({near[1]} of 64 bits differ)"
                add_link(record, item, offer.frame, near, self.source.name, self.clock())
            else:
                record.merge(self._analysed(offer.frame))
                add_likeness(record, offer)
            if digest == offer.frame.digest:
                record.row("observations", **observation_row(offer.frame, self.clock()))
        if offer.passing:
            # Kept under a key of its own, so that a later cycle asks for the item again.
            fingerprint = f"{item.fingerprint} failed in {self.cycle_id}"
        record.row(
            "intake",
            intake_id=stable_id("intake", self.source.name, item.uri, offer.part, fingerprint),
            source=self.source.name,
            uri=item.uri,
            part=offer.part,
            fingerprint=fingerprint,
            outcome=outcome,
            frame_digest=digest,
            reason=reason,
            cycle_id=self.cycle_id,
            seen_at=self.clock(),
        )

    def _reanalyse(self, frame_digest: str) -> None:
        """Analyse a stored frame with a model or policy that is new to it."""
        try:
            frame = frame_of(self.store, frame_digest)
        except StoreInvalidated:
            raise
        except (StoreError, EngineError) as error:
            lost = lost_analysis(frame_digest, self.plan, str(error))
            self._keep(failed_runs(lost, cycle_id=self.cycle_id, now=self.clock()))
            return
        self._keep(self._analysed(frame))

    def _keep(self, record: Record) -> None:
        """Store a record; results that break a rule of their table become failed runs."""
        for content in record.files.values():
            self.store.files.put(content)
        try:
            self.store.write(record.rows)
        except ConflictError as error:
            reason = f"its results cannot be stored: {error}"
            self.store.write(without_results(record, reason, self.cycle_id).rows)

    def _analysed(self, frame: Frame) -> Record:
        """What a worker made of a frame; failed runs with the reason where none could."""
        try:
            record = self.workers.run(process, frame, self.plan, self.cycle_id)
        except WorkerLost as error:
            lost = lost_analysis(frame.digest, self.plan, str(error))
            return record_of(frame, lost, cycle_id=self.cycle_id, now=self.clock())
        _stamp(record, self.clock())
        return record

    def _is_new(self, record: Record, frame: Frame) -> bool:
        here = any(row["frame_digest"] == frame.digest for row in record.rows.get("frames", ()))
        sql = "SELECT 1 FROM frames WHERE frame_digest = ?"
        return not here and not self.store.rows(sql, [frame.digest])

    def _taken_in(self, item: Item) -> bool:
        sql = "SELECT 1 FROM intake WHERE source = ? AND uri = ? AND fingerprint = ?"
        return bool(self.store.rows(sql, [self.source.name, item.uri, item.fingerprint]))

    def _taken_in_before(self) -> int:
        """How many items this very cycle took in before it was interrupted."""
        sql = "SELECT count(DISTINCT uri) AS n FROM intake WHERE cycle_id = ?"
        return int(self.store.rows(sql, [self.cycle_id])[0]["n"])

    def _known_items(self) -> set[tuple[str, str]]:
        sql = "SELECT DISTINCT uri, fingerprint FROM intake WHERE source = ?"
        rows = self.store.rows(sql, [self.source.name])
        return {(row["uri"], row["fingerprint"]) for row in rows}

    def _stale(self) -> list[str]:
        """Frames of this source that a pipeline of the plan has not seen with model and policy."""
        unseen = """NOT EXISTS (
            SELECT 1 FROM runs r WHERE r.frame_digest = i.frame_digest
            AND r.pipeline = ? AND r.model_digest = ? AND r.policy_digest = ?)"""
        wanted = " OR ".join([unseen] * len(self.plan.choices))
        sql = (
            "SELECT DISTINCT i.frame_digest FROM intake i "  # noqa: S608  no outside text in it
            "JOIN frames f USING (frame_digest) WHERE i.source = ? "
            "AND f.frame_digest NOT IN (SELECT frame_digest FROM released_files) "
            f"AND ({wanted}) ORDER BY 1"
        )
        keys = [
            value
            for choice in self.plan.choices
            for value in (choice.pipeline, choice.card.digest, choice.policy.digest)
        ]
        return [row["frame_digest"] for row in self.store.rows(sql, [self.source.name, *keys])]

    def _call_back(self) -> int:
        """Put in front what was computed with this plan before and another plan hid since.

        A scan with the normal policy so brings its verdicts back after an aggressive one, without
        computing anything twice.
        """
        mine = " OR ".join(["(pipeline = ? AND model_digest = ? AND policy_digest = ?)"] * 3)
        sql = (
            "SELECT r.run_id FROM runs r WHERE r.status <> 'failed' "  # noqa: S608
            "AND r.run_id NOT IN (SELECT run_id FROM current_runs) "
            f"AND ({mine}) AND (list_contains(?, r.frame_digest) OR r.frame_digest IN "
            "(SELECT frame_digest FROM intake WHERE source = ?))"
        )
        keys = [
            value
            for choice in self.plan.choices
            for value in (choice.pipeline, choice.card.digest, choice.policy.digest)
        ]
        found = self.store.rows(sql, [*keys, list(self.again), self.source.name])
        if not found:
            return 0
        newest = self.store.rows(
            "SELECT greatest((SELECT max(finished_at) FROM runs), "
            "(SELECT max(recalled_at) FROM run_recalls)) AS at"
        )[0]["at"]
        # A clock that was set back must not leave them behind.
        now = max(self.clock(), newest + timedelta(microseconds=1))
        rows = [
            {
                "recall_id": stable_id("recall", row["run_id"], self.cycle_id),
                "run_id": row["run_id"],
                "cycle_id": self.cycle_id,
                "recalled_at": now,
            }
            for row in found
        ]
        self.store.write({"run_recalls": rows})
        return len(rows)

    def _counts(self, listed: set[tuple[str, str]]) -> Counts:
        """This cycle's intake by outcome; what another took in of the same list is known."""
        others = """SELECT uri, fingerprint, count(*) AS parts FROM intake
                    WHERE source = ? AND cycle_id <> ? GROUP BY ALL"""
        known = sum(
            row["parts"]
            for row in self.store.rows(others, [self.source.name, self.cycle_id])
            if (row["uri"], row["fingerprint"]) in listed
        )
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


def _stamp(record: Record, now: datetime) -> None:
    """Let the owner's clock say when: a worker's own may be another."""
    for table, column in STAMPED:
        for row in record.rows.get(table, ()):
            row[column] = now


def counts_as_dict(counts: Counts) -> dict[str, int]:
    """The counts by name, as the API and the command line show them."""
    return asdict(counts)


def told(counts: Counts) -> str:
    """The counts in a sentence."""
    return ", ".join(f"{name} {value}" for name, value in asdict(counts).items())
