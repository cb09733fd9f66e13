"""Other people's detectors: their weights fold into our network, their masks stay honest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from engine.cosmicrays.baselines import gain_of, run_deepcr, run_lacosmic
from engine.cosmicrays.deepcr import PARTS, installed_deepcr, load_deepcr
from engine.cosmicrays.lacosmic import read_noise_of
from engine.cosmicrays.scaling import NoiseScale
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.errors import ModelError, NotApplicable
from engine.frame import Frame, Origin, Pixels

MakeFrame = Callable[..., Frame]
THEIRS = {ours: theirs for theirs, ours in PARTS.items()}


def their_name(name: str) -> str:
    part, _, rest = name.partition(".")
    return f"module.{THEIRS[part]}.{rest}"


def save_state(path: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save({their_name(name): value for name, value in state.items()}, path)
    return path


def test_batch_norm_weights_are_folded(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = UNet2Sigmoid(4, batch_norm=True)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    loaded = load_deepcr(save_state(tmp_path / "bn.pth", dict(net.state_dict())))
    x = torch.randn(1, 1, 12, 12)
    assert loaded.hidden == 4
    torch.testing.assert_close(loaded(x), net.eval()(x), rtol=1e-4, atol=1e-5)


def test_weight_norm_weights_are_folded(tmp_path: Path, plain_net: UNet2Sigmoid) -> None:
    state: dict[str, torch.Tensor] = {}
    for name, value in plain_net.state_dict().items():
        if name.startswith(("up", "leave")) or name.endswith("bias"):
            state[name] = value
            continue
        norm = value.flatten(1).norm(dim=1)[:, None, None, None]
        state[f"{name}_g"], state[f"{name}_v"] = norm, 3 * value
    loaded = load_deepcr(save_state(tmp_path / "wn.pth", state))
    x = torch.randn(1, 1, 12, 12)
    torch.testing.assert_close(loaded(x), plain_net(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "state",
    [{"module.inc.conv.conv.0.weight": torch.zeros(4, 1, 3, 3)}, {"encoder": torch.zeros(1)}],
)
def test_other_networks_are_refused(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="not a two-level mask model"):
        load_deepcr(tmp_path / "other.pth")


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.pth"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="no weights that can be read"):
        load_deepcr(path)
    with pytest.raises(ModelError, match="no weights that can be read"):
        load_deepcr(tmp_path / "absent.pth")


def test_the_installed_package_has_its_models_or_says_what_to_install() -> None:
    with pytest.raises(ModelError, match=r"skysieve\[deepcr\]"):
        installed_deepcr("no-such-model")


def test_deepcr_runs_on_electrons(tmp_path: Path, plain_net: UNet2Sigmoid, noise: Pixels) -> None:
    weights = save_state(tmp_path / "plain.pth", dict(plain_net.state_dict()))
    electrons = Frame.of(noise, Origin("test", "e"), unit="electron")
    counts = Frame.of(noise / 2, Origin("test", "adu", gain_e_per_adu=2.0), unit="adu")
    left, right = run_deepcr(electrons, weights), run_deepcr(counts, weights)
    np.testing.assert_allclose(left.probability, right.probability, atol=1e-6)
    assert (left.samples, left.method) == (1, "deepcr")


def test_counts_without_a_gain_do_not_apply(noise: Pixels) -> None:
    frame = Frame.of(noise, Origin("test", "adu"), unit="adu")
    with pytest.raises(NotApplicable, match="in adu with no gain stated"):
        gain_of(frame.unit, frame.origin)


def test_lacosmic_finds_a_hit_and_spares_bad_pixels(make_frame: MakeFrame, noise: Pixels) -> None:
    pixels = noise.copy()
    pixels[20:26, 30] += 1500
    pixels[50, 10] = np.nan
    result = run_lacosmic(make_frame(pixels))
    assert result.mask[20:26, 30].all()
    assert not result.mask[50, 10]
    assert result.mask.mean() < 0.02
    assert np.isnan(result.probability).all()
    assert (result.samples, result.method) == (0, "lacosmic")


def test_read_noise_is_stated_or_what_photons_leave_over(make_frame: MakeFrame) -> None:
    stated = Frame.of(np.ones((4, 4)), Origin("t", "x", read_noise_e=3.5), unit="electron")
    assert read_noise_of(stated.origin, NoiseScale(100, 10)) == 3.5
    assert read_noise_of(make_frame(np.ones((4, 4))).origin, NoiseScale(100, 13)) == pytest.approx(
        69**0.5
    )
    assert read_noise_of(make_frame(np.ones((4, 4))).origin, NoiseScale(100, 5)) == 1.0
