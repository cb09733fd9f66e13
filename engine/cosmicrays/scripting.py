"""deepCR's class for scripts, over any mask model: `deepCR(mask=...).clean(image)`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike

from engine.cards import WEIGHTS
from engine.cosmicrays.choices import DEFAULT_FILL, FILLS, FillName
from engine.cosmicrays.inpainting import inpaint as fill_masked
from engine.cosmicrays.maps import EvidenceMaps, evidence_maps
from engine.cosmicrays.mask_models import load_mask_model
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.variational import UNet2SigmoidVI
from engine.cosmicrays.weights import sampled_nets
from engine.errors import FrameError, ModelError
from engine.frame import Mask, Pixels

Device = Literal["CPU", "GPU"]


class deepCR:  # noqa: N801  the name and arguments that scripts for deepCR use
    """A mask model ready to clean arrays, with the interface of deepCR 0.3.1.

    `mask` names a model or its file as `load_mask_model` says; frames go in in that model's unit
    (any for this package's own, electrons for deepCR's). `inpaint` names the fill: "median",
    "smooth" or "learned". `device` "GPU" without one warns and runs on the CPU. `hidden` is read
    off the weights and accepted for old scripts only. Pixels that are not finite are never flagged.
    Raises ModelError as `load_mask_model`, ValueError on another fill or device.
    """

    def __init__(
        self,
        mask: str | Path = "unet",
        inpaint: FillName | None = None,
        device: Device = "CPU",
        hidden: int | None = None,  # noqa: ARG002
        *,
        folder: Path = WEIGHTS,
    ) -> None:
        if inpaint is not None and inpaint not in FILLS:
            raise ValueError(f"inpaint must be one of {FILLS}, got {inpaint!r}")
        self.model = load_mask_model(mask, folder)
        self.fill: FillName = inpaint or DEFAULT_FILL
        self.device = _usable(device)

    def clean(
        self,
        img0: ArrayLike,
        threshold: float = 0.5,
        inpaint: bool = False,
        binary: bool = True,
        segment: bool = True,
        patch: int = 256,
        n_jobs: int = 1,
    ) -> Pixels | tuple[Pixels, Pixels]:
        """Find cosmic rays, and with `inpaint` also fill them.

        `img0` (H, W), any real type. Returns the mask, float32 (H, W) of 0 and 1 where the
        probability is above `threshold`, or the probability itself where not `binary`; with
        `inpaint` the pair of it and the filled frame, float32. `segment` runs by tiles of `patch`
        pixels, which overlap and change nothing but memory and time; `n_jobs` is the number of
        threads, -1 for all. A Bayesian model runs at the means of its weights: see `clean_vi`.
        Raises FrameError on other shapes, NotApplicable on frames without noise.
        """
        pixels, bad = _plane(img0)
        net = self.model.net
        nets = (net.at_mean() if isinstance(net, UNet2SigmoidVI) else net,)
        maps = self._maps(nets, pixels, bad, patch if segment else max(pixels.shape), n_jobs)
        flagged = maps.probability > threshold
        answer = flagged.astype(np.float32) if binary else maps.probability
        return (answer, self._filled(pixels, flagged, bad)) if inpaint else answer

    def clean_vi(
        self,
        image: ArrayLike,
        T: int = 16,
        return_entropy: bool = True,
        *,
        seed: int = 0,
        patch: int = 256,
    ) -> Pixels | tuple[Pixels, Pixels]:
        """Mean probability over `T` draws of a Bayesian model's weights, float32 (H, W).

        With `return_entropy` the pair of it and the predictive entropy, nats, over the whole frame.
        Each draw is frozen for the frame, so that tiles agree; `seed` fixes the draws.
        Raises ModelError where the model is not Bayesian, and as `clean` does.
        """
        if not isinstance(self.model.net, UNet2SigmoidVI):
            raise ModelError(
                f"{self.model.name} has no posterior to draw from: use clean(), or a model trained "
                "with bayesian=True"
            )
        if T < 1:
            raise ValueError(f"T must be at least 1, got {T}")
        pixels, bad = _plane(image)
        nets = sampled_nets(self.model.net, T, torch.Generator().manual_seed(seed))
        maps = self._maps(nets, pixels, bad, patch, n_jobs=1)
        return (maps.probability, maps.predictive_entropy) if return_entropy else maps.probability

    def inpaint(self, img0: ArrayLike, mask: ArrayLike) -> Pixels:
        """The frame with the pixels where `mask`, (H, W), is not 0 filled from those around."""
        pixels, bad = _plane(img0)
        return self._filled(pixels, np.asarray(mask) > 0, bad)

    def _maps(
        self,
        nets: Sequence[UNet2Sigmoid],
        pixels: Pixels,
        bad: Mask,
        patch: int,
        n_jobs: int,
    ) -> EvidenceMaps:
        threads = torch.get_num_threads()
        wanted = torch.get_num_threads() if n_jobs == 1 else n_jobs
        try:
            torch.set_num_threads(wanted if wanted > 0 else max(1, torch.cpu.device_count()))
            return self._evidence(nets, pixels, bad, patch)
        finally:
            torch.set_num_threads(threads)

    def _evidence(
        self, nets: Sequence[UNet2Sigmoid], pixels: Pixels, bad: Mask, patch: int
    ) -> EvidenceMaps:
        usable = fill_masked(pixels, bad) if bad.any() else pixels
        maps = evidence_maps(
            nets,
            self.model.scaled(usable, bad),
            temperature=self.model.temperature,
            tile_px=max(2, patch + patch % 2),
            device=self.device,
        )
        if not bad.any():
            return maps
        planes = (maps.probability, maps.predictive_entropy, maps.expected_entropy)
        blanked = [np.where(bad, np.float32(0), plane) for plane in planes]
        return EvidenceMaps(blanked[0], blanked[1], blanked[2], blanked[1] - blanked[2])

    def _filled(self, pixels: Pixels, flagged: Mask, bad: Mask) -> Pixels:
        if not flagged.any() or (flagged | bad).all():
            return pixels.copy()
        return fill_masked(pixels, flagged & ~bad, bad, fill=self.fill)


def _usable(device: Device) -> str:
    if device not in get_args(Device):
        raise ValueError(f"device must be 'CPU' or 'GPU', got {device!r}")
    if device == "CPU":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    warnings.warn("no CUDA device was found: running on the CPU", RuntimeWarning, stacklevel=3)
    return "cpu"


def _plane(image: ArrayLike) -> tuple[Pixels, Mask]:
    """The image as float32 (H, W), and its pixels that are not finite."""
    given = np.asarray(image)
    if given.ndim != 2 or 0 in given.shape:
        raise FrameError(f"an image has shape (H, W), got {given.shape}: give one plane")
    with np.errstate(over="ignore"):
        pixels = np.ascontiguousarray(given, dtype=np.float32)
    bad = ~np.isfinite(pixels)
    if bad.all():
        raise FrameError("no finite pixel in this image: check the extension or plane chosen")
    return pixels, bad
