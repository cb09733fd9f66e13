"""Near duplicates are linked and not stored; another night of the same field is no duplicate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from db.check import consistency
from db.queries.sources import near_duplicates
from db.store import Store
from engine.frame import Frame, Origin
from engine.likeness import distance_bits, likeness_of
from jobs.cycle import Counts
from jobs.duplicates import NearDuplicates
from tests.jobs import stubs
from tests.jobs.stubs import InlineWorkers, cycle, source_of


def scene(seed: int = 0, noise: int = 0, scale: float = 1.0, **origin: float) -> Frame:
    """A smooth scene; `noise` is another reading of it, a percent of its contrast."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(48, 48)), 4)
    rng = np.random.default_rng(1000 + noise)
    pixels = 100 + 1000 * smooth + (rng.normal(0, 0.5, (48, 48)) if noise else 0)
    named = Origin("folder:/taken", f"{seed}-{noise}", uri=f"file:///{seed}-{noise}", **origin)
    return Frame.of((scale * pixels).astype(np.float32), named)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr("os.fsync", lambda _: None)
    stubs.use_stub_pipelines(monkeypatch)
    with stubs.opened(tmp_path / "home") as store:
        yield store


def taken(store: Store, *frames: Frame, **options: object) -> Counts:
    return cycle(store, source_of(*frames), workers=InlineWorkers(1), **options).run()


def test_the_same_scene_read_again_is_linked_and_counted(store: Store) -> None:
    counts = taken(store, scene(0), scene(0, noise=1), scene(1), scene(0, noise=2, scale=2.0))
    assert (counts.asked, counts.stored, counts.duplicates) == (4, 2, 2)
    links = near_duplicates(store)
    assert {link["object_id"] for link in links} == {"0-1", "0-2"}
    (kept,) = {link["frame_digest"] for link in links}
    assert kept == scene(0).digest
    assert all(link["correlation"] >= 0.995 and link["distance_bits"] <= 3 for link in links)
    assert {link["other_digest"] for link in links} == {
        scene(0, noise=1).digest, scene(0, noise=2, scale=2.0).digest,
    }  # fmt: skip
    assert consistency(store) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"mjd": 60000.0}, {"mjd": 60001.0}),
        ({"ra_deg": 10.0, "dec_deg": 5.0}, {"ra_deg": 10.01, "dec_deg": 5.0}),
        ({"ra_deg": 10.0, "dec_deg": 5.0}, {}),
        ({"band": "g"}, {"band": "r"}),
    ],
)
def test_another_time_place_or_band_is_another_frame(
    store: Store, first: dict[str, float], second: dict[str, float]
) -> None:
    """A supernova is what differs between two pictures that look alike."""
    counts = taken(store, scene(0, **first), scene(0, noise=1, **second))
    assert (counts.stored, counts.duplicates) == (2, 0)


def test_they_can_be_kept(store: Store) -> None:
    counts = taken(store, scene(0), scene(0, noise=1), near_duplicates=NearDuplicates(bits=-1))
    assert counts.stored == 2


def test_a_change_that_matters_is_no_near_duplicate(store: Store) -> None:
    changed = scene(0)
    pixels = changed.pixels.copy()
    pixels[20:24, 20:24] += 2000
    new_star = replace(changed, pixels=pixels)
    assert taken(store, scene(0), new_star).stored == 2


def test_a_hash_ignores_brightness_and_a_flat_frame_is_like_nothing() -> None:
    first, second = likeness_of(scene(3)), likeness_of(scene(3, scale=7.0))
    assert distance_bits(first.hash, second.hash) == 0
    assert np.dot(first.thumbnail, second.thumbnail) == pytest.approx(1.0)
    flat = Frame.of(np.full((32, 32), 5.0, np.float32), Origin("a", "b"))
    assert not any(likeness_of(flat).thumbnail)
