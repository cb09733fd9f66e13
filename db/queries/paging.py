"""Keyset paging: a page of rows and an opaque cursor that says where the next one begins."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from db.errors import StoreError

Row = dict[str, Any]
LONGEST_PAGE = 1000


class Reads(Protocol):
    """What a query needs of the store."""

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a query as dicts."""
        ...


@dataclass(frozen=True)
class Page:
    """A page of rows; `next` is the cursor of the following page, None after the last."""

    rows: list[Row]
    next: str | None


def start_of_page(cursor: str | None, *, keys: int) -> list[Any]:
    """Return the last key of the page before, as many Nones when this is the first page.

    Raises StoreError when the cursor is not one that a page of this list gave.
    """
    if cursor is None:
        return [None] * keys
    try:
        last = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
    except (binascii.Error, ValueError) as error:
        raise StoreError(f"{cursor!r} is not a cursor: begin again without one") from error
    plain = isinstance(last, list) and all(
        value is None or isinstance(value, str | int | float) for value in last
    )
    if not plain or len(last) != keys or not isinstance(last[-1], str):
        raise StoreError(f"{cursor!r} is the cursor of another list: begin again without one")
    return list(last)


def page_of(rows: list[Row], limit: int, keys: Sequence[str]) -> Page:
    """Cut `limit + 1` fetched rows to a page; `keys` name the columns the list is ordered by."""
    if len(rows) <= limit:
        return Page(rows, None)
    last = [rows[limit - 1][key] for key in keys]
    text = json.dumps(last, default=str)
    return Page(rows[:limit], base64.urlsafe_b64encode(text.encode()).decode("ascii"))


def keyed_page(rows: list[Row], limit: int) -> Page:
    """Cut fetched rows ordered by their columns key_0, key_1 and detection_id, without the keys."""
    page = page_of(rows, limit, ("key_0", "key_1", "detection_id"))
    keys = ("key_0", "key_1")
    return Page([{k: v for k, v in row.items() if k not in keys} for row in page.rows], page.next)


def rows_to_fetch(limit: int) -> int:
    """Return one more than a page holds, so that a next page shows itself.

    Raises StoreError when `limit` is not in 1..1000.
    """
    if not 1 <= limit <= LONGEST_PAGE:
        raise StoreError(f"a page holds 1 to {LONGEST_PAGE} rows, got {limit}: change the limit")
    return limit + 1


def only_row(rows: list[Row]) -> Row | None:
    """Return the first row, or None when there is none."""
    return rows[0] if rows else None
