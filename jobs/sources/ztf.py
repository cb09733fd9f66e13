"""`ztf`: alerts of the Zwicky Transient Facility from the Fink broker, with their stamps.

An alert becomes one frame of three planes: science, template, difference. Alerts are listed
window by window of time; inside a window the broker gives the newest first. Pages:
docs/sources.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.time import Time

from engine.errors import FrameError, FrameTooLarge
from engine.frame import Frame, Origin
from jobs.errors import ServiceError
from jobs.services import PassingFailure, Service
from jobs.sources.archive import Facts, Listed, Page, Read
from jobs.sources.network import Network
from jobs.sources.options import Option, name_of, number, read_options, words
from jobs.sources.source import Offer

COLUMNS = ("i:objectId", "i:candid", "i:jd", "i:fid", "i:ra", "i:dec", "i:rb", "i:magpsf")
PLANES = tuple(f"b:cutout{plane}_stampData" for plane in ("Science", "Template", "Difference"))
BANDS = {1: "g", 2: "r", 3: "i"}
MJD_ZERO = 2400000.5
LATE_DAYS = 0.5
"""Alerts reach the broker late: each window begins so long before the end of the last one."""
LARGEST_PAGE = 10_000

OPTIONS = {
    "class": Option(words, "class of the broker; Early SN Ia candidate", "Early SN Ia candidate"),
    "days": Option(number(0.01, 2500), "how far back to begin; 1", 1.0),
}


@dataclass(frozen=True)
class ZtfArchive:
    """Alerts of one class."""

    name: str
    options: Mapping[str, Any] = field(hash=False)
    service: str = "ztf"

    @classmethod
    def parse(cls, rest: str) -> ZtfArchive:
        """Read the options after `ztf:`."""
        values = read_options("ztf", rest, OPTIONS)
        return cls(name_of("ztf", values, OPTIONS), values)

    def page(self, network: Network, cursor: Any, size: int) -> Page:
        """The newest alerts of the window that are older than those of the page before."""
        now_jd = float(Time(network.clock.now()).jd)
        window = cursor or {"after": now_jd - self.options["days"], "until": None}
        if window["until"] is None:
            window = {**window, "until": now_jd, "before": now_jd, "size": size}
        alerts = self._latest(network, window)
        listed = tuple(self._listed(alert) for alert in alerts)
        if len(alerts) < window["size"]:
            behind = {"after": window["until"] - LATE_DAYS, "until": None}
            return Page(listed, behind, more=False)
        return Page(listed, _further(window, alerts, size), more=True)

    def _latest(self, network: Network, window: Mapping[str, Any]) -> list[dict[str, Any]]:
        service = network.service("ztf")
        question = {
            "class": self.options["class"],
            "n": int(window["size"]),
            "startdate": _iso(window["after"]),
            "stopdate": _iso(window["before"]),
            "columns": ",".join(COLUMNS),
            "output-format": "json",
        }
        rows = _json(service, service.post(f"{service.terms.base}/api/v1/latests", json=question))
        try:
            return [_alert(row) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise _nonsense(service, f"an alert without {error}") from error

    def _listed(self, alert: Mapping[str, Any]) -> Listed:
        return Listed(f"ztf:{alert['object_id']}/{alert['candid']}", alert["candid"], alert)

    def fetch(self, network: Network, facts: Facts) -> tuple[bytes, ...]:
        """The three stamps in one answer."""
        service = network.service("ztf")
        question = {
            "objectId": facts["object_id"],
            "candid": facts["candid"],
            "kind": "All",
            "output-format": "array",
        }
        answer = service.post(f"{service.terms.base}/api/v1/cutouts", json=question)
        stamps = _json(service, answer)
        missing = [name for name in PLANES if not isinstance(stamps, dict) or not stamps.get(name)]
        if missing:
            raise _nonsense(service, f"stamps without {', '.join(missing)}")
        return (answer.content,)

    @property
    def read(self) -> Read:
        """The frame of an alert."""
        return read_stamps


def read_stamps(
    contents: tuple[bytes, ...], facts: Facts, source: str, max_pixels: int
) -> tuple[Offer, ...]:
    """One frame of three planes; position, time and band are the alert's own."""
    stamps = json.loads(contents[0])
    try:
        planes = np.array([stamps[name] for name in PLANES], dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise FrameError(f"the three stamps differ in shape ({error}): look at it there") from error
    if planes.ndim != 3:
        raise FrameError(f"stamps must be three images of one shape, got {planes.shape}")
    if planes[0].size > max_pixels:
        raise FrameTooLarge(f"a stamp of {planes[0].size} pixels is more than {max_pixels}")
    origin = Origin(
        source=source,
        object_id=facts["object_id"],
        uri=f"ztf:{facts['object_id']}/{facts['candid']}",
        part="science,template,difference",
        ra_deg=facts["ra_deg"],
        dec_deg=facts["dec_deg"],
        mjd=facts["jd"] - MJD_ZERO,
        band=BANDS.get(facts["fid"]),
        instrument="ZTF",
    )
    return (Offer(part=origin.part, frame=Frame.of(planes, origin, unit="adu")),)


def _alert(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "object_id": str(row["i:objectId"]),
        "candid": str(int(row["i:candid"])),
        "jd": float(row["i:jd"]),
        "fid": int(row["i:fid"]),
        "ra_deg": float(row["i:ra"]),
        "dec_deg": float(row["i:dec"]),
    }


def _further(window: Mapping[str, Any], alerts: list[dict[str, Any]], size: int) -> dict[str, Any]:
    """The rest of the window. A page of one exposure alone is asked again twice as large."""
    oldest = min(alert["jd"] for alert in alerts)
    if oldest < window["before"] - 1e-6:
        return {**window, "before": oldest, "size": size}
    if window["size"] >= LARGEST_PAGE:
        raise ServiceError(
            f"ztf has more than {LARGEST_PAGE} alerts at one moment: choose a narrower class"
        )
    return {**window, "size": 2 * window["size"]}


def _json(service: Service, answer: Any) -> Any:
    try:
        return json.loads(answer.content)
    except ValueError as error:
        raise _nonsense(service, f"no JSON but {answer.content[:60]!r}") from error


def _nonsense(service: Service, what: str) -> PassingFailure:
    failure = PassingFailure(f"{service.terms.name} answered with {what}")
    service.complain(failure)
    return failure


def _iso(jd: float) -> str:
    return str(Time(jd, format="jd").iso)
