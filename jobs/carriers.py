"""What the owner does for each kind of request."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from db import cycles
from db import requests as queue
from db.store import Store
from db.transfer import backup
from jobs.catalogues import Catalogue
from jobs.crossref import CrossMatch, answer_request
from jobs.cutout_bundle import export_cutouts
from jobs.cycle import Claims, Clock, Counts, Cycle, counts_as_dict, told
from jobs.descriptions import describe, endpoint_of
from jobs.dispatcher import Carrier, Request, RequestCancelled
from jobs.duplicates import NearDuplicates
from jobs.errors import UsageError
from jobs.evaluation import evaluate_cycle
from jobs.frames import source_of
from jobs.gold import gold_of_night
from jobs.grouping import Grouper
from jobs.learning import Learner
from jobs.nights import conclude_night
from jobs.plan import make_plan
from jobs.pool import Workers
from jobs.realised import evaluate_rates
from jobs.recalibration import (
    as_result,
    drift_to_answer,
    embedder_of,
    fit_source,
    next_name,
    normals_of,
    note_calibration,
    note_if_own,
)
from jobs.retention import keep_within
from jobs.schedule_checks import check_role
from jobs.settings import Settings
from jobs.sources import Network, Source, open_source
from jobs.sources.stored import StoredSource
from jobs.sources.upload import UploadSource

Ask = Callable[[str, dict[str, Any], str, str], object]


@dataclass(frozen=True)
class Carriers:
    """The requests' carriers, with what they share."""

    store: Store
    workers: Workers
    catalogues: tuple[Catalogue, ...]
    settings: Settings
    clock: Clock
    network: Network | None = None
    claims: Claims = field(default_factory=Claims)
    ask: Ask = lambda _kind, _payload, _request_id, _asked_by: None
    tell: Callable[[], object] = lambda: None

    def by_kind(self) -> Mapping[str, Carrier]:
        """The carriers by the kind of request they carry out."""
        return {
            "scan": self.scan,
            "upload": self.upload,
            "analyze": self.analyze,
            "crossref": self.crossref,
            "backup": self.back_up,
            "calibrate": self.calibrate,
            "learn": self.learn,
            "promote": self.promote,
            "roll_back": self.roll_back,
            "describe": self.describe,
            "gold": self.make_gold,
            "cluster": self.cluster,
            "map": self.map,
            "export": self.export,
        }

    def scan(self, request: Request) -> Mapping[str, Any]:
        """Run a cycle over the named source."""
        payload = request["payload"]
        source = open_source(
            payload["source"],
            max_pixels=self.settings.max_pixels,
            network=self.network,
            limit=payload.get("limit"),
        )
        counts = self._cycle(request, source)
        self._answer_drift(source.name)
        keep_within(self.store, self.settings.disk_budget_bytes, self.clock)
        self.tell()
        return counts_as_dict(counts)

    def upload(self, request: Request) -> Mapping[str, Any]:
        """Run a cycle over one uploaded file."""
        payload = request["payload"]
        source = UploadSource(
            path=self.store.files.path(payload["digest"]),
            file_name=payload["name"],
            digest=payload["digest"],
            max_pixels=self.settings.max_pixels,
        )
        return counts_as_dict(self._cycle(request, source))

    def analyze(self, request: Request) -> Mapping[str, Any]:
        """Analyse a stored image with the models and policies of now."""
        frame_digest = request["payload"]["frame_digest"]
        return counts_as_dict(self._cycle(request, StoredSource(), (frame_digest,)))

    def calibrate(self, request: Request) -> Mapping[str, Any]:
        """Fit a source's reference on its stored frames, then judge those frames by it."""
        payload, request_id = request["payload"], request["request_id"]
        source = payload["source"]
        frames = normals_of(self.store, source)
        queue.progress(self.store, request_id, 0, len(frames))
        folder = self.settings.home / "references"
        with self.claims.held({("calibration", source)}):
            fitted = self.workers.run(
                fit_source, frames, source, next_name(folder, source), folder,
                embedder_of(make_plan(self.settings, source).anomaly.card), self.clock(),
            )  # fmt: skip
        version = note_calibration(
            self.store, source, fitted.card, cause=payload.get("cause", "person"),
            reason=payload.get("reason", ""), now=self.clock(),
        )  # fmt: skip
        self._cycle(request, StoredSource(), tuple(frame.digest for frame in frames))
        return as_result(version, fitted)

    def learn(self, request: Request) -> Mapping[str, Any]:
        """Fit a challenger on the labels and let it compete with the model in use."""
        request_id = request["request_id"]
        return self.learner.learn(
            request_id, lambda done, total: queue.progress(self.store, request_id, done, total)
        )

    def promote(self, request: Request) -> Mapping[str, Any]:
        """Give the ranking to the model that a person chose, once it has numbers for everything."""
        payload, digest = request["payload"], str(request["payload"].get("model_digest", ""))
        role = check_role(payload.get("role"), "promoted")
        self.learner.promote_by_hand(
            request["request_id"], digest, request["asked_by"],
            str(payload.get("reason") or "chosen by hand"), self._progress_of(request),
        )  # fmt: skip
        return {"role": role, "model_digest": digest}

    def roll_back(self, request: Request) -> Mapping[str, Any]:
        """Take the last promotion of a role back."""
        payload = request["payload"]
        role = check_role(payload.get("role"), "taken back")
        before = self.learner.roll_back(
            request["request_id"], request["asked_by"],
            seen=payload.get("model_digest"), progress=self._progress_of(request),
        )  # fmt: skip
        return {"role": role, "model_digest": before}

    def describe(self, request: Request) -> Mapping[str, Any]:
        """Let a language model describe a detection, where one is switched on."""
        detection_id = request["payload"]["detection_id"]
        return describe(self.store, endpoint_of(self.settings), detection_id, self.clock())

    def cluster(self, request: Request) -> Mapping[str, Any]:
        """Group the current anomalies into clusters that people can name."""
        return self.grouper.cluster(request, self._progress_of(request))

    def map(self, request: Request) -> Mapping[str, Any]:
        """Lay the search vectors out on a plane."""
        return self.grouper.map(request, self._progress_of(request))

    def export(self, request: Request) -> Mapping[str, Any]:
        """Write the cutouts of a list of detections into one FITS file."""
        return export_cutouts(
            self.store, self.workers, self.settings.home, request, self._progress_of(request)
        )

    def _progress_of(self, request: Request) -> Callable[[int, int], None]:
        """Note how far a request is. Raises RequestCancelled where somebody took it back."""
        request_id = request["request_id"]

        def progress(done: int, total: int) -> None:
            queue.progress(self.store, request_id, done, total)
            if self._cancelled(request_id):
                raise RequestCancelled(f"request {request_id} was cancelled")

        return progress

    @property
    def grouper(self) -> Grouper:
        """What groups and maps the detections of this store."""
        return Grouper(self.store, self.workers, self.clock)

    def make_gold(self, request: Request) -> Mapping[str, Any]:
        """Make gold items of a simulated night's truth."""
        source = str(request["payload"].get("source", ""))
        return gold_of_night(self.store, self.workers, source, self.clock())

    @property
    def learner(self) -> Learner:
        """What learns the ranking of this store."""
        return Learner(
            self.store, self.workers, self.settings.home / "models", self.clock,
            self.settings.learn_least_labels, self.settings.label_held_out,
        )  # fmt: skip

    def crossref(self, request: Request) -> Mapping[str, Any]:
        """Ask every catalogue about detections: those named, or all that are open."""
        request_id = request["request_id"]
        result = answer_request(
            CrossMatch(
                self.store,
                self.catalogues,
                request_id,
                self.clock,
                progress=lambda done, total: queue.progress(self.store, request_id, done, total),
                cancelled=lambda: self._cancelled(request_id),
            ),
            request["payload"],
            self.settings,
        )
        if self._cancelled(request_id):
            raise RequestCancelled(f"request {request_id} was cancelled; its answers so far stay")
        return result

    def back_up(self, request: Request) -> Mapping[str, Any]:
        """Write the whole store into one file."""
        target = Path(request["payload"]["target"])
        if not target.is_absolute():
            raise UsageError(f"the backup's path must be absolute, got {target}")
        backup(self.store, target)
        return {"file": str(target), "bytes": target.stat().st_size}

    def _cycle(self, request: Request, source: Source, again: tuple[str, ...] = ()) -> Counts:
        """A cycle under the request's own id, so that a request taken up again goes on with it."""
        request_id = request["request_id"]
        cycles.begin_cycle(
            self.store,
            cycle_id=request_id,
            request_id=request_id,
            schedule_id=request["payload"].get("schedule_id"),
            source=source.name,
            policy=_policy_of(request),
            now=self.clock(),
        )
        try:
            cycle = self._cycle_of(request, source, again)
            counts = cycle.run()
            evaluate_cycle(cycle)
            evaluate_rates(cycle)
            conclude_night(cycle, rate=self.settings.false_discovery_rate)
            self.learner.score_new()
            self.grouper.place_new()
        except Exception as error:
            cycles.finish_cycle(
                self.store, request_id, state="failed", error=str(error), now=self.clock()
            )
            raise
        state = "cancelled" if self._cancelled(request_id) else "done"
        cycles.update_cycle(self.store, request_id, **counts_as_dict(counts))
        cycles.finish_cycle(self.store, request_id, state=state, now=self.clock())
        self._note(request_id, "ended", told(counts))
        if state == "cancelled":
            raise RequestCancelled(f"scan {request_id} was cancelled; what it had stored stays")
        return counts

    def _answer_drift(self, source: str) -> None:
        """Ask for a calibration where the drift monitor raised its flag over this source."""
        if not self.settings.auto_calibrate:
            return
        digest = make_plan(self.settings, source).anomaly.card.digest
        reason = drift_to_answer(self.store, source, digest, self.clock())
        if reason is not None:
            payload = {"source": source, "cause": "drift", "reason": reason}
            self.ask("calibrate", payload, uuid.uuid4().hex, "drift monitor")

    def _cycle_of(self, request: Request, source: Source, again: tuple[str, ...]) -> Cycle:
        request_id, payload = request["request_id"], request["payload"]
        judged = source_of(self.store, again[0]) if again else source.name
        plan = make_plan(self.settings, judged, aggressive=bool(payload.get("aggressive", False)))
        note_if_own(self.store, judged, plan.anomaly.card, self.clock())
        return Cycle(
            cycle_id=request_id,
            source=source,
            plan=plan,
            store=self.store,
            workers=self.workers,
            clock=self.clock,
            claims=self.claims,
            again=again,
            limit=payload.get("limit"),
            policy=_policy_of(request),
            near_duplicates=NearDuplicates(
                self.settings.near_duplicate_bits, self.settings.near_duplicate_correlation
            ),
            progress=lambda done, total: queue.progress(self.store, request_id, done, total),
            cancelled=lambda: self._cancelled(request_id),
            note=lambda kind, message: self._note(request_id, kind, message),
        )

    def _note(self, cycle_id: str, kind: str, message: str) -> None:
        cycles.add_event(self.store, cycle_id, kind, message, self.clock())

    def _cancelled(self, request_id: str) -> bool:
        return bool(queue.get_request(self.store, request_id)["state"] == "cancelled")


def _policy_of(request: Request) -> str:
    """The name of the stated rate that a request asks for."""
    return "aggressive" if request["payload"].get("aggressive") else "normal"
