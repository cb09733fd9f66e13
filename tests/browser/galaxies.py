"""A small pool of real galaxies: odd ones among normals, as the anomaly bench embeds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.anomalies.embedders import DEFAULT_EMBEDDER, make_embedder
from jobs.bench.anomalies.pictures import datasets, tasks
from jobs.bench.anomalies.ranking import Material
from jobs.bench.anomaly import material_of
from jobs.bench.labelling_pool import GalaxyPool

NORMALS, ODD = 65, 20


def galaxy_pool(data: Path, rng: np.random.Generator, cache: Path | None = None) -> GalaxyPool:
    """Draw 65 normals and 20 odd galaxies of one survey, and embed them (kept in `cache`)."""
    sets = datasets(data)
    wanted = {"gz_examples": sets["gz_examples"]}
    task = next(task for task in tasks(wanted) if task.name == "odd_sloan")
    rows = np.concatenate(
        [
            rng.permutation(task.rows[~task.odd])[:NORMALS],
            rng.permutation(task.rows[task.odd])[:ODD],
        ]
    )
    truth = np.arange(len(rows)) >= int(min((~task.odd).sum(), NORMALS))
    pictures = [sets["gz_examples"][row] for row in rows.tolist()]
    material: Material = material_of(
        pictures, make_embedder(DEFAULT_EMBEDDER), cache, lambda _: None
    )
    return GalaxyPool(pictures, material, np.arange(len(rows)), truth)
