"""Cursors and listed items kept in memory, for tests of sources that need no store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any


class MemoryDesk:
    """A `jobs.sources.network.Desk`; a test says what was settled."""

    def __init__(self) -> None:
        self.cursors: dict[str, Any] = {}
        self.complaints: list[str] = []
        self.failed: list[str] = []
        self._rows: list[dict[str, Any]] = []
        self._settled: set[tuple[str, str]] = set()

    def cursor(self, source: str) -> Any:
        return json.loads(json.dumps(self.cursors.get(source)))

    def keep(self, source: str, items: Iterable[Mapping[str, Any]], cursor: Any) -> int:
        known = {(row["uri"], row["fingerprint"]) for row in self._rows}
        fresh = [
            json.loads(json.dumps(item))
            for item in items
            if (item["uri"], item["fingerprint"]) not in known
        ]
        self._rows += fresh
        self.cursors[source] = cursor
        return len(fresh)

    def waiting(self, source: str, limit: int) -> list[dict[str, Any]]:
        rows = [row for row in self._rows if (row["uri"], row["fingerprint"]) not in self._settled]
        return rows[:limit]

    def attempts(self, source: str, uri: str) -> int:
        return self.failed.count(uri)

    def complain(self, source: str, reason: str) -> None:
        self.complaints.append(reason)

    def settle(self, uri: str, fingerprint: str) -> None:
        """An item is taken in, or failed for good."""
        self._settled.add((uri, fingerprint))
