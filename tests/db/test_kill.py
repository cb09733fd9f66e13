"""kill -9 in the middle of writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jobs.bench.store import measure_kills


@pytest.mark.slow
def test_kill_9_loses_no_acknowledged_batch_and_leaves_no_partial_one(tmp_path: Path) -> None:
    found = measure_kills(tmp_path / "home", 4, np.random.default_rng(5))
    assert found["acknowledged_batches"] >= 4
    assert (found["lost_batches"], found["partial_batches"]) == (0, 0)
    assert found["unacknowledged_batches_kept"] <= 4
