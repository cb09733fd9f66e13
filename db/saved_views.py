"""Views of a page that people saved under a name: a log that only grows."""

from __future__ import annotations

from datetime import datetime

from db.errors import ConflictError, StoreError
from db.queries.paging import Reads, Row
from db.store import Store

LONGEST_NAME = 80
LONGEST_QUERY = 4000


def save_view(
    store: Store, *, saving_id: str, page: str, name: str, query: str, saved_by: str, now: datetime
) -> Row:
    """Keep `query` (what follows the question mark of `page`) under a name; return its row.

    A name that is taken is given to the new view; the same `saving_id` again changes nothing.
    Raises StoreError for a name or query that is empty or too long, ConflictError for a saving_id
    that saved something else.
    """
    name, saved_by = " ".join(name.split()), saved_by.strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise StoreError(f"a view's name has 1 to {LONGEST_NAME} letters, got {len(name)}")
    if not saved_by:
        raise StoreError("expected the name of who saves the view, got an empty one")
    if len(query) > LONGEST_QUERY:
        raise StoreError(f"a view's address has at most {LONGEST_QUERY} letters, got {len(query)}")
    return _write(store, saving_id, page, name, query, saved_by, now)


def remove_view(
    store: Store, *, saving_id: str, page: str, name: str, removed_by: str, now: datetime
) -> None:
    """Take a view away by a further row. Raises StoreError where there is none of that name."""
    if not any(row["name"] == name for row in saved_views(store, page)):
        raise StoreError(f"no saved view {name!r} of the page {page!r}")
    _write(store, saving_id, page, name, None, removed_by, now)


def saved_views(store: Reads, page: str) -> list[Row]:
    """List the saved views of a page by name."""
    return store.rows(
        "SELECT * FROM current_saved_views WHERE page = $1 ORDER BY lower(name), name", [page]
    )


def _write(
    store: Store,
    saving_id: str,
    page: str,
    name: str,
    query: str | None,
    saved_by: str,
    now: datetime,
) -> Row:
    row = {"saving_id": saving_id, "page": page, "name": name, "query": query,
           "saved_by": saved_by}  # fmt: skip
    store.write({"saved_views": [{**row, "saved_at": now}]})
    (kept,) = store.rows("SELECT * FROM saved_views WHERE saving_id = $1", [saving_id])
    if any(kept[column] != value for column, value in row.items()):
        raise ConflictError(f"saving {saving_id} kept another view: use a new id for a new view")
    return kept
