"""Where in a cutout it is unlike normals: the residual of its patches outside their subspace."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch.nn import functional

from engine.anomalies.embedders.base import Images, check_images
from engine.anomalies.embedders.efficientnet import MIDDLE_BLOCKS, SIDE, frozen_network
from engine.cards import WEIGHTS, read_card
from engine.errors import CalibrationError, ModelError
from engine.frame import Pixels
from engine.tensors import read_tensors

HEAT_NAME = "anomaly-heatmap"
FORMAT = "skysieve-heat-map-1"
COMPONENTS = 60
GRID = 20
BATCH = 16

Patches = NDArray[np.float32]


def patch_features(images: Images) -> Patches:
    """Patch tokens float32 (N, 20, 20, 152) of images float32 (N, 3, H, W) in [0, 1].

    The activations of EfficientNet-Lite0 after blocks 4 (20 x 20) and 10 (10 x 10, brought to
    20 x 20 linearly), at 160 px.
    """
    check_images(images)
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + BATCH]))
            if batch.shape[-2:] != (SIDE, SIDE):
                batch = functional.interpolate(
                    batch, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
                )
            found.append(_tokens((batch * 255 - 127) / 128).numpy())
    return np.concatenate(found) if found else np.empty((0, GRID, GRID, 152), np.float32)


def _tokens(signed: torch.Tensor) -> torch.Tensor:
    net = frozen_network()
    x = net._swish(net._bn0(net._conv_stem(signed)))
    kept = []
    for index, block in enumerate(net._blocks):
        x = block(x)
        if index in MIDDLE_BLOCKS:
            kept.append(
                functional.interpolate(x, size=(GRID, GRID), mode="bilinear", align_corners=False)
            )
        if index == max(MIDDLE_BLOCKS):
            break
    return torch.cat(kept, dim=1).permute(0, 2, 3, 1)


@dataclass(frozen=True)
class HeatMap:
    """The subspace of normal patches, and the level that few of them exceed.

    Patches are z-scored by channel; residual = |z - U U^T z|^2 / channels with U the 60 leading
    directions of normal patches (SubspaceAD, after Pearson 1901). `typical` is the median residual
    of normal patches and `high` their 99.9 % quantile, so that maps can be compared.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    directions: NDArray[np.float32]
    typical: float
    high: float
    digest: str = ""

    @classmethod
    def fit(cls, patches: Patches) -> HeatMap:
        """Fit on patches of normals float32 (N, h, w, D). Raises CalibrationError below 200."""
        rows = patches.reshape(-1, patches.shape[-1]).astype(np.float64)
        if len(rows) < 200:
            raise CalibrationError(f"a heat map needs at least 200 normal patches, got {len(rows)}")
        mean, scale = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)
        z = (rows - mean) / scale
        _, vectors = np.linalg.eigh(z.T @ z)
        directions = vectors[:, ::-1][:, :COMPONENTS].T
        fitted = cls(
            mean.astype(np.float32),
            scale.astype(np.float32),
            directions.astype(np.float32),
            0.0,
            1.0,
        )
        residual = fitted.residual(patches)
        return cls(
            fitted.mean,
            fitted.scale,
            fitted.directions,
            float(np.median(residual)),
            float(np.quantile(residual, 0.999)),
        )

    def residual(self, patches: Patches) -> Pixels:
        """Residuals float32 (N, h, w), at least 0; higher = less like the patches of normals."""
        z = (patches.astype(np.float64) - self.mean) / self.scale
        inside = z @ self.directions.T.astype(np.float64)
        outside = (z**2).sum(axis=-1) - (inside**2).sum(axis=-1)
        return np.asarray(np.maximum(outside, 0.0) / z.shape[-1], dtype=np.float32)

    def maps(self, images: Images) -> Pixels:
        """Maps float32 (N, 20, 20) of images: 0 where typical of normals, 1 at their 99.9 %."""
        residual = self.residual(patch_features(images))
        return np.asarray(
            (residual - self.typical) / max(self.high - self.typical, 1e-9), dtype=np.float32
        )

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        facts = json.dumps({"typical": self.typical, "high": self.high})
        tensors = {"mean": self.mean, "scale": self.scale, "directions": self.directions}
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: np.ascontiguousarray(value) for name, value in tensors.items()},
            path,
            metadata={"format": FORMAT, "facts": facts},
        )
        path.chmod(0o644)

    @classmethod
    def load(cls, folder: Path = WEIGHTS, name: str = HEAT_NAME) -> HeatMap:
        """Read what `save` wrote, checked against its card. Raises ModelError."""
        card = read_card(name, folder)
        path = folder / f"{name}.safetensors"
        arrays, metadata = read_tensors(path)
        if metadata.get("format") != FORMAT:
            raise ModelError(f"{path} is not a heat map of format {FORMAT}: train it again")
        facts = json.loads(metadata["facts"])
        return cls(**arrays, typical=facts["typical"], high=facts["high"], digest=card.digest)
