"""Model cards: what a set of weights is, beside the weights."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import ModelError

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class ModelCard:
    """The facts of one set of weights. `digest` is the sha256 of the safetensors file, as hex."""

    name: str
    pipeline: str
    digest: str
    description: str
    architecture: dict[str, Any]
    data: str
    seed: int
    command: str
    device: str
    trained_at: str
    metrics: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    limits: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The card as plain values, fit for JSON."""
        return asdict(self)


def file_digest(path: Path) -> str:
    """sha256 of a file, as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_card(folder: Path, card: ModelCard) -> Path:
    """Write `NAME.json` beside the weights and return its path."""
    path = folder / f"{card.name}.json"
    path.write_text(json.dumps(card.as_dict(), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def read_card(name: str, folder: Path = WEIGHTS) -> ModelCard:
    """Read the card of `name` and check that it describes the weights beside it.

    Raises ModelError when card or weights are missing or their digests disagree.
    """
    path, weights = folder / f"{name}.json", folder / f"{name}.safetensors"
    if not path.is_file() or not weights.is_file():
        raise ModelError(f"no model {name!r} in {folder}: train it, or reinstall skysieve")
    try:
        card = ModelCard(**json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ModelError(f"the card {path} cannot be read ({error}): train it again") from error
    if card.digest != file_digest(weights):
        raise ModelError(f"{weights} is not the file its card describes: restore or train it again")
    return card
