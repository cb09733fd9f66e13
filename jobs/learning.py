"""Learning from labels: a challenger is fitted in a worker, judged in shadow, or promoted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from db import learning
from db.cycles import add_event
from db.store import Store
from engine.cards import ModelCard, file_digest, write_card
from jobs.challenge import HeldOut, Verdict, contest
from jobs.errors import UsageError
from jobs.ids import stable_id
from jobs.pool import Workers
from jobs.ranking import is_held_out

if TYPE_CHECKING:
    from engine.anomalies.probing import ProbeModel

OLD_SHARE = 0.3  # held out for every model whose card does not say how much
NORMALS_PER_LABEL = 3
HALF_TRUST, MOST_TRUST = 5, 0.95
LIKED, ORDINARY = "interesting", "ordinary"
ODD = ("candidate", "near_miss", "uncertain")
SCORED_AT_ONCE = 2000
Numbers = list[tuple[float, float]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pool:
    """Detections with their vectors float32 (N, D), p-values (NaN unknown), verdicts and votes.

    `held_out_share` of the frames, by the hash of their digest, are fitted on by no model.
    """

    ids: tuple[str, ...]
    keys: tuple[str, ...]
    vectors: NDArray[np.float32]
    p_values: NDArray[np.float64]
    verdicts: tuple[str, ...]
    accepts: NDArray[np.int64]
    rejects: NDArray[np.int64]
    held_out_share: float

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Rows on which people are not of two minds."""
        return np.asarray(self.accepts != self.rejects)

    @property
    def liked(self) -> NDArray[np.bool_]:
        """Rows that more people accepted than rejected."""
        return np.asarray(self.accepts > self.rejects)

    @property
    def is_held_out(self) -> NDArray[np.bool_]:
        """Rows of frames that no model is fitted on."""
        return self.within(self.held_out_share)

    def within(self, share: float) -> NDArray[np.bool_]:
        """Rows of frames that are held out for a share; a smaller share's are among them."""
        return np.array([is_held_out(key, share) for key in self.keys], dtype=np.bool_)


def pool_of(store: Store, least_labels: int, held_out_share: float) -> Pool:
    """Gather what can be learned from. Raises UsageError where too little is labelled."""
    table = learning.judged_vectors(store)
    pool = Pool(
        ids=tuple(table["detection_id"].to_pylist()),
        keys=tuple(table["frame_digest"].to_pylist()),
        vectors=np.array(table["vector"].to_pylist(), dtype=np.float32),
        p_values=np.array(table["p_value"].to_pylist(), dtype=np.float64),
        verdicts=tuple(table["verdict"].to_pylist()),
        accepts=np.array(table["accepts"].to_pylist(), dtype=np.int64),
        rejects=np.array(table["rejects"].to_pylist(), dtype=np.int64),
        held_out_share=held_out_share,
    )
    labels = int(pool.labelled.sum())
    if labels < least_labels:
        raise UsageError(
            f"{labels} detections are labelled, {least_labels} are needed to learn: "
            "label more on the Verify page, or lower learn_least_labels"
        )
    return pool


def fit_challenger(pool: Pool, folder: Path, name: str, now: datetime) -> ModelCard:
    """In a worker: fit a class head on labels and the sources' own normals; save it with a card.

    `engine.anomalies.classes.fit_probe` chooses penalty and temperature on folds by frame. Normals
    that nobody labelled count as ordinary, three for each label at most. Held-out frames take no
    part.
    """
    from engine.anomalies.classes import fit_probe
    from engine.anomalies.probing import ProbeModel

    rows, labels = fitting_rows(pool)
    keys = [pool.keys[row] for row in rows]
    probe = fit_probe(pool.vectors[rows], labels, keys)
    model = ProbeModel(probe.head, probe.names)
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{name}.safetensors"
    model.save(weights)
    liked = labels.count(LIKED)
    card = ModelCard(
        name=name,
        pipeline="interest",
        digest=file_digest(weights),
        description="How interesting people would find a detection: a class head on its vector.",
        architecture={"dimension": int(pool.vectors.shape[1]), "liked": liked,
                      "trust": min(MOST_TRUST, liked / (liked + HALF_TRUST))},
        data=f"{int(pool.labelled.sum())} labels, normals of the sources as ordinary",
        seed=0,
        command="skysieve (learning from labels)",
        device="CPU",
        trained_at=now.isoformat(timespec="seconds"),
        calibration={"temperature": probe.temperature, "held_out_nll": probe.held_out_nll,
                     "held_out_share": pool.held_out_share},
        limits="Learned from this store's labels only.",
    )  # fmt: skip
    write_card(folder, card)
    return card


