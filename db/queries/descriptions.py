"""What a language model wrote about detections: machine text, kept apart from labels."""

from __future__ import annotations

from db.queries.paging import Reads, Row, only_row


def descriptions(store: Reads, detection_id: str) -> list[Row]:
    """List the descriptions of a detection, newest first."""
    return store.rows(
        """
        SELECT description_id, provider, model, text, made_at FROM descriptions
        WHERE detection_id = $1 ORDER BY made_at DESC, description_id
        """,
        [detection_id],
    )


def facts(store: Reads, detection_id: str) -> Row | None:
    """Return what a description may start from: picture, scores and catalogues, no labels."""
    return only_row(
        store.rows(
            """
            SELECT d.detection_id, d.kind, d.size_px, d.snr, d.ra_deg, d.dec_deg, d.verdict,
                   d.reason, d.p_value, d.class_name, d.class_probability, d.cosmic_ray_share,
                   d.cutout_file, o.source, o.band, o.exposure_s, o.instrument,
                   coalesce(s.state, 'not asked') AS catalogues
            FROM detections d
            LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
            LEFT JOIN object_states s ON s.detection_id = d.detection_id
            WHERE d.detection_id = $1
            """,
            [detection_id],
        )
    )
