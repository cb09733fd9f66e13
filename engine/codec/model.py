"""CodecModel: stored weights with everything that coding needs, known by their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from engine.cards import WEIGHTS
from engine.codec.conditional import ConditionalTables
from engine.codec.entropy import EntropyModels
from engine.codec.hyperprior import FixedPointHyperprior
from engine.codec.network import DropoutAutoencoder, Widths
from engine.codec.rateguess import RateCurves
from engine.codec.tables import (
    FIRST_LOG_SCALE,
    LEVELS,
    LEVELS_PER_UNIT,
    SymbolTables,
    gaussian_tables,
)
from engine.errors import ModelError

NAME = "codec"
NETWORK = "network."
COUNTS, LENGTHS = "tables.counts", "tables.lengths"
HYPER_LEVELS, DROPOUT = "tables.hyper_levels", "dropout"


class CodecModel:
    """A frozen network with its fixed-point hyperprior and symbol tables.

    `digest` is the sha256 of the stored bytes, as hex; `identity` its first 8 bytes, which every
    bitstream carries. `hyper_levels` (regimes, hyper) are the table indices of the hyper-latent.
    """

    def __init__(
        self,
        network: DropoutAutoencoder,
        tables: SymbolTables,
        hyper_levels: NDArray[np.int64],
        digest: str,
    ) -> None:
        self.network = network.eval().requires_grad_(requires_grad=False)
        self.hyperprior = FixedPointHyperprior(network)
        self.entropy = EntropyModels(tables)
        self.tables = tables
        self.conditional = ConditionalTables(tables)
        self.hyper_levels = hyper_levels
        self.curves = RateCurves.of(tables)
        self.distortions = self.curves.distortions
        self.digest = digest
        self.identity = bytes.fromhex(digest)[:8]

    @classmethod
    def from_bytes(cls, stored: bytes) -> CodecModel:
        """Read what `freeze` wrote. Raises ModelError when it does not fit this code."""
        try:
            tensors = load(stored)
            weights = {
                name.removeprefix(NETWORK): tensor.float()
                for name, tensor in tensors.items()
                if name.startswith(NETWORK)
            }
            network = DropoutAutoencoder(_widths_of(weights), float(tensors[DROPOUT]))
            network.load_state_dict(weights)
            counts = tensors[COUNTS].numpy().astype(np.int64)
            ends = np.cumsum(tensors[LENGTHS].numpy())[:-1]
            tables = SymbolTables(tuple(np.split(counts, ends)))
            hyper_levels = tensors[HYPER_LEVELS].numpy().astype(np.int64)
        except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"these are not codec weights of this version ({error}): train or fetch them again"
            ) from error
        return cls(network, tables, hyper_levels, hashlib.sha256(stored).hexdigest())

    @classmethod
    def load(cls, folder: Path = WEIGHTS) -> CodecModel:
        """Read `codec.safetensors` of `folder`; the same file is read once per process."""
        path = folder / f"{NAME}.safetensors"
        if not path.is_file():
            raise ModelError(f"no codec weights at {path}: run `skysieve train codec`")
        status = path.stat()
        return _loaded(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _loaded(path: Path, _modified_ns: int, _size: int) -> CodecModel:
    return CodecModel.from_bytes(path.read_bytes())


def freeze(network: DropoutAutoencoder, tables: SymbolTables | None = None) -> bytes:
    """Store a network as safetensors: half-precision weights beside the integer tables.

    The tables are those of a Gaussian unless others are given.
    """
    halves = (tables or gaussian_tables()).halves
    scales = torch.log(network.hyper_scales().detach().double()).numpy()
    scales = scales - np.log(2.0) * np.arange(len(scales))[:, None]
    levels = np.floor((scales - FIRST_LOG_SCALE) * LEVELS_PER_UNIT + 0.5)
    tensors: dict[str, Tensor] = {
        NETWORK + name: tensor.half().contiguous() for name, tensor in network.state_dict().items()
    }
    tensors[COUNTS] = torch.from_numpy(np.concatenate(halves).astype(np.int32))
    tensors[LENGTHS] = torch.tensor([len(half) for half in halves], dtype=torch.int32)
    tensors[HYPER_LEVELS] = torch.from_numpy(np.clip(levels, 0, LEVELS - 1).astype(np.uint8))
    tensors[DROPOUT] = torch.tensor(network.dropout, dtype=torch.float32)
    return save(tensors)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one torch thread and without gradients: sums keep one order everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)


def _widths_of(weights: dict[str, Tensor]) -> Widths:
    return Widths(
        latent=weights["analysis_basis"].shape[0],
        hyper=weights["hyper_up.weight"].shape[0],
        fine=weights["encode_fine.weight"].shape[0],
        middle=weights["encode_middle.weight"].shape[0],
        coarse=weights["decode_coarse.weight"].shape[0],
        context=any(name.startswith("context.") for name in weights),
    )
