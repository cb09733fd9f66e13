"""Fitted tables are tables, and cost the symbols they were fitted on less than the Gaussian's."""

from __future__ import annotations

import numpy as np
import pytest

from engine.codec import fitting
from engine.codec.corpus import Group
from engine.codec.learned import TileEncoder
from engine.codec.model import CodecModel, freeze
from engine.codec.tables import TOTAL, gaussian_tables
from engine.codec.transform import analyse
from engine.frame import Frame


def test_fitted_tables_save_bits(
    ground: Frame, tiny_model: CodecModel, monkeypatch: pytest.MonkeyPatch
):
    image = ground.pixels.astype(np.float32) - 128
    monkeypatch.setattr(fitting, "CROPS", 8)
    monkeypatch.setattr(fitting, "SIDE", 64)
    network = tiny_model.network
    tables = fitting.fitted_tables(network, (Group("ground", 1.0, (image,)),), 0, rounds=1)
    for half in tables.halves:
        assert half[0] + 2 * half[1:-1].sum() + half[-1] == TOTAL
    fitted = CodecModel.from_bytes(freeze(network, tables))
    latents, hyper = analyse(tiny_model, image[:64, :64])
    bits = [TileEncoder(model, latents, hyper).bits(100) for model in (tiny_model, fitted)]
    assert bits[1] < 0.97 * bits[0]


def test_without_symbols_the_gaussian_stays():
    half = gaussian_tables().halves[20]
    mixed = fitting._mixed(np.zeros(len(half)), half)
    np.testing.assert_allclose(mixed / TOTAL, half / TOTAL, atol=1e-5)
