"""How each labeller likes the page: one JSON object a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from db.queries.paging import Reads
from db.store import Store


def preferences_of(store: Reads, labeller: str) -> dict[str, Any]:
    """What `labeller` chose before; empty for who never did."""
    sql = "SELECT preferences FROM labeller_preferences WHERE labeller = $1"
    found = store.rows(sql, [labeller])
    kept: dict[str, Any] = json.loads(found[0]["preferences"]) if found else {}
    return kept


def keep_preferences(
    store: Store, labeller: str, preferences: Mapping[str, Any], now: datetime
) -> None:
    """Keep the choices of `labeller` in place of earlier ones."""
    store.move(
        """
        INSERT INTO labeller_preferences VALUES (?, ?, ?)
        ON CONFLICT (labeller) DO UPDATE SET preferences = excluded.preferences,
            changed_at = excluded.changed_at
        RETURNING labeller
        """,
        [labeller, json.dumps(dict(preferences), sort_keys=True), now],
    )
