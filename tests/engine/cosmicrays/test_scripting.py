"""The interface of deepCR: what its scripts call, and that it is deepCR's own answer."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.cosmicrays import deepCR, train
from engine.cosmicrays.mask_models import load_mask_model
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.variational import UNet2SigmoidVI
from engine.errors import FrameError, ModelError, NotApplicable, UnreadableFile
from engine.frame import Pixels

PROJECT = Path(__file__).parents[3]


def labelled(count: int, side: int = 24, seed: int = 0) -> np.ndarray:
    """Images, masks and pixels to ignore, (count, 3, side, side), with a bright track each."""
    rng = np.random.default_rng(seed)
    planes = np.zeros((count, 3, side, side), np.float32)
    planes[:, 0] = rng.normal(100, 8, (count, side, side))
    for one in planes:
        row = int(rng.integers(2, side - 8))
        one[0, row : row + 6, row] += 900
        one[1, row : row + 6, row] = 1
    planes[:, 2, 0] = 1
    return planes


@pytest.fixture
def train_dirs(tmp_path: Path) -> list[str]:
    """The seed's layout: one .npy file of (3, W, W) an image."""
    paths = [tmp_path / f"{number}_image.npy" for number in range(1, 11)]
    for path, planes in zip(paths, labelled(10), strict=True):
        np.save(path, planes)
    return [str(path) for path in paths]


@pytest.mark.slow
@pytest.mark.parametrize("bayesian", [False, True])
def test_the_seeds_examples_work_as_written(
    train_dirs: list[str], tmp_path: Path, bayesian: bool
) -> None:
    options = {"kl_beta": 1e-6} if bayesian else {}
    trainer = train(
        image=train_dirs,
        mode="pair",
        name="mine",
        hidden=4,
        epoch=5,
        batch_size=3,
        lr=0.02,
        bayesian=bayesian,
        directory=tmp_path,
        **options,
    )
    assert trainer.train() == tmp_path / "mine.pth"
    assert len(trainer.history) == 5
    assert trainer.history[-1].loss < trainer.history[0].loss

    image = labelled(1, seed=9)[0, 0]
    model = deepCR(mask=str(tmp_path / "mine.pth"), device="CPU")
    assert isinstance(model.model.net, UNet2SigmoidVI) is bayesian
    mask, inpainted = model.clean(image, threshold=0.5, inpaint=True)
    assert set(np.unique(mask)) <= {0.0, 1.0}
    assert np.array_equal(inpainted[mask == 0], image[mask == 0])
    if bayesian:
        probability, entropy = model.clean_vi(image, T=4, return_entropy=True)
        assert probability.shape == entropy.shape == image.shape
        assert ((entropy >= 0) & (entropy <= np.log(2) + 1e-6)).all()
        assert np.array_equal(model.clean_vi(image, T=4, return_entropy=False), probability)
        assert not np.array_equal(model.clean_vi(image, T=4, seed=1)[0], probability)


def test_training_repeats_from_its_seed(train_dirs: list[str], tmp_path: Path) -> None:
    def weights(seed: int) -> torch.Tensor:
        trainer = train(train_dirs, hidden=2, epoch=2, directory=tmp_path, seed=seed)
        trainer.train()
        return trainer.network.get_parameter("leave.weight").detach()

    first = weights(3)
    assert torch.equal(weights(3), first)
    assert not torch.equal(weights(4), first)


def test_arrays_and_ignored_pixels(tmp_path: Path) -> None:
    planes = labelled(6)
    planes[:, 0, 0] = np.nan
    trainer = train(
        planes[:, 0],
        mask=planes[:, 1],
        ignore=planes[:, 2],
        sky=100.0,
        aug_sky=(-0.2, 0.2),
        hidden=2,
        epoch=1,
        directory=tmp_path,
    )
    trainer.train()
    assert np.isfinite([epoch.loss for epoch in trainer.history]).all()


def test_simulate_adds_dark_frames(tmp_path: Path) -> None:
    planes = labelled(12)
    clean = np.random.default_rng(1).normal(100, 8, (12, 24, 24)).astype(np.float32)
    dark = [np.stack([900 * one[1], one[1]]) for one in planes]
    trainer = train(
        list(clean),
        mask=dark,
        mode="simulate",
        n_mask_train=2,
        aug_img=(0.5, 2),
        noise=True,
        hidden=2,
        epoch=2,
        directory=tmp_path,
    )
    image, mask, ignore = trainer.training.draw(0, np.random.default_rng(0))
    assert mask.sum() > 6
    assert image[mask > 0].min() > image[mask == 0].mean() + 300
    assert not ignore.any()
    trainer.train()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"mode": "other"}, "'pair' or 'simulate'"),
        ({"image": []}, "no image to train on"),
        ({"image": ["/nowhere/1_x.npy"]}, "is no array"),
        ({"image": [np.zeros((1, 8, 8))]}, "has 1 planes"),
        ({"image": [np.zeros((2, 8, 8))]}, "cannot be trained on"),
        ({"image": list(labelled(2)), "aug_sky": (0, 1)}, "no sky level for image"),
        ({"mode": "simulate", "mask": []}, "needs dark frames"),
    ],
)
def test_what_cannot_be_trained_on_is_named(
    tmp_path: Path, arguments: dict[str, object], match: str
) -> None:
    options = {"image": list(labelled(2)), "directory": tmp_path, "hidden": 2, **arguments}
    with pytest.raises((ValueError, UnreadableFile), match=match):
        train(**options).train()  # type: ignore[arg-type]


