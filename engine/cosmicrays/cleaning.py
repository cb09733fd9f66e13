"""Cleaning a chip of any size: bands of rows in, products out, memory bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from engine.cosmicrays.baselines import Detect
from engine.cosmicrays.chips import Chip
from engine.cosmicrays.pipeline import CosmicRayPipeline, check_detector_plane
from engine.cosmicrays.products import ChipPlanes, planes_of
from engine.policy import generator_for
from engine.results import CosmicRayResult

BAND_PIXELS = 2**24
# The cleaned row needs masks 8 px around, those need pixels 8 px around, and unusable ones among
# these were filled from 8 px around: 24, and the pooling grid wants an even number.
MARGIN_PX = 32

Prepare = Callable[[Chip], Detect]


@dataclass(frozen=True)
class ChipSummary:
    """What was found on one chip."""

    method: str
    samples: int
    threshold: float
    masked: int
    pixels: int


def clean_chip(
    chip: Chip, prepare: Prepare, planes: Callable[[], ChipPlanes], band_pixels: int = BAND_PIXELS
) -> ChipSummary:
    """Clean a chip and write its planes.

    `prepare` measures the chip and gives the detector for its bands; `planes` is called once that
    has worked. Chips up to `band_pixels` are one band. Bands overlap by 32 rows, more than anything
    here reaches, so that their number shows only where more than 8 px around a pixel are unusable.
    Raises NotApplicable as the detectors do.
    """
    height, width = chip.shape
    check_detector_plane(chip.sample_bits, chip.planes, height, width)
    detect, out = prepare(chip), planes()
    found: list[ChipSummary] = []
    for core, around in bands(height, width, band_pixels):
        band = chip.rows(around)
        inner = slice(core.start - around.start, core.stop - around.start)
        result = _rows_of(detect(band.pixels, band.bad), inner)
        out.write(core.start, planes_of(result, band.bad[inner], band.flags[inner]))
        found.append(
            ChipSummary(
                result.method,
                result.samples,
                result.threshold,
                int(result.mask.sum()),
                result.mask.size,
            )
        )
    return replace(
        found[0],
        masked=sum(one.masked for one in found),
        pixels=sum(one.pixels for one in found),
    )


def bands(height: int, width: int, band_pixels: int) -> Iterator[tuple[slice, slice]]:
    """Yield the rows of each band, and the rows that have to be read for them."""
    rows = max(2 * MARGIN_PX, band_pixels // width // 2 * 2)
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        yield slice(start, stop), slice(max(0, start - MARGIN_PX), min(height, stop + MARGIN_PX))


def prepare_networks(pipeline: CosmicRayPipeline) -> Prepare:
    """The product's own networks: weights are drawn once a chip, by its digest and the seed."""

    def prepare(chip: Chip) -> Detect:
        scale = chip.scale()
        drawn = pipeline.policy.method == "vi"
        seed = pipeline.policy.seed
        rng = generator_for(chip.digest(), seed) if drawn else np.random.default_rng(seed)
        nets = pipeline.passes(rng)
        return lambda pixels, bad: pipeline.detect(nets, pixels, bad, scale)

    return prepare


def _rows_of(result: CosmicRayResult, rows: slice) -> CosmicRayResult:
    return replace(
        result,
        probability=result.probability[rows],
        predictive_entropy=result.predictive_entropy[rows],
        expected_entropy=result.expected_entropy[rows],
        mutual_information=result.mutual_information[rows],
        mask=result.mask[rows],
        cleaned=result.cleaned[rows],
    )
