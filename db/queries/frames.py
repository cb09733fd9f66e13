"""Frames and what was made of them."""

from __future__ import annotations

from db.queries.paging import Page, Reads, Row, only_row, page_of, rows_to_fetch, start_of_page


def page_of_frames(
    store: Reads,
    *,
    limit: int = 50,
    cursor: str | None = None,
    source: str | None = None,
    text: str | None = None,
) -> Page:
    """List frames, newest first; `text` is looked for in object, part and URI, case ignored.

    Raises StoreError on a cursor or limit that cannot be.
    """
    stored_at, digest = start_of_page(cursor, keys=2)
    rows = store.rows(
        """
        SELECT f.*, o.source, o.object_id, o.part, o.uri, o.ra_deg, o.dec_deg, o.mjd, o.band,
               o.instrument, o.seen_at
        FROM frames f LEFT JOIN current_observations o USING (frame_digest)
        WHERE ($1::VARCHAR IS NULL OR o.source = $1)
          AND ($2::VARCHAR IS NULL
               OR contains(lower(concat_ws(' ', o.object_id, o.part, o.uri)), lower($2)))
          AND ($4::VARCHAR IS NULL OR (f.stored_at, f.frame_digest) < ($3::TIMESTAMPTZ, $4))
        ORDER BY f.stored_at DESC, f.frame_digest DESC LIMIT $5
        """,
        [source, text, stored_at, digest, rows_to_fetch(limit)],
    )
    return page_of(rows, limit, ("stored_at", "frame_digest"))


def frame(store: Reads, frame_digest: str) -> Row | None:
    """Return one frame with the name its latest observation gives it."""
    return only_row(
        store.rows(
            """
            SELECT f.*, o.source, o.object_id, o.part, o.uri, o.ra_deg, o.dec_deg, o.mjd, o.band,
                   o.exposure_s, o.instrument, o.gain_e_per_adu, o.read_noise_e, o.seen_at
            FROM frames f LEFT JOIN current_observations o USING (frame_digest)
            WHERE f.frame_digest = $1
            """,
            [frame_digest],
        )
    )


def runs_of_frame(store: Reads, frame_digest: str) -> list[Row]:
    """List every run on one frame, newest first, with its model; `current` marks the latest."""
    return store.rows(
        """
        SELECT r.*, m.name AS model,
               r.run_id IN (SELECT run_id FROM current_runs) AS current
        FROM runs r LEFT JOIN models m USING (model_digest)
        WHERE r.frame_digest = $1 ORDER BY r.finished_at DESC, r.run_id
        """,
        [frame_digest],
    )


def sources(store: Reads) -> list[str]:
    """Name the sources that frames came from, in alphabetical order."""
    rows = store.rows("SELECT DISTINCT source FROM observations ORDER BY source")
    return [row["source"] for row in rows]
