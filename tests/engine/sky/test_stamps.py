from __future__ import annotations

import numpy as np
import pytest

from engine.sky import STAMP_KINDS, FieldConditions, galaxy_stamp


@pytest.mark.parametrize("kind", STAMP_KINDS)
def test_a_stamp_holds_a_bright_object_near_its_middle(kind: str) -> None:
    stamp = galaxy_stamp(np.random.default_rng(5), kind, 64)
    assert stamp.shape == (64, 64)
    assert stamp.dtype == np.float32
    sky = np.median(stamp)
    assert stamp[20:44, 20:44].mean() > sky + 3 * stamp[:12].std() / 24


def test_stamps_repeat_with_their_seed() -> None:
    first = galaxy_stamp(np.random.default_rng(1), "spiral")
    assert np.array_equal(first, galaxy_stamp(np.random.default_rng(1), "spiral"))
    assert not np.array_equal(first, galaxy_stamp(np.random.default_rng(2), "spiral"))


def test_stamps_take_the_conditions_given() -> None:
    dark = FieldConditions(background_e=10.0, galaxy_snr=1.0)
    assert np.median(galaxy_stamp(np.random.default_rng(1), "star", conditions=dark)) < 20


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no stamp of kind 'comet'"):
        galaxy_stamp(np.random.default_rng(0), "comet")
