"""A detection's question to the catalogues, and their answers as rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from db.store import Store
from jobs.catalogues import CatalogueAnswer
from jobs.errors import UsageError
from jobs.ids import stable_id


def position_of(store: Store, detection_id: str) -> tuple[float, float]:
    """Where a detection is on the sky, ra and dec in degrees. Raises UsageError without a WCS."""
    rows = store.rows(
        "SELECT ra_deg, dec_deg FROM detections WHERE detection_id = ?", [detection_id]
    )
    if not rows or rows[0]["ra_deg"] is None:
        raise UsageError(f"detection {detection_id!r} has no sky position: its image has no WCS")
    return rows[0]["ra_deg"], rows[0]["dec_deg"]


def crossref_rows(
    detection_id: str, request_id: str, answers: Sequence[CatalogueAnswer], now: datetime
) -> dict[str, list[dict[str, Any]]]:
    """One query a service, and every object it named."""
    queries: list[dict[str, Any]] = []
    matches: list[dict[str, Any]] = []
    for answer in answers:
        query_id = stable_id("query", request_id, answer.service)
        queries.append(
            {
                "query_id": query_id,
                "detection_id": detection_id,
                "service": answer.service,
                "ra_deg": answer.ra_deg,
                "dec_deg": answer.dec_deg,
                "radius_arcsec": answer.radius_arcsec,
                "answer": answer.state,
                "reason": answer.reason,
                "asked_at": now,
            }
        )
        matches.extend(
            {
                "query_id": query_id,
                "rank": rank,
                "object_name": match.object_name,
                "object_type": match.object_type,
                "ra_deg": match.ra_deg,
                "dec_deg": match.dec_deg,
                "separation_arcsec": match.separation_arcsec,
            }
            for rank, match in enumerate(answer.matches)
        )
    return {"catalogue_queries": queries, "catalogue_matches": matches}
