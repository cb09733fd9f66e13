"""Embedding speed beside a plain transformers ViT-base, one thread, one image at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

REPEATS = 7


def speed(seed: int) -> dict[str, Any]:
    """Milliseconds an image (the median of 7) and the ratios to ViT-base fp32 at batch 1."""
    import torch
    from transformers import ViTConfig, ViTModel

    from engine.anomalies.embedders import DEFAULT_EMBEDDER, make_embedder
    from engine.anomalies.embedders.vit import VitEmbedder

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(seed)
        model: Any = ViTModel(ViTConfig(), add_pooling_layer=False)
        model.eval()
        image = np.random.default_rng(seed).uniform(size=(1, 3, 224, 224)).astype(np.float32)
        pixels = torch.from_numpy(image) * 2 - 1

        def plain() -> np.ndarray:
            with torch.inference_mode():
                hidden = model(pixel_values=pixels).last_hidden_state[:, 0]
            return np.asarray(hidden.numpy())

        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            fast = VitEmbedder(folder)
            quick = fast.embed(image)
            times = {"vit_base_fp32": _milliseconds(plain)}
            times[f"vit_base_{fast.precision}"] = _milliseconds(lambda: fast.embed(image))
        exact = plain()
        cosine = float(np.sum(exact * quick) / (np.linalg.norm(exact) * np.linalg.norm(quick)))
        small = np.ascontiguousarray(image[:, :, :160, :160])
        for name in ("efficientnet_lite0", "efficientnet_lite0:8", "morphology"):
            embedder = make_embedder(name)
            times[name] = _milliseconds(lambda embedder=embedder: embedder.embed(small))  # type: ignore[misc]
        default = make_embedder(DEFAULT_EMBEDDER)
        large = np.random.default_rng(seed).uniform(size=(1, 3, 320, 320)).astype(np.float32)
        times[default.name] = _milliseconds(lambda: default.embed(large))
    finally:
        torch.set_num_threads(threads)
    base = times["vit_base_fp32"]
    return {
        "milliseconds": times,
        "times_faster_than_vit_base_fp32": {name: base / value for name, value in times.items()},
        "precision_chosen": fast.precision,
        "cosine_to_fp32": cosine,
    }


def _milliseconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(REPEATS):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return 1000 * float(np.median(times))