def test_a_missing_gpu_is_said(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.warns(RuntimeWarning, match="running on the CPU"):
        model = deepCR(mask="unet", device="GPU", folder=tiny_weights)
    assert model.device == "cpu"
    with pytest.raises(ValueError, match="'CPU' or 'GPU'"):
        deepCR(mask="unet", device="TPU", folder=tiny_weights)  # type: ignore[arg-type]


def test_a_plain_model_has_no_posterior(tiny_weights: Path, noise: Pixels) -> None:
    with pytest.raises(ModelError, match="no posterior"):
        deepCR(mask="unet", folder=tiny_weights).clean_vi(noise)


def test_segments_change_nothing(tiny_weights: Path, noise: Pixels) -> None:
    model = deepCR(mask="unet", folder=tiny_weights)
    whole = model.clean(noise, binary=False, segment=False)
    tiles = model.clean(noise, binary=False, patch=31)
    np.testing.assert_allclose(tiles, whole, atol=1e-5)


def test_threads_are_those_asked_for_and_then_as_before(
    tiny_weights: Path, noise: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    deepCR(mask="unet", folder=tiny_weights).clean(noise, n_jobs=3)
    assert asked == [3, torch.get_num_threads()]


def test_pixels_that_are_not_finite_are_never_flagged(tiny_weights: Path, noise: Pixels) -> None:
    holed = noise.copy()
    holed[10:20, 10:20] = np.nan
    model = deepCR(mask="vi", inpaint="median", folder=tiny_weights)
    mask, inpainted = model.clean(holed, threshold=0.0, inpaint=True)
    assert not mask[10:20, 10:20].any()
    assert np.isnan(inpainted[10:20, 10:20]).all()
    probability, entropy = model.clean_vi(holed, T=2)
    assert (probability[10:20, 10:20] == 0).all()
    assert (entropy[10:20, 10:20] == 0).all()


def test_shapes_and_frames_without_noise_are_refused(tiny_weights: Path) -> None:
    model = deepCR(mask="unet", folder=tiny_weights)
    for shape in ((3, 8, 8), (0, 4)):
        with pytest.raises(FrameError, match="has shape"):
            model.clean(np.zeros(shape))
    with pytest.raises(FrameError, match="no finite pixel"):
        model.clean(np.full((8, 8), np.nan))
    for shape in ((1, 1), (9, 9)):
        with pytest.raises(NotApplicable, match="has none"):
            model.clean(np.ones(shape))


def test_weights_load_from_both_kinds_of_file(
    tmp_path: Path, plain_net: UNet2Sigmoid, bayesian_net: UNet2SigmoidVI
) -> None:
    x = torch.randn(1, 1, 12, 12)
    for name, net in (("plain", plain_net), ("bayesian", bayesian_net)):
        torch.save(net.state_dict(), tmp_path / f"{name}.pth")
        save_file(dict(net.state_dict()), tmp_path / f"{name}.safetensors")
        for suffix in (".pth", ".safetensors"):
            loaded = load_mask_model(tmp_path / f"{name}{suffix}")
            assert type(loaded.net) is type(net)
            assert loaded.input == "noise_units"
            torch.testing.assert_close(loaded.net(x), net(x))


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("no")
    torch.save([1, 2], tmp_path / "list.pth")
    for name in ("text.safetensors", "absent.pth"):
        with pytest.raises(ModelError, match="no weights that can be read"):
            load_mask_model(tmp_path / name)
    with pytest.raises(ModelError, match="no network's weights but list"):
        load_mask_model(tmp_path / "list.pth")
    with pytest.raises(ModelError, match=r"skysieve\[deepcr\]"):
        load_mask_model("no-such-model")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ACS-WFC", "decam", "example_model", "WFC3-UVIS"])
def test_their_models_answer_as_they_do(name: str) -> None:
    package = importlib.import_module("deepCR")

    rng = np.random.default_rng(0)
    image = rng.normal(100, 12, (64, 48)).astype(np.float32)
    image[20:30, 12] += 2000
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = package.deepCR(mask=name, device="CPU").clean(image, binary=False, segment=False)
    ours = deepCR(mask=name).clean(image, binary=False)
    np.testing.assert_allclose(ours, expected, atol=2e-4)
    assert expected.max() > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ACS-WFC-F435W", "ACS-WFC-F606W-2-4", "ACS-WFC-F814W"])
def test_their_other_files_load_too(name: str) -> None:
    model = load_mask_model(name)
    assert model.input == "electrons"
    assert model.net.hidden == (4 if name.endswith("2-4") else 32)


@pytest.mark.slow
def test_importing_the_package_loads_no_torch() -> None:
    code = "import sys, engine.cosmicrays as c; print('torch' in sys.modules, c.__all__)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert answer.stdout.split() == ["False", "['deepCR',", "'train']"]


def test_the_page_of_examples_runs(
    train_dirs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Python of docs/cosmicrays.md as it stands, with small networks and few epochs."""
    text = (PROJECT / "docs" / "cosmicrays.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    small = code.replace("hidden=32", "hidden=2").replace("epoch=50", "epoch=2")
    names = {"train_dirs": train_dirs, "image": labelled(1)[0, 0]}
    with pytest.warns(RuntimeWarning, match="running on the CPU"):
        exec(small, names)
    assert names["probability"].shape == names["entropy"].shape == (24, 24)
    assert names["cleaned"].shape == names["mask"].shape == (24, 24)
