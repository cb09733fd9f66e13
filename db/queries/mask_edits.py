"""What people said about cosmic-ray masks."""

from __future__ import annotations

from db.queries.paging import Page, Reads, Row, only_row, page_of, rows_to_fetch, start_of_page


def edits_of_frame(store: Reads, frame_digest: str) -> list[Row]:
    """List a frame's log of edits, oldest first, undos included; `current` marks what holds."""
    return store.rows(
        """
        SELECT e.*, e.edit_id IN (SELECT edit_id FROM current_mask_edits) AS current
        FROM mask_edits e WHERE e.frame_digest = $1 ORDER BY e.edited_at, e.edit_id
        """,
        [frame_digest],
    )


def edit_to_undo(store: Reads, frame_digest: str, editor: str) -> Row | None:
    """Return the editor's latest edit of a frame that still holds, which an undo takes back."""
    return only_row(
        store.rows(
            """
            SELECT * FROM current_mask_edits WHERE frame_digest = $1 AND editor = $2
            ORDER BY edited_at DESC, edit_id DESC LIMIT 1
            """,
            [frame_digest, editor],
        )
    )


def page_of_edits(
    store: Reads, *, limit: int = 50, cursor: str | None = None, frame_digest: str | None = None
) -> Page:
    """List every row of the log, undone edits and undos included, oldest first.

    Raises StoreError on a cursor or limit that cannot be.
    """
    edited_at, edit_id = start_of_page(cursor, keys=2)
    rows = store.rows(
        """
        SELECT * FROM mask_edits
        WHERE ($1::VARCHAR IS NULL OR frame_digest = $1)
          AND ($3::VARCHAR IS NULL OR (edited_at, edit_id) > ($2::TIMESTAMPTZ, $3))
        ORDER BY edited_at, edit_id LIMIT $4
        """,
        [frame_digest, edited_at, edit_id, rows_to_fetch(limit)],
    )
    return page_of(rows, limit, ("edited_at", "edit_id"))


def page_of_edited_frames(store: Reads, *, limit: int = 50, cursor: str | None = None) -> Page:
    """List the frames whose mask has edits that hold, in order of their digest.

    Raises StoreError on a cursor or limit that cannot be.
    """
    (frame_digest,) = start_of_page(cursor, keys=1)
    rows = store.rows(
        """
        SELECT e.frame_digest, any_value(o.object_id) AS object_id, any_value(o.source) AS source,
               count(*) AS edits, bool_or(e.action = 'confirm') AS confirmed,
               list_sort(list(DISTINCT e.editor)) AS editors, max(e.edited_at) AS edited_at
        FROM current_mask_edits e LEFT JOIN current_observations o USING (frame_digest)
        WHERE $1::VARCHAR IS NULL OR e.frame_digest > $1
        GROUP BY e.frame_digest ORDER BY e.frame_digest LIMIT $2
        """,
        [frame_digest, rows_to_fetch(limit)],
    )
    return page_of(rows, limit, ("frame_digest",))


def edited_runs(store: Reads, model_digest: str, policy_digest: str, limit: int) -> list[Row]:
    """List the runs of one model and policy on frames whose mask has edits that hold."""
    return store.rows(
        """
        SELECT c.run_id, r.frame_digest, c.threshold, c.probability_array
        FROM cosmic_ray_runs c JOIN runs r USING (run_id)
        WHERE r.model_digest = $1 AND r.policy_digest = $2
          AND r.frame_digest IN (SELECT frame_digest FROM current_mask_edits)
        ORDER BY r.frame_digest LIMIT $3
        """,
        [model_digest, policy_digest, limit],
    )
