"""Reading safetensors files: tensors as numpy arrays and the facts in their metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from engine.errors import ModelError


def read_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """All arrays of a safetensors file by name, and its metadata.

    Raises ModelError when the file is missing or damaged.
    """
    if not path.is_file():
        raise ModelError(f"no weights at {path}: train or restore them")
    try:
        with safe_open(path, framework="numpy") as stream:
            arrays = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
            return arrays, stream.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is damaged ({error}): train or restore it") from error
