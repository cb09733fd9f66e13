"""deepCR's trainer for scripts: `train(image=..., mode="pair", bayesian=...).train()`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional

from engine.cosmicrays.own_data import Item, LabelledImages, Pairs, Simulated, sky_levels
from engine.cosmicrays.scaling import NoiseScale
from engine.cosmicrays.unet import UNet2Sigmoid, folded
from engine.cosmicrays.variational import UNet2SigmoidVI
from engine.errors import NotApplicable, UnreadableFile

FIRST_PHASE = 0.4
SECOND_PHASE_RATE = 1 / 2.5
SIGMA_RATE = 4.0

log = logging.getLogger("skysieve.train")

Batch = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to on the validation images, at a threshold of 0.5; rates in [0, 1]."""

    number: int
    loss: float
    true_positive_rate: float
    false_positive_rate: float


class train:  # noqa: N801  the name and arguments that scripts for deepCR use
    """Train a mask model on one's own labelled images, with the interface of deepCR 0.3.1.

    `image`, `mask`, `ignore`, `sky`, `aug_sky` and `mode` "pair" or "simulate" are as `Pairs` and
    `Simulated` have them (in "simulate" `mask` holds the dark frames, `n_mask_train` and
    `n_mask_val` of them an image). `bayesian` trains UNet2SigmoidVI instead of UNet2Sigmoid: the
    loss is the mean cross-entropy a pixel + `kl_beta` * KL / N with N training images; None is the
    evidence lower bound, one over the pixels of an image, and less than that is a posterior
    narrower than Bayes' rule gives. Every image is normalised by its own noise, so that `norm` and
    `percentile_limit` have no effect; nor have the options for plots and progress bars. Training is
    repeatable from `seed`.

    The first phase (`epoch_phase0` epochs, two fifths by default) normalises by batch; then the
    plain network goes on with frozen statistics, or the Bayesian one starts from its weights.
    Raises ValueError on another mode, UnreadableFile on images of another layout.
    """

    def __init__(
        self,
        image: Sequence[Item] | Any,
        mask: Sequence[Item] | Any = None,
        ignore: Sequence[Item] | Any = None,
        sky: ArrayLike | None = None,
        mode: Literal["pair", "simulate"] = "pair",
        aug_sky: tuple[float, float] = (0, 0),
        aug_img: tuple[float, float] = (1, 1),
        noise: bool = False,
        saturation: float = 1e5,
        n_mask_train: int = 1,
        n_mask_val: int = 1,
        norm: bool = False,  # noqa: ARG002
        percentile_limit: float = 50,  # noqa: ARG002
        name: str = "model",
        hidden: int = 32,
        epoch: int = 50,
        epoch_phase0: int | None = None,
        batch_size: int = 16,
        lr: float = 0.005,
        auto_lr_decay: bool = True,
        lr_decay_patience: int = 4,
        lr_decay_factor: float = 0.1,
        save_after: float = 1e5,
        plot_every: int = 10,  # noqa: ARG002
        verbose: bool = True,
        use_tqdm: bool = False,  # noqa: ARG002
        use_tqdm_notebook: bool = False,  # noqa: ARG002
        directory: str | Path = "./",
        *,
        bayesian: bool = False,
        kl_beta: float | None = None,
        seed: int = 0,
    ) -> None:
        levels = sky_levels(sky, len(image))
        if mode == "pair":
            pairs = Pairs(image, mask, ignore, levels, aug_sky)
            self.training, self.validation = _split(pairs, n_mask_train, n_mask_val)
        elif mode == "simulate":
            dark = Simulated(image, mask, levels, aug_sky, aug_img, noise, saturation)
            self.training, self.validation = _split(dark, n_mask_train, n_mask_val)
        else:
            raise ValueError(f"mode must be 'pair' or 'simulate', got {mode!r}")
        self.name, self.directory, self.seed = name, Path(directory), seed
        self.batch_size, self.lr, self.verbose = batch_size, lr, verbose
        self.bayesian, self.kl_beta, self.save_after = bayesian, kl_beta, save_after
        first = round(epoch * FIRST_PHASE) if epoch_phase0 is None else epoch_phase0
        self.epochs = (max(1, min(first, epoch)), max(1 if bayesian else 0, epoch - max(1, first)))
        self._decay = (lr_decay_factor, lr_decay_patience) if auto_lr_decay else None
        torch.manual_seed(seed)
        self.network = UNet2Sigmoid(hidden, batch_norm=True)
        self.history: list[Epoch] = []
        self._draws = 0

    def train(self) -> Path:
        """Train through both phases and save; returns the path of the weights, NAME.pth."""
        self.network.expect_rare_hits()
        self._phase(self.epochs[0], self.lr, frozen=False)
        if self.bayesian:
            start = folded(self.network.eval())
            network = UNet2SigmoidVI(start.hidden)
            network.seed_noise(self.seed)
            network.start_from(start)
            self.network = network
        self._phase(self.epochs[1], self.lr * SECOND_PHASE_RATE, frozen=not self.bayesian)
        return self.save()

    def save(self) -> Path:
        """Write the weights to NAME.pth in the directory; `deepCR(mask=...)` loads that path."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{self.name}.pth"
        net = self.network
        plain = net if isinstance(net, UNet2SigmoidVI) or not net.batch_norm else folded(net.eval())
        torch.save(plain.state_dict(), path)
        return path

    def _phase(self, epochs: int, rate: float, *, frozen: bool) -> None:
        """Train for some epochs; `frozen` keeps the statistics of the batch normalisation."""
        optimiser = self._optimiser(rate)
        schedule = None
        if self._decay is not None:
            factor, patience = self._decay
            schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimiser, factor=factor, patience=patience, cooldown=2, threshold=0.005
            )
        for _ in range(epochs):
            self.network.train(not frozen)
            for batch in self._batches():
                optimiser.zero_grad()
                torch.autograd.backward(self._loss(batch))
                optimiser.step()
            self.history.append(self._validated())
            if schedule is not None:
                schedule.step(self.history[-1].loss)
            lowest = min(one.loss for one in self.history)
            if self.history[-1].loss == lowest and len(self.history) > self.save_after:
                self.save()

    def _optimiser(self, rate: float) -> torch.optim.Optimizer:
        """Adam; the spreads of a posterior move faster than its means."""
        spreads = [one for name, one in self.network.named_parameters() if name.endswith(".rho")]
        others = [one for name, one in self.network.named_parameters() if not name.endswith(".rho")]
        groups: list[dict[str, Any]] = [{"params": others, "lr": rate}]
        if spreads:
            groups[0]["lr"] = 0.1 * rate
            groups.append({"params": spreads, "lr": SIGMA_RATE * rate})
        return torch.optim.Adam(groups)

    def _loss(self, batch: Batch) -> Tensor:
        x, truth, weight = batch
        loss = _cross_entropy(self.network.logits(x), truth, weight)
        if isinstance(self.network, UNet2SigmoidVI):
            beta = 1 / x[0].numel() if self.kl_beta is None else self.kl_beta
            loss = loss + beta * self.network.kl() / len(self.training)
        return loss

    def _batches(self) -> Iterator[Batch]:
        """All training images once, in an order and with a turn drawn anew every epoch."""
        self._draws += 1
        rng = np.random.default_rng([self.seed, self._draws])
        order = rng.permutation(len(self.training))
        for start in range(0, order.size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield _stacked([_example(self.training, int(one), rng, turn=True) for one in chosen])

    @torch.no_grad()
    def _validated(self) -> Epoch:
        self.network.eval()
        rng = np.random.default_rng([self.seed, 0])
        losses, found, false, rays, others = 0.0, 0.0, 0.0, 0.0, 0.0
        for number in range(len(self.validation)):
            x, truth, weight = _stacked([_example(self.validation, number, rng, turn=False)])
            logits = self.network.logits(x)
            losses += float(_cross_entropy(logits, truth, weight))
            flagged = (logits > 0).float()
            found += float((flagged * truth * weight).sum())
            false += float((flagged * (1 - truth) * weight).sum())
            rays += float((truth * weight).sum())
            others += float(((1 - truth) * weight).sum())
        epoch = Epoch(
            len(self.history) + 1,
            losses / len(self.validation),
            found / max(rays, 1),
            false / max(others, 1),
        )
        if self.verbose:
            log.info(
                "epoch %d: loss %.4f, TPR %.3f, FPR %.5f at 0.5",
                epoch.number,
                epoch.loss,
                epoch.true_positive_rate,
                epoch.false_positive_rate,
            )
        return epoch


def _split(
    images: Pairs | Simulated, n_mask_train: int, n_mask_val: int
) -> tuple[LabelledImages, LabelledImages]:
    if len(images) == 0:
        raise UnreadableFile("there is no image to train on: give at least one")
    if isinstance(images, Pairs):
        return images.split()
    if not images.cosmic_rays:
        raise UnreadableFile("mode 'simulate' needs dark frames with cosmic rays: give mask=[...]")
    first, last = images.split()
    return first.stacking(n_mask_train), last.stacking(n_mask_val)


def _example(
    images: LabelledImages, number: int, rng: np.random.Generator, *, turn: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """One normalised image with its truth and weight, sides even, turned at random if square."""
    image, mask, ignore = images.draw(number, rng)
    ignored = (ignore > 0) | ~np.isfinite(image)
    try:
        scale = NoiseScale.of(image, ignored)
    except NotApplicable as error:
        raise UnreadableFile(f"image {number} cannot be trained on: {error}") from error
    scaled = scale.apply(np.where(ignored, np.float32(scale.median), image))
    planes = [scaled, mask > 0, ~ignored]
    height, width = (side // 2 * 2 for side in image.shape)
    quarter_turns, flipped = int(rng.integers(4)), bool(rng.integers(2))
    if turn and height == width:
        planes = [np.rot90(plane[:height, :width], quarter_turns) for plane in planes]
        planes = [plane[::-1] if flipped else plane for plane in planes]
    x, truth, weight = (
        torch.from_numpy(np.ascontiguousarray(plane[:height, :width], dtype=np.float32))
        for plane in planes
    )
    return x, truth, weight


def _stacked(examples: Sequence[Batch]) -> Batch:
    x, truth, weight = (torch.stack(one)[:, None] for one in zip(*examples, strict=True))
    return x.contiguous(memory_format=torch.channels_last), truth, weight


def _cross_entropy(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean binary cross-entropy over the pixels that count, in nats."""
    summed = functional.binary_cross_entropy_with_logits(
        logits, truth, weight=weight, reduction="sum"
    )
    return summed / weight.sum().clamp_min(1.0)
