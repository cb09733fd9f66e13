"""Does the Bayesian network earn its place? Plain against Bayesian, and other ways beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.cosmicrays.evaluation import SEEN_PROBABILITY, Judged, judge
from engine.cosmicrays.holdouts import LabelledFrame
from engine.cosmicrays.intervals import (
    interval,
    log_loss,
    mean_differences,
    open_ece,
    resamplings,
    square_loss,
)
from engine.cosmicrays.publishing import nets_detector
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.frame import Mask
from engine.metrics.calibration import brier, nll, risk_coverage, temperature
from jobs.bench.cosmicrays_nets import compared_pairs, passes_beside

ECE_LIMIT = 0.02
OWN_LABELS = "stis_pair"

Sets = Mapping[str, Sequence[LabelledFrame]]


def doubt_figures(
    folder: Path, calibration: Sequence[LabelledFrame], sets: Sets, samples: int, seed: int
) -> dict[str, Any]:
    """Every net after its own temperature, on injections and on the instrument never seen.

    The temperature is fitted on `calibration`, parts of real exposures that nothing is reported
    on; on the STIS pair also on its other half of rows, since labels differ in kind there.
    """
    pairs = compared_pairs(folder, samples, seed)
    nets: dict[str, Sequence[UNet2Sigmoid]] = {}
    for pair in pairs:
        nets[f"plain-{pair.seed}"] = [pair.plain]
        nets[f"vi-{pair.seed}"] = pair.draws
    seeds = [pair.seed for pair in pairs]
    nets |= passes_beside(folder, pairs, samples, seed)
    warmth = {name: _temperature(judge(nets_detector(n), calibration)) for name, n in nets.items()}
    figures: dict[str, Any] = {"temperatures": warmth, "seeds": seeds, "samples": samples}
    for dataset, frames in sets.items():
        raw = {name: judge(nets_detector(passes), frames) for name, passes in nets.items()}
        figures[dataset] = _compared(
            {name: one.tempered(warmth[name]) for name, one in raw.items()}, seeds
        )
        if dataset == OWN_LABELS:
            crossed = {name: _crossed(one, frames) for name, one in raw.items()}
            figures[f"{dataset}_temperature_of_other_rows"] = _compared(crossed, seeds)
    return {**figures, **_verdict(figures)}


def _temperature(judged: Judged) -> float:
    return temperature(*judged.pooled())


def _crossed(judged: Judged, frames: Sequence[LabelledFrame]) -> Judged:
    """Each half of the rows with the temperature of the other half."""
    low = np.concatenate([_low_rows(frame)[~frame.ignore] for frame in frames])
    p, y = judged.pooled()
    out = np.empty_like(p)
    for half in (low, ~low):
        by = temperature(p[~half], y[~half])
        one = Judged("half", (p[half],), (y[half],)).tempered(by)
        out[half] = one.probability[0]
    return Judged(judged.dataset, (out,), (y,), (judged.blocks(),))


def _low_rows(frame: LabelledFrame) -> Mask:
    height, width = frame.truth.shape
    return np.repeat(np.arange(height) < height // 2, width).reshape(height, width)


def _compared(judged: Mapping[str, Judged], seeds: Sequence[int]) -> dict[str, Any]:
    """Figures of every net, means over seeds, and Bayesian minus plain with paired intervals."""
    any_one = judged[f"plain-{seeds[0]}"]
    y, blocks = any_one.pooled()[1].astype(np.float64), any_one.blocks()
    p = {name: one.pooled()[0].astype(np.float64) for name, one in judged.items()}
    is_open = {
        s: (p[f"plain-{s}"] >= SEEN_PROBABILITY) | (p[f"vi-{s}"] >= SEEN_PROBABILITY) for s in seeds
    }
    nets = {}
    for name, values in p.items():
        number = int(name.rsplit("-", 1)[1]) if name.startswith(("plain-", "vi-")) else 1
        where = is_open.get(number, is_open[seeds[len(seeds) // 2]])
        nets[name] = {
            "nll": nll(values, y),
            "brier": brier(values, y),
            "aurc": float(risk_coverage(values, y).risk.mean()),
            "ece_equal_mass_open": open_ece(values, y, where),
        }
    means = {
        kind: {
            metric: float(np.mean([nets[f"{kind}-{s}"][metric] for s in seeds]))
            for metric in nets[f"plain-{seeds[0]}"]
        }
        for kind in ("plain", "vi")
    }
    return {
        "nets": nets,
        "mean_of_seeds": means,
        "vi_minus_plain": {
            "nll": _paired(p, y, blocks, seeds, log_loss),
            "brier": _paired(p, y, blocks, seeds, square_loss),
            "ece_equal_mass_open": _ece_gap(p, y, blocks, seeds, is_open),
            "aurc": means["vi"]["aurc"] - means["plain"]["aurc"],
        },
        "pixels": int(y.size),
        "positives": int(y.sum()),
        "open_pixels": {str(s): int(is_open[s].sum()) for s in seeds},
    }


def _paired(
    p: Mapping[str, Any], y: Any, blocks: Any, seeds: Sequence[int], loss: Any
) -> dict[str, float]:
    losses = [(loss(p[f"vi-{s}"], y), loss(p[f"plain-{s}"], y)) for s in seeds]
    return mean_differences(losses, blocks).as_dict()


def _ece_gap(
    p: Mapping[str, Any], y: Any, blocks: Any, seeds: Sequence[int], is_open: Mapping[int, Any]
) -> dict[str, float]:
    """Bayesian minus plain, mean over seeds, on the same resampled blocks."""

    def gap(counts: Any) -> float:
        gaps = []
        for s in seeds:
            times = counts[blocks[is_open[s]]]
            chosen = np.repeat(np.flatnonzero(is_open[s]), times)
            every = np.ones(chosen.size, dtype=bool)
            first, second = (
                open_ece(p[f"{k}-{s}"][chosen], y[chosen], every) for k in ("vi", "plain")
            )
            gaps.append(first - second)
        return float(np.mean(gaps))

    count = int(blocks.max()) + 1
    drawn = resamplings(count, 0, 100)
    return interval(gap(np.ones(count, dtype=int)), [gap(one) for one in drawn]).as_dict()


def _verdict(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Whether the Bayesian net is better in every respect asked for, and what is the default."""
    compared = {
        name: one for name, one in figures.items() if isinstance(one, dict) and "nets" in one
    }
    asked = {}
    for name, one in compared.items():
        gap, mean = one["vi_minus_plain"], one["mean_of_seeds"]["vi"]
        asked[name] = {
            "nll_lower": gap["nll"]["upper"] < 0,
            "brier_lower": gap["brier"]["upper"] < 0,
            "ece_open_at_most_0.02": mean["ece_equal_mass_open"] <= ECE_LIMIT,
            "aurc_lower": gap["aurc"] < 0,
        }
    wins = all(all(one.values()) for one in asked.values())
    scores = {
        "unet": np.mean([one["mean_of_seeds"]["plain"]["nll"] for one in compared.values()]),
        "vi": np.mean([one["mean_of_seeds"]["vi"]["nll"] for one in compared.values()]),
        "unet_8_views": np.mean([one["nets"]["plain_8_views"]["nll"] for one in compared.values()]),
    }
    best = min(scores, key=lambda name: float(scores[name]))
    return {
        "asked": asked,
        "vi_wins": wins,
        "mean_nll": {name: float(value) for name, value in scores.items()},
        "default": "vi" if wins else best,
    }
