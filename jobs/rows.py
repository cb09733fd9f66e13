"""Rows by table and the files they name, gathered for one transaction."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


@dataclass
class Record:
    """Rows by table and the files they name, gathered for one transaction."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def row(self, table: str, **columns: Any) -> None:
        """Add a row."""
        self.rows.setdefault(table, []).append(columns)

    def file(self, content: bytes) -> str:
        """Add a file and return its digest."""
        digest = hashlib.sha256(content).hexdigest()
        self.files[digest] = content
        return digest

    def merge(self, other: Record) -> None:
        """Take in another record's rows and files."""
        for table, rows in other.rows.items():
            self.rows.setdefault(table, []).extend(rows)
        self.files.update(other.files)
