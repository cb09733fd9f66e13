"""The log of labels inside one transaction: what it says of some detections, and what is added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from db.batches import Columns, encode
from db.database import Connection
from db.errors import ConflictError, StoreError
from db.label_csv import Label
from db.store import insert, select

UNDO = "undo"
_STEP = timedelta(microseconds=1)
_FOUND = """
    SELECT * FROM labels
    WHERE label_id IN (SELECT unnest($1::VARCHAR[]))
       OR detection_id IN (SELECT unnest($2::VARCHAR[]))
    ORDER BY labelled_at, label_id
"""
_DETECTIONS = "SELECT detection_id FROM detections WHERE detection_id IN (SELECT unnest(?))"
Pair = tuple[str, str]


class LabelLog:
    """What the log says of the detections of `rows`, read once and kept up as rows are added.

    `holding` names for each detection and labeller the labels not taken back, the latest last.
    """

    def __init__(self, connection: Connection, rows: Sequence[Label]) -> None:
        self._connection = connection
        detections = sorted({row["detection_id"] for row in rows})
        found: list[Label] = select(
            connection, _FOUND, [[row["label_id"] for row in rows], detections]
        ).to_pylist()
        self._detections = set(
            select(connection, _DETECTIONS, [detections])["detection_id"].to_pylist()
        )
        self._said: dict[str, Label] = {}
        self._last: dict[Pair, datetime] = {}
        self.holding: dict[Pair, list[str]] = {}
        self.fresh: list[Label] = []
        undone = {row["undoes"] for row in found}
        for row in found:
            self._take_up(row, holds=row["label_id"] not in undone)

    def add(self, row: Label, now: datetime) -> Label:
        """Add a row, or return the one that its id said before.

        It comes just after what its labeller said last if the clock went back. Raises StoreError
        for an unknown detection or a label that cannot be taken back, ConflictError when the id
        said something else before.
        """
        said = self._said.get(row["label_id"])
        if said is not None:
            if any(said[name] != value for name, value in row.items()):
                raise ConflictError(
                    f"label {row['label_id']} already says {said['label']} on "
                    f"{said['detection_id']}; use a new id for a new label"
                )
            return said
        if row["detection_id"] not in self._detections:
            raise StoreError(
                f"expected the id of a detection, got {row['detection_id']!r}: unknown"
            )
        pair = (row["detection_id"], row["labeller"])
        if row["label"] == UNDO:
            self._take_back(pair, row["undoes"])
        last = self._last.get(pair)
        labelled_at = now if last is None else max(now, last + _STEP)
        whole = {**row, "labelled_at": labelled_at}
        self.fresh.append(whole)
        self._take_up(whole, holds=True)
        return whole

    def write(self, tables: Mapping[str, Columns]) -> None:
        """Append what was added to the table."""
        for part in encode({"labels": self.fresh}, tables):
            insert(self._connection, part)

    def _take_up(self, row: Label, *, holds: bool) -> None:
        pair = (row["detection_id"], row["labeller"])
        self._said[row["label_id"]] = row
        self._last[pair] = max(row["labelled_at"], self._last.get(pair, row["labelled_at"]))
        if holds and row["label"] != UNDO:
            self.holding.setdefault(pair, []).append(row["label_id"])

    def _take_back(self, pair: Pair, undoes: Any) -> None:
        stack = self.holding.get(pair, [])
        if not stack or stack[-1] != undoes:
            raise StoreError(
                f"expected {pair[1]}'s own latest label on a detection, got {undoes!r}, which "
                "is another's, an older one, or taken back already"
            )
        stack.pop()
