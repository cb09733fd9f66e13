"""A store in a temporary home, and rows to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from db.labels import add_label
from db.store import Store
from db.transfer import backup

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)

Batch = dict[str, list[dict[str, Any]]]


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store.open(home, now=lambda: NOW) as opened:
        yield opened


@pytest.fixture
def schedule() -> Callable[..., dict[str, Any]]:
    """Make one valid row of `schedules`, the plainest table with a key, a check and a default."""

    def row(schedule_id: str = "s1", **changed: Any) -> dict[str, Any]:
        plain = {"source": "sim:demo", "every_s": 60.0, "created_at": NOW, "changed_at": NOW}
        return {"schedule_id": schedule_id, **plain, **changed}

    return row


@pytest.fixture
def analysed(store: Store) -> Store:
    """A store that holds one frame, whole: its run, three detections d0 to d2, and their files."""
    fill(store)
    return store


@pytest.fixture(scope="session")
def archived(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a backup of such a store, with a label and a second, larger file."""
    folder = tmp_path_factory.mktemp("archived")
    with Store.open(folder / "home", now=lambda: NOW) as store:
        fill(store)
        add_label(store, label_id="l1", detection_id="d1", label="accept", labeller="a", now=NOW)
        store.files.put(b"x" * 100_000)
        backup(store, folder / "night.backup")
    return (folder / "night.backup").read_bytes()


def fill(store: Store) -> None:
    """Write one frame with all that refers to it."""
    picture = store.files.put(b"picture")
    cycle = {"cycle_id": "c1", "source": "sim:demo", "state": "done", "started_at": NOW}
    frame = {
        "frame_digest": "f1",
        "height": 8,
        "width": 8,
        "planes": 1,
        "sample_type": "int16",
        "unit": "adu",
        "masked_pixels": 0,
        "pixels_file": picture,
        "preview_file": picture,
        "stored_at": NOW,
    }
    run = {
        "run_id": "r1",
        "frame_digest": "f1",
        "pipeline": "anomaly",
        "model_digest": "m1",
        "policy_digest": "p1",
        "status": "ok",
        "duration_s": 0.5,
        "cycle_id": "c1",
        "finished_at": NOW,
    }
    model = {
        "model_digest": "m1",
        "name": "knn",
        "pipeline": "anomaly",
        "card": {"k": 5},
        "registered_at": NOW,
    }
    policy = {"policy_digest": "p1", "pipeline": "anomaly", "policy": {}, "registered_at": NOW}
    detections = [
        {
            "detection_id": f"d{index}",
            "run_id": "r1",
            "frame_digest": "f1",
            "kind": "source",
            "x": 4.0,
            "y": 4.0,
            "size_px": 4,
            "verdict": "candidate",
            "reason": "far from the reference",
            "embedder": "e",
            "reference": "ref",
            "cutout_file": picture,
            "detected_at": NOW,
        }
        for index in range(3)
    ]
    batch: Batch = {
        "cycles": [cycle],
        "frames": [frame],
        "runs": [run],
        "models": [model],
        "policies": [policy],
        "detections": detections,
        "embeddings": [{"detection_id": "d0", "embedder": "e", "vector": [0.25, -1.5]}],
    }
    store.write(batch)