def fitting_rows(pool: Pool) -> tuple[NDArray[np.int64], list[str]]:
    """Rows to fit on with their class: labelled ones, and normals in the order of their ids."""
    free = ~pool.is_held_out
    labelled = np.flatnonzero(pool.labelled & free)
    normal = np.array([verdict == "normal" for verdict in pool.verdicts], dtype=np.bool_)
    unlabelled = np.flatnonzero(normal & free & (pool.accepts + pool.rejects == 0))
    ordered = sorted(unlabelled.tolist(), key=lambda row: stable_id("normal", pool.ids[row]))
    source = np.array(ordered[: NORMALS_PER_LABEL * len(labelled)], dtype=np.int64)
    rows = np.concatenate([labelled, source]).astype(np.int64)
    classes = [LIKED if pool.liked[row] else ORDINARY for row in labelled]
    return rows, classes + [ORDINARY] * len(source)


def numbers_of(
    folder: Path,
    card: ModelCard | None,
    vectors: NDArray[np.float32],
    p_values: NDArray[np.float64],
) -> Numbers:
    """In a worker: probability and interest of each row; without a model both are 1 - p-value.

    interest = b * probability + (1 - b) * (1 - p), b = n / (n + 5), at most 0.95, for n liked rows
    that the model was fitted on (`engine.anomalies.interest` blends ranks the same way). Each row
    is computed by itself, so that its number does not depend on who else is in the pool.
    """
    oddity = 1.0 - np.nan_to_num(p_values, nan=0.5)
    if card is None:
        return [(float(value), float(value)) for value in oddity]
    from engine.anomalies.probing import ProbeModel

    model: ProbeModel = ProbeModel.load(folder / f"{card.name}.safetensors")
    column = model.names.index(LIKED)
    trust = float(card.architecture["trust"])
    probability = [float(model.head.probabilities(row[None])[0, column]) for row in vectors]
    return [
        (p, trust * p + (1 - trust) * float(odd))
        for p, odd in zip(probability, oddity, strict=True)
    ]


def held_out_of(pool: Pool, champion: ModelCard | None) -> tuple[HeldOut, NDArray[np.int64]]:
    """What models are compared on, with its rows: frames that neither of them was fitted on.

    Where the setting changed since the champion was fitted, those are the smaller share's.
    """
    share = pool.held_out_share
    if champion is not None:
        share = min(share, float(champion.calibration.get("held_out_share", OLD_SHARE)))
    rows = np.flatnonzero(pool.within(share))
    verdicts = np.array(pool.verdicts)[rows] if len(rows) else np.array([], dtype=np.str_)
    return HeldOut(
        keys=np.array(pool.keys)[rows],
        labelled=pool.labelled[rows],
        liked=pool.liked[rows],
        votes=(pool.accepts + pool.rejects)[rows],
        odd=np.isin(verdicts, ODD) & ~(pool.rejects > pool.accepts)[rows],
        normal=(verdicts == "normal") & ~pool.liked[rows],
    ), rows


