"""Detections' questions to the catalogues: what is due is asked in batches, the rest is known."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from db import catalogues as kept
from db.store import Store
from jobs.catalogues import Catalogue, CatalogueAnswer
from jobs.catalogues.answer import Cone, not_determined
from jobs.catalogues.catalogue import NO_DATE, without_date
from jobs.catalogues.listing import answer_from
from jobs.catalogues.radius import search_radius_arcsec
from jobs.catalogues.survey import Portion, Spot, Survey
from jobs.errors import UsageError
from jobs.ids import stable_id
from jobs.settings import Settings

MOTION_ARCSEC_PER_S = 0.02
"""What moves may leave its place while a frame is exposed: 72 arcsec an hour, faster than most of
the main belt (30 to 40) and slower than objects that pass the Earth."""
EPHEMERIS_ARCSEC = 3.0
MOST_AT_ONCE = 5000
Answers = list[tuple["Place", CatalogueAnswer]]
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Place:
    """A detection on the sky: the cone that holds its true place, and how long it was exposed."""

    detection_id: str
    cone: Cone
    exposure_s: float = 0.0

    def cone_for(self, catalogue: Catalogue) -> Cone:
        """The cone to ask this catalogue about: wider where things move while they are seen."""
        if catalogue.coverage != "moving":
            return self.cone
        moved = EPHEMERIS_ARCSEC + MOTION_ARCSEC_PER_S * self.exposure_s
        return replace(self.cone, radius_arcsec=min(self.cone.radius_arcsec + moved, 3600.0))


def places_of(store: Store, detection_ids: Sequence[str], floor_arcsec: float) -> list[Place]:
    """Where the detections are. Raises UsageError for one that is unknown or has no position."""
    rows = {row["detection_id"]: row for row in kept.places(store, detection_ids)}
    missing = [detection_id for detection_id in detection_ids if detection_id not in rows]
    if missing:
        raise UsageError(
            f"detection {missing[0]!r} has no sky position: its image has no WCS, or there is no "
            "such detection; ask about one that has"
        )
    return [_place(rows[detection_id], floor_arcsec) for detection_id in detection_ids]


def _place(row: Mapping[str, Any], floor_arcsec: float) -> Place:
    radius = search_radius_arcsec(
        row["header"],
        kind=row["kind"],
        size_px=row["size_px"],
        snr=row["snr"],
        floor_arcsec=floor_arcsec,
    )
    cone = Cone(row["ra_deg"] % 360, row["dec_deg"], radius, row["mjd"])
    return Place(row["detection_id"], cone, row["exposure_s"] or 0.0)


def answer_request(
    match: CrossMatch, payload: Mapping[str, Any], settings: Settings
) -> dict[str, Any]:
    """Carry out a request: `detection_id`, `detection_ids`, or `open` for all that wait.

    Named detections are asked about anew, or for the first time with what is kept of their
    neighbours. `open` takes the detections that trouble left open, and those of the verdicts in the
    settings that nobody asked about. Raises UsageError where a named one has no position.
    """
    store, single = match.store, payload.get("detection_id")
    if payload.get("open"):
        ids = kept.waiting(store, MOST_AT_ONCE)
        if payload.get("new"):
            ids += kept.unasked(store, settings.catalogue_verdicts, MOST_AT_ONCE)
        match = replace(match, only_open=True, longest_age_s=settings.catalogue_age_s)
    else:
        ids = [single] if single else list(payload.get("detection_ids", ()))
        asked_before = bool(kept.current_causes(store, ids))
        match = replace(match, longest_age_s=0.0 if asked_before else settings.catalogue_age_s)
    places = places_of(store, ids, settings.catalogue_radius_arcsec)
    by_service = match.run(places)
    if single:
        return {service: next(iter(states)) for service, states in by_service.items()}
    return {"objects": len(places), "services": {s: dict(n) for s, n in by_service.items()}}


@dataclass(frozen=True)
class CrossMatch:
    """One request's questions to all catalogues; each host is asked in a thread of its own.

    Answers not older than `longest_age_s` are used again (0: none is). `only_open` leaves alone
    what is determined already, or never can be. A service that fails is left alone for the rest of
    the request: what it was to answer is not determined, and is asked when it comes back.
    """

    store: Store
    catalogues: Sequence[Catalogue]
    request_id: str
    clock: Callable[[], datetime]
    longest_age_s: float = 0.0
    only_open: bool = False
    progress: Callable[[int, int], None] = lambda _done, _total: None
    cancelled: Callable[[], bool] = lambda: False

    def run(self, places: Sequence[Place]) -> dict[str, Counter[str]]:
        """Ask, keep the answers as they come, and count them by service and state."""
        causes = kept.current_causes(self.store, [place.detection_id for place in places])
        due = {
            catalogue.service: [p for p in places if self._is_due(p, catalogue, causes)]
            for catalogue in self.catalogues
        }
        tally = _Tally(sum(map(len, due.values())), self.progress)
        hosts: dict[str, list[Catalogue]] = {}
        for catalogue in self.catalogues:
            hosts.setdefault(catalogue.url, []).append(catalogue)

        def ask_host(known: Sequence[Catalogue]) -> None:
            for catalogue in known:
                self._ask(catalogue, due[catalogue.service], causes, tally)

        with ThreadPoolExecutor(max(1, len(hosts)), thread_name_prefix="crossref") as lanes:
            for asked in [lanes.submit(ask_host, known) for known in hosts.values()]:
                asked.result()
        return tally.by_service

    def _is_due(
        self, place: Place, catalogue: Catalogue, causes: Mapping[tuple[str, str], str]
    ) -> bool:
        cause = causes.get((place.detection_id, catalogue.service), "trouble")
        return not self.only_open or cause == "trouble"

    def _ask(
        self,
        catalogue: Catalogue,
        places: Sequence[Place],
        causes: Mapping[tuple[str, str], str],
        tally: _Tally,
    ) -> None:
        for answers, cones in self._answers(catalogue, places):
            news = [
                (place, answer)
                for place, answer in answers
                # That it is open for the same reason is no news, and would be written each time.
                if not self.only_open
                or answer.state != "not_determined"
                or causes.get((place.detection_id, catalogue.service)) != answer.cause
            ]
            rows = crossref_rows(self.request_id, news, self.clock())
            self.store.write({"catalogue_cones": cones, **rows})
            tally.add(catalogue.service, [answer.state for _, answer in answers])

    def _answers(
        self, catalogue: Catalogue, places: Sequence[Place]
    ) -> Iterator[tuple[Answers, Rows]]:
        """Answers in portions, each with the rows of the cones that were asked for it."""
        spots: dict[Spot, list[tuple[Place, Cone]]] = {}
        undated: Answers = []
        for place in places:
            cone = place.cone_for(catalogue)
            if without_date(catalogue, cone):
                undated.append((place, not_determined(catalogue.service, cone, "no_date", NO_DATE)))
                continue
            spot = Spot.around(cone, moving=catalogue.coverage == "moving")
            spots.setdefault(spot, []).append((place, cone))
        if undated:
            yield undated, []
        since = self.clock() - timedelta(seconds=self.longest_age_s) if self.longest_age_s else None
        survey = Survey(self.store, catalogue, self.clock, since, self.cancelled)
        for portion in survey.run(list(spots)):
            yield _read(portion, spots, catalogue.service), portion.rows


def _read(
    portion: Portion, spots: Mapping[Spot, list[tuple[Place, Cone]]], service: str
) -> Answers:
    answers: Answers = []
    for spot, sighting in portion.seen.items():
        answers += [(p, answer_from(sighting, cone, service)) for p, cone in spots[spot]]
    for spot, reason in portion.failed.items():
        answers += [
            (p, not_determined(service, cone, "trouble", reason)) for p, cone in spots[spot]
        ]
    return answers


@dataclass
class _Tally:
    """Counts answers of all lanes, and tells how far they are."""

    total: int
    progress: Callable[[int, int], None]
    done: int = 0
    by_service: dict[str, Counter[str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, service: str, states: Sequence[str]) -> None:
        with self.lock:
            self.done += len(states)
            self.by_service.setdefault(service, Counter()).update(states)
            done = self.done
        self.progress(done, self.total)


def crossref_rows(request_id: str, answers: Answers, now: datetime) -> dict[str, Rows]:
    """One query a place and service, and every object it named."""
    queries: Rows = []
    matches: Rows = []
    for place, answer in answers:
        # With its time: a request taken up after a crash may find out more than it had written.
        query_id = stable_id("query", request_id, answer.service, place.detection_id, now)
        queries.append(
            {
                "query_id": query_id,
                "detection_id": place.detection_id,
                "service": answer.service,
                "ra_deg": answer.ra_deg,
                "dec_deg": answer.dec_deg,
                "radius_arcsec": answer.radius_arcsec,
                "answer": answer.state,
                "reason": answer.reason,
                "cause": answer.cause,
                "cone_id": answer.cone_id,
                "wide_arcsec": answer.wide_arcsec,
                "wide_objects": answer.wide_objects,
                "chance": answer.chance,
                "asked_at": answer.asked_at or now,
                "recorded_at": now,
            }
        )
        matches.extend(
            {"query_id": query_id, "rank": rank, **asdict(match)}
            for rank, match in enumerate(answer.matches)
        )
    return {"catalogue_queries": queries, "catalogue_matches": matches}
