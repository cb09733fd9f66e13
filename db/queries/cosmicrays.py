"""What the cosmic-ray detector made of the frames."""

from __future__ import annotations

from db.queries.paging import Reads, Row, only_row


def cosmic_ray_runs(store: Reads, limit: int = 1000) -> list[Row]:
    """List the current cosmic-ray runs, newest first, with object and model."""
    return store.rows(
        """
        SELECT c.*, c.flagged_pixels / c.pixels AS flagged_share,
               r.frame_digest, r.model_digest, r.policy_digest, r.duration_s, r.finished_at,
               m.name AS model, o.source, o.object_id, o.exposure_s
        FROM cosmic_ray_runs c
        JOIN current_runs r USING (run_id)
        LEFT JOIN current_observations o USING (frame_digest)
        LEFT JOIN models m USING (model_digest)
        ORDER BY r.finished_at DESC, c.run_id LIMIT $1
        """,
        [limit],
    )


def cosmic_ray_run(store: Reads, frame_digest: str) -> Row | None:
    """Return the current cosmic-ray run of one frame with its original preview."""
    return only_row(
        store.rows(
            """
            SELECT c.*, c.flagged_pixels / c.pixels AS flagged_share,
                   r.frame_digest, r.model_digest, r.policy_digest, r.duration_s, r.finished_at,
                   m.name AS model, o.source, o.object_id, f.height, f.width, f.unit,
                   f.pixels_file, f.preview_file
            FROM cosmic_ray_runs c
            JOIN current_runs r USING (run_id)
            JOIN frames f USING (frame_digest)
            LEFT JOIN current_observations o USING (frame_digest)
            LEFT JOIN models m USING (model_digest)
            WHERE r.frame_digest = $1
            """,
            [frame_digest],
        )
    )


def cosmic_ray_summary(store: Reads) -> Row:
    """Summarise the current cosmic-ray runs: frames, hits and flagged pixels."""
    return store.rows("""
        SELECT count(*) AS runs, sum(c.hits)::BIGINT AS hits,
               sum(c.flagged_pixels)::BIGINT AS flagged_pixels, sum(c.pixels)::BIGINT AS pixels,
               max(r.finished_at) AS newest_run_at
        FROM cosmic_ray_runs c JOIN current_runs r USING (run_id)
    """)[0]


def policy(store: Reads, policy_digest: str) -> str | None:
    """Return the choices that a run was keyed by, as JSON text."""
    row = only_row(
        store.rows("SELECT policy FROM policies WHERE policy_digest = $1", [policy_digest])
    )
    return None if row is None else str(row["policy"])
