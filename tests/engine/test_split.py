from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.split import split_of


@given(st.text())
def test_a_key_stays_in_its_split(key: str) -> None:
    assert split_of(key) == split_of(key)


@given(st.text())
def test_a_larger_test_share_only_adds_to_the_test_split(key: str) -> None:
    if split_of(key, test=0.1) == "test":
        assert split_of(key, test=0.5) == "test"


def test_shares_are_kept() -> None:
    names = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(4000)]
    splits = [split_of(name, calibrate=0.3, test=0.1) for name in names]
    assert splits.count("test") / 4000 == pytest.approx(0.1, abs=0.02)
    assert splits.count("calibrate") / 4000 == pytest.approx(0.3, abs=0.03)
    assert splits.count("fit") / 4000 == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize(("calibrate", "test"), [(0.5, 0.5), (-0.1, 0.2), (0.2, -0.1)])
def test_shares_that_leave_nothing_to_fit_are_refused(calibrate: float, test: float) -> None:
    with pytest.raises(ValueError, match="shares must be"):
        split_of("key", calibrate=calibrate, test=test)
