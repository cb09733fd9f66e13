"""From a trained network to stored weights with a card measured on held-out frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import torch

from engine.cards import ModelCard, write_card
from engine.codec.corpus import HELD_OUT_RAW, Group
from engine.codec.evaluation import measure
from engine.codec.fitting import fitted_tables
from engine.codec.model import NAME, CodecModel, freeze
from engine.codec.network import DropoutAutoencoder
from engine.codec.pipeline import CodecPipeline
from engine.codec.policy import CodecPolicy
from engine.frame import Frame
from engine.writing import write_whole

CARD_BPP = 0.5
DESCRIPTION = (
    "Dropout autoencoder for grey images: lapped transform begun as the 16 x 16 DCT, nonlinear "
    "residual branches, mean-scale hyperprior, context by channel slices and classes of cells, "
    "fitted symbol tables, one model for all rates."
)
LIMITS = (
    "Trained on Mars (orbit and rover), simulated ground and simulated sky, much of it JPEG "
    "decoded. Lossy: it guarantees no photometry; use near or lossless where samples must hold. "
    "The dropout deviation ranks places and is far smaller than the error; beyond about 3 bits per "
    "pixel, outside the rates trained on, it falls to zero."
)


@dataclass(frozen=True)
class TrainingFacts:
    """How the network came about, for its card."""

    steps: int
    seconds: float
    seed: int
    command: str
    trained_at: datetime


def publish(
    network: DropoutAutoencoder,
    facts: TrainingFacts,
    groups: Sequence[Group],
    held_out: Mapping[str, Sequence[Frame]],
    folder: Path,
) -> ModelCard:
    """Write `codec.safetensors` and its card into `folder`, measured on `held_out`."""
    stored = freeze(network, fitted_tables(network, tuple(groups), facts.seed))
    model = CodecModel.from_bytes(stored)
    policy = CodecPolicy(bpp=CARD_BPP, seed=facts.seed)
    figures = measure(CodecPipeline(policy, model=model), held_out)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    card = ModelCard(
        name=NAME,
        pipeline="codec",
        digest=model.digest,
        description=DESCRIPTION,
        architecture={
            **asdict(network.widths),
            "dropout": network.dropout,
            "parameters": parameters,
            "stored_as": "float16",
        },
        data=", ".join(f"{group.name} ({len(group.images)})" for group in groups)
        + f"; held out by source image: raw_mars {', '.join(HELD_OUT_RAW)}, the test source "
        "images of landmarks, a tenth of the rover clock counts by hash, every other body, a "
        "simulated night of its own",
        seed=facts.seed,
        command=facts.command,
        device=f"CPU, one thread, torch {torch.__version__}, bfloat16 branches",
        trained_at=facts.trained_at.isoformat(timespec="seconds"),
        metrics={
            "steps": facts.steps,
            "training_seconds": round(facts.seconds),
            "stored_bytes": len(stored),
            f"held_out_8_bit_at_{CARD_BPP}_bpp": figures,
        },
        limits=LIMITS,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{NAME}.safetensors", stored)
    write_card(folder, card)
    return card
