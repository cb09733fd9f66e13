"""The ranking that learns from labels: fitted anew after each batch, in a thread of the owner."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db import ranking as kept
from db.errors import StoreError
from db.queries.vectors import fingerprint
from db.store import Store
from engine.errors import EngineError
from engine.split import split_of
from jobs.labelling_settings import LabellingSettings

log = logging.getLogger(__name__)
Row = dict[str, Any]
LEAST_CANDIDATES = 3


@dataclass(frozen=True)
class Candidates:
    """Everything that can be ranked: ids, frames, vectors of the interest space (N, D), oddity."""

    ids: tuple[str, ...]
    vectors: NDArray[np.float64]
    oddity: NDArray[np.float64]
    held_out: NDArray[np.bool_]


class Ranker:
    """Ranks the store's detections by what people found interesting (`engine.anomalies.interest`).

    Labels on held-out frames (`jobs.learning` draws the same line, by the hash of the frame) never
    fit it; they say how well it ranks. The fit takes tenths of a second, so it runs here and not in
    a worker, which may be busy with a frame for minutes.
    """

    def __init__(
        self, store: Store, settings: LabellingSettings, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "ranker")
        self._lock = threading.Lock()
        self._running: Future[Row | None] | None = None
        self._made_of = ""
        self._candidates: Candidates | None = None

    def noticed(self) -> None:
        """Labels were written: rank anew once a batch of them came since the last time."""
        if self.labels_since() >= self._settings.label_batch:
            self.ask("batch")

    def labels_since(self) -> int:
        """Rows of the log that the newest ranking has not seen."""
        newest = kept.latest(self._store)
        return kept.log_length(self._store) - (0 if newest is None else int(newest["log_rows"]))

    def ask(self, cause: str) -> Future[Row | None]:
        """Rank soon; while one fit waits or runs, that one is what is asked for."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running = self._thread.submit(self._rank_quietly, cause)
            return self._running

    def settle(self, wait_s: float) -> bool:
        """Wait until no fit runs; False where that took too long."""
        running = self._running
        if running is None:
            return True
        try:
            running.result(wait_s)
        except TooLate:
            return False
        return True

    @property
    def is_busy(self) -> bool:
        """Whether a fit waits or runs."""
        return self._running is not None and not self._running.done()

    def close(self) -> None:
        """Take no more; a fit that runs is waited for."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def rank(self, cause: str) -> Row | None:
        """Fit on the labels of now and keep the ranking; None where too little can be ranked."""
        from engine.anomalies.batching import Mix, mixed_batch
        from engine.anomalies.interest import InterestSpace, rank_by_interest
        from engine.metrics.ranking import roc_auc

        started = time.perf_counter()
        log_rows = kept.log_length(self._store)
        pool = self._pool()
        if pool is None:
            return None
        rows = {detection_id: row for row, detection_id in enumerate(pool.ids)}
        votes = [vote for vote in kept.judged(self._store) if vote["detection_id"] in rows]
        said = {
            rows[vote["detection_id"]]: vote["accepts"] > vote["rejects"]
            for vote in votes
            if vote["accepts"] != vote["rejects"]
        }
        fitted = {row: liked for row, liked in said.items() if not pool.held_out[row]}
        interest = rank_by_interest(InterestSpace(pool.vectors), pool.oddity, fitted)
        measured = np.array([row for row in said if pool.held_out[row]], dtype=np.int64)
        liked = np.array([said[int(row)] for row in measured], dtype=np.bool_)
        known = {rows[vote["detection_id"]] for vote in votes}
        known |= {rows[one] for one in kept.not_now(self._store) if one in rows}
        batch = mixed_batch(
            pool.vectors, interest, sorted(known), pool.held_out, self._settings.label_batch,
            Mix(self._settings.label_explore, self._settings.label_calibrate),
            np.random.default_rng([0, log_rows]),
        )  # fmt: skip
        ranking = {
            "ranking_id": uuid.uuid4().hex,
            "cause": cause,
            "candidates": len(pool.ids),
            "labelled": len(fitted),
            "liked": sum(fitted.values()),
            "held_out": len(measured),
            "held_out_auc": (
                roc_auc(interest[measured[~liked]], interest[measured[liked]])
                if liked.any() and not liked.all()
                else None
            ),
            "log_rows": log_rows,
            "made_at": self._clock(),
            "duration_s": time.perf_counter() - started,
        }
        kept.keep_ranking(self._store, ranking, _rows(ranking, pool, interest, batch))
        return ranking

    def _rank_quietly(self, cause: str) -> Row | None:
        try:
            return self.rank(cause)
        except (EngineError, StoreError):
            log.exception("the ranking cannot be fitted on the labels")
            return None

    def _pool(self) -> Candidates | None:
        """What can be ranked, made anew only when other detections are current."""
        from engine.anomalies.interest import InterestSpace

        made_of = fingerprint(self._store)
        if made_of == self._made_of:
            return self._candidates
        table = kept.candidates(self._store)
        self._candidates = None
        if table.num_rows >= LEAST_CANDIDATES:
            flat = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            vectors = np.asarray(flat, dtype=np.float32).reshape(table.num_rows, -1)
            found = kept.parts_of(self._store, table["embedder"][0].as_py())
            parts = {row["part"]: slice(row["first_column"], row["end_column"]) for row in found}
            space = InterestSpace.of(vectors, parts or {"deep": slice(0, vectors.shape[1])})
            share = self._settings.label_held_out
            self._candidates = Candidates(
                tuple(table["detection_id"].to_pylist()),
                space.vectors,
                table["oddity"].to_numpy(),
                np.array([is_held_out(key, share) for key in table["frame_digest"].to_pylist()]),
            )
        self._made_of = made_of
        return self._candidates


def is_held_out(frame_digest: str, share: float) -> bool:
    """Whether labels on this frame only measure: the same frames for ever, whatever was said."""
    return split_of(frame_digest, calibrate=0, test=share) == "test"


def _rows(
    ranking: Row,
    pool: Candidates,
    interest: NDArray[np.float64],
    batch: list[tuple[int, Any]],
) -> list[Row]:
    """The best places and all of the batch."""
    turns = {row: (turn, reason) for turn, (row, reason) in enumerate(batch)}
    order = np.lexsort((np.arange(len(interest)), -interest))
    found = []
    for place, row in enumerate(order.tolist(), start=1):
        if place > kept.KEPT_PLACES and row not in turns:
            continue
        turn, reason = turns.get(row, (None, None))
        found.append(
            {
                "ranking_id": ranking["ranking_id"], "detection_id": pool.ids[row],
                "place": place, "interest": float(interest[row]), "turn": turn, "reason": reason,
            }
        )  # fmt: skip
    return found
