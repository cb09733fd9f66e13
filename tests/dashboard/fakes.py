"""An owner without workers: it keeps what it is asked, over a real store."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from db import clusters, labels, mask_edits, saved_views, schedules
from db import requests as queue
from db.store import Store
from jobs.errors import UsageError
from jobs.intake_checks import check_upload
from jobs.labelling import Labelling
from jobs.schedule_checks import check_schedule
from jobs.settings import Settings


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class FakeOwner:
    """What pages see of an owner; requests stay queued."""

    store: Store
    settings: Settings
    turns: dict[str, datetime] = field(default_factory=dict)

    def enqueue(
        self, kind: str, payload: Mapping[str, Any], *, request_id: str, asked_by: str = ""
    ) -> dict[str, Any]:
        if kind == "scan" and ":" not in payload["source"]:
            raise UsageError(f"no source {payload['source']!r}: expected folder:..., sim:...")
        return queue.enqueue(
            self.store, kind, dict(payload), request_id=request_id, asked_by=asked_by, now=now()
        )

    def cancel(self, request_id: str) -> None:
        queue.cancel(self.store, request_id, now())

    def __post_init__(self) -> None:
        self.labelling = Labelling.over(self.store, self.settings, now)

    def label(
        self,
        detection_id: str,
        label: str,
        labeller: str,
        *,
        label_id: str,
        comment: str = "",
        seconds: float | None = None,
    ) -> None:
        labels.add_label(
            self.store,
            label_id=label_id,
            detection_id=detection_id,
            label=label,
            labeller=labeller,
            comment=comment,
            seconds=seconds,
            now=now(),
        )

    def undo(self, undoes: str, labeller: str, *, label_id: str) -> None:
        labels.undo_label(
            self.store, label_id=label_id, undoes=undoes, labeller=labeller, now=now()
        )

    def edit_mask(
        self,
        frame_digest: str,
        action: str,
        region: mask_edits.Region,
        editor: str,
        *,
        edit_id: str,
        run_id: str,
        threshold: float,
    ) -> None:
        mask_edits.add_edit(
            self.store,
            edit_id=edit_id,
            frame_digest=frame_digest,
            action=action,
            region=region,
            editor=editor,
            run_id=run_id,
            threshold=threshold,
            now=now(),
        )

    def undo_mask_edit(self, undoes: str, editor: str, *, edit_id: str) -> None:
        mask_edits.undo_edit(self.store, edit_id=edit_id, undoes=undoes, editor=editor, now=now())

    def schedules(self) -> list[dict[str, Any]]:
        return [
            {**row, "next_turn": self.turns.get(row["schedule_id"])}
            for row in schedules.list_schedules(self.store)
        ]

    def add_schedule(
        self,
        source: str,
        every_s: float | None = None,
        limit: int | None = None,
        *,
        cron: str | None = None,
        kind: str = "scan",
        policy: str = "normal",
        choice: str = "fixed",
    ) -> str:
        row = {"every_s": every_s, "cron": cron, "frame_limit": limit, "kind": kind,
               "policy": policy, "choice": choice, "paused": False}  # fmt: skip
        return self._put(uuid.uuid4().hex, {"source": source, **row})

    def change_schedule(
        self,
        schedule_id: str,
        *,
        every_s: float | None = None,
        cron: str | None = None,
        paused: bool | None = None,
        limit: int | None = None,
        policy: str | None = None,
    ) -> None:
        (row,) = [
            r for r in schedules.list_schedules(self.store) if r["schedule_id"] == schedule_id
        ]
        if every_s is not None or cron is not None:
            row |= {"every_s": every_s, "cron": cron}
        given = {"paused": paused, "frame_limit": limit, "policy": policy}
        self._put(schedule_id, row | {k: v for k, v in given.items() if v is not None})

    def remove_schedule(self, schedule_id: str) -> None:
        schedules.remove_schedule(self.store, schedule_id)

    def _put(self, schedule_id: str, row: dict[str, Any]) -> str:
        check_schedule(row, lambda _: None)
        columns = ("source", "every_s", "cron", "frame_limit", "paused", "kind", "policy", "choice")
        chosen = {name: row[name] for name in columns}
        schedules.put_schedule(self.store, schedule_id=schedule_id, now=now(), **chosen)
        return schedule_id

    def run_schedule_now(self, schedule_id: str, request_id: str) -> None:
        (row,) = [r for r in self.schedules() if r["schedule_id"] == schedule_id]
        payload = {"source": row["source"], "limit": row["frame_limit"]}
        self.enqueue("scan", payload, request_id=request_id, asked_by="schedule")

    def name_cluster(self, cluster_key: str, name: str, named_by: str, *, naming_id: str) -> None:
        clusters.name_cluster(
            self.store, naming_id=naming_id, cluster_key=cluster_key, name=name,
            named_by=named_by, now=now(),
        )  # fmt: skip

    def save_view(self, page: str, name: str, query: str, saved_by: str, *, saving_id: str) -> None:
        saved_views.save_view(
            self.store, saving_id=saving_id, page=page, name=name, query=query,
            saved_by=saved_by, now=now(),
        )  # fmt: skip

    def remove_view(self, page: str, name: str, removed_by: str, *, saving_id: str) -> None:
        saved_views.remove_view(
            self.store, saving_id=saving_id, page=page, name=name, removed_by=removed_by, now=now()
        )

    def store_upload(self, name: str, content: bytes) -> dict[str, Any]:
        check_upload(name, content, self.settings)
        return {"name": Path(name).name, "digest": self.store.files.put(content)}
