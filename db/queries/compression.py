"""What the codec made of the frames."""

from __future__ import annotations

from db.queries.paging import Reads, Row, only_row


def codec_runs(store: Reads, limit: int = 1000) -> list[Row]:
    """List the current codec runs, newest first, with object, model and raw depth."""
    return store.rows(
        """
        SELECT c.*, r.frame_digest, r.model_digest, r.policy_digest, r.duration_s, r.finished_at,
               m.name AS model, o.source, o.object_id, f.height, f.width, f.planes, f.unit
        FROM codec_runs c
        JOIN current_runs r USING (run_id)
        JOIN frames f USING (frame_digest)
        LEFT JOIN current_observations o USING (frame_digest)
        LEFT JOIN models m USING (model_digest)
        ORDER BY r.finished_at DESC, c.run_id LIMIT $1
        """,
        [limit],
    )


def codec_run(store: Reads, frame_digest: str) -> Row | None:
    """Return the current codec run of one frame with its original preview."""
    return only_row(
        store.rows(
            """
            SELECT c.*, r.frame_digest, r.model_digest, r.policy_digest, r.duration_s,
                   r.finished_at, m.name AS model, o.source, o.object_id,
                   f.height, f.width, f.planes, f.unit, f.sample_type, f.preview_file,
                   f.pixels_file
            FROM codec_runs c
            JOIN current_runs r USING (run_id)
            JOIN frames f USING (frame_digest)
            LEFT JOIN current_observations o USING (frame_digest)
            LEFT JOIN models m USING (model_digest)
            WHERE r.frame_digest = $1
            """,
            [frame_digest],
        )
    )


def calibration_badges(store: Reads) -> list[Row]:
    """Say how well each model's uncertainty maps follow the true error.

    One row a model: medians over its current runs of the per-tile Spearman correlations of the
    Monte-Carlo-dropout map and of the entropy model's expected error, with how many runs had one.
    """
    return store.rows("""
        SELECT r.model_digest, arg_max(m.name, r.finished_at) AS model, count(*) AS runs,
               median(c.dropout_spearman) AS dropout_spearman,
               count(c.dropout_spearman) AS dropout_runs,
               median(c.predicted_spearman) AS predicted_spearman,
               count(c.predicted_spearman) AS predicted_runs,
               max(r.finished_at) AS newest_run_at
        FROM codec_runs c
        JOIN current_runs r USING (run_id)
        LEFT JOIN models m USING (model_digest)
        GROUP BY r.model_digest ORDER BY newest_run_at DESC, r.model_digest
    """)


def codec_summary(store: Reads) -> Row:
    """Summarise the current codec runs: bytes before and after, medians of the quality."""
    return store.rows("""
        SELECT count(*) AS runs,
               sum(c.bytes)::BIGINT AS coded_bytes,
               sum(f.height::BIGINT * f.width * f.planes * c.sample_bits / 8)::BIGINT AS raw_bytes,
               median(c.bpp) AS bpp, median(c.psnr_db) AS psnr_db,
               median(c.ms_ssim) AS ms_ssim, median(c.compression_ratio) AS compression_ratio,
               max(r.finished_at) AS newest_run_at
        FROM codec_runs c JOIN current_runs r USING (run_id) JOIN frames f USING (frame_digest)
    """)[0]


def codec_tiles(store: Reads, run_id: str) -> list[Row]:
    """List the tiles of one run in reading order, with true and expected error."""
    return store.rows(
        "SELECT * FROM codec_tiles WHERE run_id = $1 ORDER BY tile_row, tile_column", [run_id]
    )


def tiles_to_send(store: Reads, most_p: float = 0.05, least_p: float = 0.001) -> list[Row]:
    """List every tile of the current codec runs with its bytes and what science says of it.

    `value` is the largest 1 / p of the current detections whose cutouts touch the tile, not below
    1 nor above 1 / `least_p`; `anomalies` counts those with p at or below `most_p` whose centres
    lie in it. In raster order: frames by time of observation, tiles by row.
    """
    return store.rows(
        """
        WITH found AS (
            SELECT d.frame_digest, d.x, d.y, d.size_px, d.p_value
            FROM detections d
            JOIN current_runs r ON r.run_id = d.run_id
            WHERE d.p_value IS NOT NULL AND d.verdict <> 'artefact'
        )
        SELECT r.frame_digest, any_value(o.object_id) AS object_id, any_value(o.mjd) AS mjd,
               t.tile_row, t.tile_column, any_value(t.y0) AS y0, any_value(t.x0) AS x0,
               any_value(t.height) AS height, any_value(t.width) AS width,
               any_value(t.bytes)::BIGINT AS bytes, any_value(t.rmse) AS rmse,
               any_value(t.flat_rmse) AS flat_rmse, any_value(c.peak) AS peak,
               coalesce(max(1.0 / greatest(d.p_value, $1)), 1.0) AS value,
               count(*) FILTER (
                   WHERE d.p_value <= $2
                     AND d.y >= t.y0 AND d.y < t.y0 + t.height
                     AND d.x >= t.x0 AND d.x < t.x0 + t.width
               ) AS anomalies
        FROM codec_tiles t
        JOIN current_runs r ON r.run_id = t.run_id
        JOIN codec_runs c ON c.run_id = t.run_id
        LEFT JOIN current_observations o ON o.frame_digest = r.frame_digest
        LEFT JOIN found d
          ON d.frame_digest = r.frame_digest
         AND d.y + d.size_px / 2 >= t.y0 AND d.y - d.size_px / 2 < t.y0 + t.height
         AND d.x + d.size_px / 2 >= t.x0 AND d.x - d.size_px / 2 < t.x0 + t.width
        GROUP BY r.frame_digest, t.run_id, t.tile_row, t.tile_column
        ORDER BY any_value(o.mjd) NULLS LAST, r.frame_digest, t.tile_row, t.tile_column
        """,
        [least_p, most_p],
    )
