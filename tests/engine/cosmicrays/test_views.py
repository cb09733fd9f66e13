"""Eight views: the kernels are turned instead of the frame, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.cosmicrays import precision
from engine.cosmicrays.maps import evidence_maps
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.views import viewed_nets
from engine.errors import ModelError


def test_turned_kernels_see_what_the_net_sees_of_a_turned_frame(plain_net: UNet2Sigmoid) -> None:
    frame = np.random.default_rng(0).normal(0, 2, (24, 36)).astype(np.float32)

    def probability(view: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(np.ascontiguousarray(view))[None, None]
        with torch.no_grad():
            return plain_net(x)[0, 0].numpy()

    by_turning_frames = []
    for turns in range(4):
        for mirrored in (False, True):
            turned = np.rot90(frame, turns)
            seen = probability(turned[::-1] if mirrored else turned)
            by_turning_frames.append(np.rot90(seen[::-1] if mirrored else seen, -turns))
    maps = evidence_maps(viewed_nets(plain_net, 8), frame)
    np.testing.assert_allclose(maps.probability, np.mean(by_turning_frames, axis=0), atol=1e-6)
    assert np.std(by_turning_frames, axis=0).max() > 1e-3
    assert maps.mutual_information.max() > 1e-6


@pytest.mark.parametrize("shape", [(61, 75), (64, 50)])
def test_views_leave_no_seam(plain_net: UNet2Sigmoid, shape: tuple[int, int]) -> None:
    scaled = np.random.default_rng(3).normal(0, 3, shape).astype(np.float32)
    nets = viewed_nets(plain_net, 8)
    whole, tiled = evidence_maps(nets, scaled), evidence_maps(nets, scaled, tile_px=16)
    np.testing.assert_allclose(tiled.probability, whole.probability, atol=1e-5)
    np.testing.assert_allclose(tiled.mutual_information, whole.mutual_information, atol=1e-5)


def test_one_view_is_the_net_itself(plain_net: UNet2Sigmoid) -> None:
    assert viewed_nets(plain_net, 1) == (plain_net,)
    with pytest.raises(ValueError, match="one of \\(1, 8\\), got 4"):
        viewed_nets(plain_net, 4)


@pytest.mark.skipif(not precision.bfloat16_is_native(), reason="the processor has no bfloat16")
def test_bfloat16_stays_close_to_float32(plain_net: UNet2Sigmoid) -> None:
    scaled = np.random.default_rng(4).normal(0, 2, (32, 32)).astype(np.float32)
    exact = evidence_maps((plain_net,), scaled).probability
    rough = evidence_maps((plain_net,), scaled, precision="bfloat16").probability
    assert 0 < np.abs(rough - exact).max() < 0.05
    assert rough.dtype == np.float32


def test_bfloat16_is_refused_where_it_is_emulated(
    plain_net: UNet2Sigmoid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(ModelError, match="no bfloat16 arithmetic"):
        evidence_maps((plain_net,), np.zeros((4, 4), np.float32), precision="bfloat16")
