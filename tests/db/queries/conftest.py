from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store
from tests.store_factory import fill


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A filled store that tests only read: 6 frames, 4 detections on each of the first 5."""
    with Store.open(tmp_path_factory.mktemp("night")) as opened:
        fill(opened, frames=6, per_frame=4)
        yield opened
