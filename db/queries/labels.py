"""The log of labels, as it was written."""

from __future__ import annotations

from db.queries.paging import Page, Reads, page_of, rows_to_fetch, start_of_page


def page_of_labels(store: Reads, *, limit: int = 50, cursor: str | None = None) -> Page:
    """List every row of the log, undone ones and undos included, oldest first.

    Raises StoreError on a cursor or limit that cannot be.
    """
    labelled_at, label_id = start_of_page(cursor, keys=2)
    rows = store.rows(
        """
        SELECT * FROM labels
        WHERE $2::VARCHAR IS NULL OR (labelled_at, label_id) > ($1::TIMESTAMPTZ, $2)
        ORDER BY labelled_at, label_id LIMIT $3
        """,
        [labelled_at, label_id, rows_to_fetch(limit)],
    )
    return page_of(rows, limit, ["labelled_at", "label_id"])
