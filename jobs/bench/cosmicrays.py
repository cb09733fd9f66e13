"""`skysieve bench cosmicrays`: every detector on the same held-out frames, by the same code."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from engine.cards import WEIGHTS, file_digest
from engine.cosmicrays.evaluation import (
    FALSE_POSITIVE_RATES,
    Judged,
    calibration_figures,
    judge,
    recall_figures,
)
from engine.cosmicrays.hits import EIGHT_NEIGHBOURS
from engine.cosmicrays.holdouts import (
    LabelledFrame,
    calibration_frames,
    crowded_holdout,
    injected_holdouts,
    simulated_holdout,
    stis_pair,
)
from engine.cosmicrays.intervals import RecallCurve, recall_differences, recall_intervals
from engine.cosmicrays.lacosmic import lacosmic_mask
from engine.cosmicrays.making import halves, seen_by_the_other_fold
from engine.cosmicrays.restoration import fill_errors
from engine.cosmicrays.stis import STIS_PAIR
from engine.errors import ModelError
from engine.frame import Pixels
from jobs.bench.cosmic_conn import cosmic_conn_contenders
from jobs.bench.cosmicrays_doubt import doubt_figures
from jobs.bench.cosmicrays_nets import (
    ALL_VIEWS,
    Contender,
    deepcr_contender,
    fold_nets,
    never_seen_contenders,
    shipped_contenders,
    stis_contenders,
)
from jobs.bench.result import write_result

SAMPLES = 16
THREADS = 2
SIGMA_CLIPS = (3.5, 4.5, 6.0, 10.0, 20.0, 40.0)
MASKED_ABOVE = 0.5
NEAR_CORE_PX = 2
NOTES = (
    "stis_pair: HST/STIS CR-split pair, left half, masks and ignore flags as they are; one field "
    "of one detector. unet, vi, ensemble never saw it; folds: two networks, each scored on the "
    "rows that it was not trained on; stis trained on it and is therefore not scored on it. wfpc2, "
    "hrc: parts of real exposures that no network was trained on, with held-out hits injected; "
    "their own hits are ignored by a sharp-peak rule that knows no network. crowded-cr, "
    "holdout-cr: simulated by a simulator that no detection network was trained on. TPR: mean over "
    "frames; intervals are 95 % of 200 resamplings of 64 x 64 blocks; calibration over pooled "
    "pixels, ECE with 15 bins and L1 norm. Networks of ours include their card's temperature; "
    "under doubt, a temperature fitted on calibration parts alone. deepCR ACS-WFC and L.A.Cosmic "
    "are outside the domain they were made for."
)

Sets = dict[str, list[LabelledFrame]]
Maps = dict[str, dict[str, Pixels]]


def bench_cosmicrays(
    out: Path,
    data: Path | None,
    seed: int,
    now: datetime,
    *,
    folder: Path = WEIGHTS,
    samples: int = SAMPLES,
) -> dict[str, Any]:
    """Compare the shipped networks with deepCR and L.A.Cosmic, and write the figures to `out`.

    `data` is the folder of real images; without it only simulated hold-outs are measured. What
    lacks its weights or its package is left out, and named so.
    """
    torch.set_num_threads(THREADS)
    real = data / "cosmicrays" if data is not None else None
    missing: dict[str, str] = {}
    contenders = shipped_contenders(folder, samples, seed)
    foreign, strangers = stis_contenders(folder), never_seen_contenders(folder)
    try:
        contenders.append(deepcr_contender())
    except ModelError as error:
        missing["deepcr_acs_wfc"] = str(error)
    try:
        contenders += cosmic_conn_contenders()
    except ModelError as error:
        missing["cosmic_conn"] = str(error)
    sets = _held_out(real)
    figures: dict[str, Any] = {"not_measured": missing, "inpainting": {}}
    judged: dict[str, dict[str, Judged]] = {}
    maps: dict[str, Maps] = {}
    for dataset, frames in sets.items():
        fit = [*contenders, *(strangers if dataset == "stis_pair" else foreign)]
        judged[dataset], figures[dataset], maps[dataset] = _measured_all(fit, frames)
        figures[dataset]["lacosmic"] = _lacosmic_figures(frames)
        if dataset in ("holdout-cr", "stis_pair"):
            try:
                figures["inpainting"][dataset] = fill_errors(frames)
            except ModelError as error:
                missing["inpainting"] = str(error)
    if real is not None:
        try:
            _add_folds(figures, judged, maps["stis_pair"], sets["stis_pair"], folder, real)
            figures["doubt"] = _doubt(folder, real, sets, samples, seed)
            figures["default"] = figures["doubt"]["default"]
        except ModelError as error:
            missing["folds and doubt"] = str(error)
    figures["beside_deepcr"] = _beside_deepcr(judged)
    write_result(
        out,
        bench="cosmicrays",
        command=f"skysieve bench cosmicrays --seed {seed}",
        seed=seed,
        now=now,
        digests=_digests([*contenders, *foreign], real),
        figures=figures,
        notes=NOTES,
    )
    return figures


def _held_out(real: Path | None) -> Sets:
    held_out: Sets = {"holdout-cr": list(simulated_holdout(real))}
    if real is not None:
        held_out["crowded-cr"] = list(crowded_holdout(real))
        held_out["stis_pair"] = list(stis_pair(real))
        held_out |= {frame.dataset: [frame] for frame in injected_holdouts(real)}
    return held_out


def _measured_all(
    contenders: Iterable[Contender], frames: Sequence[LabelledFrame]
) -> tuple[dict[str, Judged], dict[str, Any], Maps]:
    judged, figures, kept = {}, {}, {}
    for one in contenders:
        started = time.process_time()
        maps = [one.detect(frame) for frame in frames]
        cpu_s = time.process_time() - started
        kept[one.name] = {frame.name: p for frame, p in zip(frames, maps, strict=True)}
        judged[one.name] = _of_maps(kept[one.name], frames)
        megapixels = sum(frame.pixels.size for frame in frames) / 1e6
        figures[one.name] = {
            **_figures(judged[one.name]),
            **_core_figures(maps, frames),
            "cpu_s_per_megapixel": cpu_s / megapixels,
        }
    return judged, figures, kept


def _of_maps(maps: dict[str, Pixels], frames: Sequence[LabelledFrame]) -> Judged:
    return judge(lambda frame: maps[frame.name], frames)


def _figures(judged: Judged) -> dict[str, Any]:
    intervals = recall_intervals(_curves(judged), FALSE_POSITIVE_RATES)
    return {
        **recall_figures(judged),
        **calibration_figures(judged),
        **{
            f"tpr_at_fpr_{rate:g}_interval": [one.lower, one.upper]
            for rate, one in zip(FALSE_POSITIVE_RATES, intervals, strict=True)
        },
    }


def _curves(judged: Judged) -> list[RecallCurve]:
    planes = zip(judged.probability, judged.truth, judged.block, strict=True)
    return [RecallCurve(p, y, block) for p, y, block in planes]


def _core_figures(maps: Sequence[Pixels], frames: Sequence[LabelledFrame]) -> dict[str, float]:
    """Share of star-core pixels masked though no hit fell there, and of hit pixels there found."""
    cores = [frame.cores for frame in frames if frame.cores is not None]
    if len(cores) != len(frames):
        return {}
    masked = found = free = struck = 0
    for p, frame, core in zip(maps, frames, cores, strict=True):
        empty = core & ~frame.truth & ~frame.ignore
        near = ndimage.binary_dilation(core, EIGHT_NEIGHBOURS, NEAR_CORE_PX) & frame.truth
        masked += int((p[empty] > MASKED_ABOVE).sum())
        found += int((p[near] > MASKED_ABOVE).sum())
        free += int(empty.sum())
        struck += int(near.sum())
    return {
        "core_pixels": float(free),
        "core_share_masked": masked / max(free, 1),
        "hit_pixels_near_cores": float(struck),
        "recall_near_cores": found / max(struck, 1),
    }


def _add_folds(
    figures: dict[str, Any],
    judged: dict[str, dict[str, Judged]],
    maps: Maps,
    frames: Sequence[LabelledFrame],
    folder: Path,
    real: Path,
) -> None:
    """Setting (a): each half of the rows by the network that was trained on the other half.

    Two networks are two scales of probability: "stis_pair" pools both under one threshold a
    frame, "stis_pair_by_fold" gives every detector one a fold, and is the mean over four halves.
    """
    nets = fold_nets(folder)
    by_fold = {name: _joined(*halves(frames, one)) for name, one in maps.items()}
    for name, views in (("folds", 1), (f"folds_{ALL_VIEWS}_views", ALL_VIEWS)):
        folds = seen_by_the_other_fold(nets, real, views=views)
        judged["stis_pair"][name] = folds.judged
        figures["stis_pair"][name] = _figures(folds.judged)
        by_fold[name] = _joined(*folds.parts)
    judged["stis_pair_by_fold"] = by_fold
    figures["stis_pair_by_fold"] = {name: _figures(one) for name, one in by_fold.items()}


def _joined(low: Judged, high: Judged) -> Judged:
    return Judged(
        "stis_pair_by_fold",
        low.probability + high.probability,
        low.truth + high.truth,
        low.block + high.block,
    )


def _doubt(folder: Path, real: Path, sets: Sets, samples: int, seed: int) -> dict[str, Any]:
    chosen = {name: sets[name] for name in ("wfpc2", "hrc", "crowded-cr", "stis_pair")}
    return doubt_figures(folder, list(calibration_frames(real)), chosen, samples, seed)


def _beside_deepcr(judged: dict[str, dict[str, Judged]]) -> dict[str, Any]:
    """Every detector's true-positive rates minus deepCR's, on the same resampled blocks."""
    table: dict[str, Any] = {}
    for dataset, by_name in judged.items():
        if "deepcr_acs_wfc" not in by_name:
            continue
        theirs = _curves(by_name["deepcr_acs_wfc"])
        table[dataset] = {
            name: {
                f"tpr_at_fpr_{rate:g}": gap.as_dict()
                for rate, gap in zip(
                    FALSE_POSITIVE_RATES,
                    recall_differences(_curves(one), theirs, FALSE_POSITIVE_RATES),
                    strict=True,
                )
            }
            for name, one in by_name.items()
            if name != "deepcr_acs_wfc"
        }
    return table


def _lacosmic_figures(frames: Sequence[LabelledFrame]) -> dict[str, Any]:
    """True- and false-positive rates at each Laplacian limit; there is no probability to judge."""
    return {f"sigma_clip_{limit:g}": _lacosmic_rates(frames, limit) for limit in SIGMA_CLIPS}


def _lacosmic_rates(frames: Sequence[LabelledFrame], sigma_clip: float) -> dict[str, float]:
    found, false = [], []
    for frame in frames:
        nothing_bad = np.zeros(frame.truth.shape, dtype=bool)
        mask = lacosmic_mask(frame.pixels, nothing_bad, frame.read_noise_e, sigma_clip=sigma_clip)
        found.append(mask[frame.truth & ~frame.ignore].mean())
        false.append(mask[~frame.truth & ~frame.ignore].mean())
    return {"tpr": float(np.mean(found)), "fpr": float(np.mean(false))}


def _digests(contenders: Sequence[Contender], real: Path | None) -> dict[str, str]:
    digests = {one.name: one.digest for one in contenders}
    if real is not None:
        digests[STIS_PAIR] = file_digest(real / STIS_PAIR)
    return digests
