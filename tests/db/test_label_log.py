"""Any sequence of labels and undos agrees with a plain model of who thinks what."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from db.errors import StoreError
from db.labels import LABELS, add_label, undo_label
from db.store import Store

START = datetime(2026, 11, 20, tzinfo=UTC)
DETECTION = {
    "run_id": "r",
    "frame_digest": "f",
    "kind": "source",
    "x": 0.0,
    "y": 0.0,
    "size_px": 1,
    "verdict": "normal",
    "reason": "",
    "embedder": "e",
    "reference": "r",
    "cutout_file": "c",
    "detected_at": START,
}
people = st.sampled_from(["ann", "bob"])
things = st.sampled_from(["d0", "d1"])


class LabelLog(RuleBasedStateMachine):
    """`stacks` holds, for each person and thing, the labels given and not taken back, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store.open(Path(self.folder.name), threads=1)
        rows = [{**DETECTION, "detection_id": name} for name in ("d0", "d1")]
        self.store.write({"detections": rows})
        self.stacks: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self.said = 0

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(person=people, thing=things, label=st.sampled_from(LABELS), late_s=st.integers(-2, 2))
    def label(self, person: str, thing: str, label: str, late_s: int) -> None:
        label_id = self.new_id()
        for _ in range(1 + self.said % 2):
            add_label(
                self.store,
                label_id=label_id,
                detection_id=thing,
                label=label,
                labeller=person,
                now=START + timedelta(seconds=late_s),
            )
        self.stacks.setdefault((person, thing), []).append((label_id, label))

    @rule(person=people, thing=things)
    def undo(self, person: str, thing: str) -> None:
        stack = self.stacks.get((person, thing), [])
        if stack:
            undoes = stack.pop()[0]
            undo_label(
                self.store, label_id=self.new_id(), undoes=undoes, labeller=person, now=START
            )

    @rule(person=people, thing=things)
    def undo_an_older_one(self, person: str, thing: str) -> None:
        for label_id, _ in self.stacks.get((person, thing), [])[:-1]:
            with pytest.raises(StoreError, match="own latest label"):
                undo_label(
                    self.store, label_id="refused", undoes=label_id, labeller=person, now=START
                )

    @invariant()
    def current_labels_are_the_tops_of_the_stacks(self) -> None:
        expected = {key: stack[-1] for key, stack in self.stacks.items() if stack}
        rows = self.store.rows("FROM current_labels")
        found = {
            (row["labeller"], row["detection_id"]): (row["label_id"], row["label"]) for row in rows
        }
        assert found == expected
        assert len(rows) == len(expected)
        assert self.store.rows("SELECT count(*) AS n FROM labels") == [{"n": self.said}]

    def new_id(self) -> str:
        self.said += 1
        return f"{(self.said * 7919) % 1000:03d}"


LabelLog.TestCase.settings = settings(
    max_examples=8,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLabelLog = LabelLog.TestCase