@dataclass(frozen=True)
class Learner:
    """Fits, judges, promotes and takes back; `folder` holds the models of this store."""

    store: Store
    workers: Workers
    folder: Path
    clock: Callable[[], datetime]
    least_labels: int
    held_out_share: float

    def learn(self, training_id: str, progress: Progress = lambda _d, _t: None) -> dict[str, Any]:
        """One training: the challenger's numbers are kept in shadow whether it wins or not."""
        started_at = self.clock()
        progress(0, 4)
        pool = pool_of(self.store, self.least_labels, self.held_out_share)
        name = f"interest-{training_id[:12]}"
        card = self.workers.run(fit_challenger, pool, self.folder, name, started_at)
        progress(1, 4)
        champion = learning.current_model(self.store)
        mine = self._numbers(card, pool)
        before = self._card(champion)
        theirs = self._numbers(before, pool)
        progress(2, 4)
        held_out, rows = held_out_of(pool, before)
        verdict = self.workers.run(
            contest, held_out,
            np.array([theirs[row][0] for row in rows]), np.array([mine[row][0] for row in rows]),
        )  # fmt: skip
        self._keep(training_id, card, champion, verdict, started_at)
        progress(3, 4)
        learning.keep_interest(self.store, card.digest, pool.ids, mine, self.clock())
        if verdict.promoted:
            self.promote(card.digest, training_id, verdict.reason, "contest")
        progress(4, 4)
        return {
            "promoted": verdict.promoted, "reason": verdict.reason, "model": card.name,
            "labels": int(pool.labelled.sum()), "figures": verdict.figures,
        }  # fmt: skip

    def promote(self, digest: str, training_id: str | None, reason: str, chosen_by: str) -> None:
        """Give the ranking to a model."""
        learning.choose_model(
            self.store, choice_id=stable_id("promote", training_id, digest), model_digest=digest,
            action="promote", training_id=training_id, reason=reason, chosen_by=chosen_by,
            now=self.clock(),
        )  # fmt: skip

    def promote_by_hand(
        self,
        choice_id: str,
        digest: str,
        chosen_by: str,
        reason: str,
        progress: Progress = lambda _d, _t: None,
    ) -> None:
        """Give the ranking to a model that a person chose; the same choice_id does it once.

        What the model has no number for gets one first, so that no list is ever half ranked.
        Raises UsageError for what is no ranking learned here, and for the one that holds already.
        """
        if self._is_done(choice_id):
            return
        sql = "SELECT 1 FROM models WHERE model_digest = ? AND pipeline = 'interest'"
        if not self.store.rows(sql, [digest]):
            raise UsageError(f"no ranking {digest[:12]!r} was learned here: see the Models page")
        if learning.current_model(self.store) == digest:
            raise UsageError("this ranking is in use already: there is nothing to promote")
        self.score(digest, progress)
        trained = "SELECT training_id FROM training_runs WHERE model_digest = ?"
        found = self.store.rows(trained, [digest])
        learning.choose_model(
            self.store, choice_id=choice_id, model_digest=digest, action="promote",
            training_id=found[0]["training_id"] if found else None, reason=reason,
            chosen_by=chosen_by, now=self.clock(),
        )  # fmt: skip
        add_event(self.store, None, "promotion", f"{chosen_by} promoted a model", self.clock())

    def roll_back(
        self,
        choice_id: str,
        chosen_by: str,
        *,
        seen: str | None = None,
        progress: Progress = lambda _d, _t: None,
    ) -> str | None:
        """Take the last promotion back; its numbers stay, those before it hold again as they were.

        `seen` is the model that the person saw in use. The same choice_id does it once. Raises
        UsageError where nothing was promoted, or another model is in use than the one seen.
        """
        if self._is_done(choice_id):
            return learning.current_model(self.store)
        any_left, before = learning.model_before(self.store)
        if not any_left:
            raise UsageError("no promotion to take back: nothing learned is in use")
        if seen is not None and learning.current_model(self.store) != seen:
            raise UsageError("another ranking came into use meanwhile: look again, then roll back")
        if before is not None:
            self.score(before, progress)
        learning.choose_model(
            self.store, choice_id=choice_id, model_digest=before, action="roll_back",
            training_id=None, reason="taken back", chosen_by=chosen_by, now=self.clock(),
        )  # fmt: skip
        add_event(self.store, None, "rollback", f"{chosen_by} took a model back", self.clock())
        return before

    def score_new(self) -> int:
        """Give the model in use a number for each detection that it has not seen."""
        current = learning.current_model(self.store)
        return 0 if current is None else self.score(current)

    def score(self, digest: str, progress: Progress = lambda _d, _t: None) -> int:
        """Give a model a number for each detection that it has not seen, part by part."""
        card = self._card(digest)
        if card is None:
            return 0
        dimension = int(card.architecture["dimension"])
        table = learning.unscored_vectors(self.store, card.digest, dimension)
        for start in range(0, table.num_rows, SCORED_AT_ONCE):
            progress(start, table.num_rows)
            part = table.slice(start, SCORED_AT_ONCE)
            vectors = np.array(part["vector"].to_pylist(), dtype=np.float32)
            p_values = np.array(part["p_value"].to_pylist(), dtype=np.float64)
            numbers = self.workers.run(numbers_of, self.folder, card, vectors, p_values)
            ids = part["detection_id"].to_pylist()
            learning.keep_interest(self.store, card.digest, ids, numbers, self.clock())
        progress(table.num_rows, table.num_rows)
        return int(table.num_rows)

    def _is_done(self, choice_id: str) -> bool:
        """A request that was taken up again after its end finds its choice made."""
        sql = "SELECT 1 FROM model_choices WHERE choice_id = ?"
        return bool(self.store.rows(sql, [choice_id]))

    def _numbers(self, card: ModelCard | None, pool: Pool) -> Numbers:
        return self.workers.run(numbers_of, self.folder, card, pool.vectors, pool.p_values)

    def _card(self, digest: str | None) -> ModelCard | None:
        if digest is None:
            return None
        sql = "SELECT card FROM models WHERE model_digest = ?"
        return ModelCard(**json.loads(self.store.rows(sql, [digest])[0]["card"]))

    def _keep(
        self,
        training_id: str,
        card: ModelCard,
        champion: str | None,
        verdict: Verdict,
        started_at: datetime,
    ) -> None:
        model = {
            "model_digest": card.digest, "name": card.name, "pipeline": card.pipeline,
            "card": card.as_dict(), "registered_at": self.clock(),
        }  # fmt: skip
        training: Mapping[str, Any] = {
            "training_id": training_id,
            "pipeline": card.pipeline,
            "model_digest": card.digest,
            "command": card.command,
            "status": "promoted" if verdict.promoted else "refused",
            "metrics": _plain(verdict.figures),
            "started_at": started_at,
            "finished_at": self.clock(),
            "role": learning.INTEREST,
            "champion_digest": champion,
            "reason": verdict.reason,
        }
        self.store.write({"models": [model], "training_runs": [dict(training)]})


def _plain(figures: dict[str, Any]) -> dict[str, Any]:
    """Figures without NaN, which JSON does not know."""
    return {
        name: {key: None if np.isnan(value) else value for key, value in group.items()}
        for name, group in figures.items()
    }
