"""Modules leave the collector's sight once, not with every run."""

from __future__ import annotations

import gc
import sys
import types

import pytest

from dashboard import lasting


def test_what_is_alive_is_frozen_again_only_when_modules_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    try:
        lasting.freeze_modules()
        first = gc.get_freeze_count()
        assert first > 10_000
        kept = [[number] for number in range(1000)]
        lasting.freeze_modules()
        assert gc.get_freeze_count() <= first
        monkeypatch.setitem(sys.modules, "brought_by_a_page", types.ModuleType("brought"))
        lasting.freeze_modules()
        assert gc.get_freeze_count() >= first + len(kept)
    finally:
        gc.unfreeze()
