"""What the cross-match reads before it asks, and writes beside its answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from db.store import Store

Row = dict[str, Any]

SERVICE_COLUMNS = ("service", "title", "coverage", "url")


def configure_services(store: Store, services: Sequence[Row], now: datetime) -> None:
    """Note which catalogues count from now on (`SERVICE_COLUMNS` of each); others no longer do."""
    wanted = [service["service"] for service in services]
    store.move(
        "UPDATE catalogue_services SET configured = false, changed_at = ? "
        "WHERE configured AND NOT list_contains(?, service) RETURNING service",
        [now, wanted],
    )
    for service in services:
        store.move(
            """
            INSERT INTO catalogue_services VALUES ($1, $2, $3, $4, true, $5)
            ON CONFLICT (service) DO UPDATE SET title = $2, coverage = $3, url = $4,
                configured = true, changed_at = $5
            WHERE NOT configured OR title <> $2 OR coverage <> $3 OR url <> $4
            RETURNING service
            """,
            [*(service[column] for column in SERVICE_COLUMNS), now],
        )


def places(store: Store, detection_ids: Sequence[str]) -> list[Row]:
    """Where these detections are, with what their search radius and date are made of.

    Only those with a position, in the order of the ids.
    """
    return store.rows(
        """
        SELECT d.detection_id, d.ra_deg, d.dec_deg, d.kind, d.size_px, d.snr,
               o.mjd, o.exposure_s, coalesce(o.header, '') AS header
        FROM detections d LEFT JOIN current_observations o USING (frame_digest)
        WHERE list_contains($1, d.detection_id) AND d.ra_deg IS NOT NULL
        ORDER BY list_position($1, d.detection_id)
        """,
        [list(detection_ids)],
    )


def waiting(store: Store, limit: int) -> list[str]:
    """Current detections that were asked about, whose answer trouble left open; oldest first.

    A service that was configured since then has left them open as well.
    """
    rows = store.rows(
        """
        SELECT s.detection_id FROM object_states s
        JOIN detections d USING (detection_id) JOIN current_runs USING (run_id)
        WHERE s.state = 'not_determined' AND NOT s.settled AND d.ra_deg IS NOT NULL
        ORDER BY s.newest_at, s.detection_id LIMIT $1
        """,
        [limit],
    )
    return [row["detection_id"] for row in rows]


def unasked(store: Store, verdicts: Sequence[str], limit: int) -> list[str]:
    """Current detections of these verdicts on the real sky that nobody asked about yet."""
    rows = store.rows(
        """
        SELECT d.detection_id FROM detections d JOIN current_runs USING (run_id)
        JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE d.ra_deg IS NOT NULL AND list_contains($1, d.verdict)
          AND NOT starts_with(o.source, 'sim:')
          AND d.detection_id NOT IN (
              SELECT detection_id FROM catalogue_queries WHERE detection_id IS NOT NULL)
        ORDER BY d.p_value NULLS LAST, d.detection_id LIMIT $2
        """,
        [list(verdicts), limit],
    )
    return [row["detection_id"] for row in rows]


def current_causes(store: Store, detection_ids: Sequence[str]) -> dict[tuple[str, str], str]:
    """By detection and service: why its latest answer is not determined, "" where it is."""
    rows = store.rows(
        "SELECT detection_id, service, cause FROM current_answers "
        "WHERE list_contains(?, detection_id)",
        [list(detection_ids)],
    )
    return {(row["detection_id"], row["service"]): row["cause"] for row in rows}


def young_cones(
    store: Store, service: str, cells: Sequence[str], since: datetime
) -> dict[tuple[str, str, float], Row]:
    """The newest answer of a service by cell, moment and near radius, none before `since`."""
    rows = store.rows(
        """
        SELECT * FROM catalogue_cones
        WHERE service = $1 AND list_contains($2, cell) AND asked_at >= $3
        QUALIFY row_number() OVER (
            PARTITION BY cell, moment, near_arcsec ORDER BY asked_at DESC, cone_id DESC) = 1
        """,
        [service, list(cells), since],
    )
    return {(row["cell"], row["moment"], row["near_arcsec"]): row for row in rows}
