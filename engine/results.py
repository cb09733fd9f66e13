"""What the three pipelines return: arrays and numbers, nothing about storage."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from engine.frame import Mask, Pixels


@dataclass(frozen=True)
class CodecTile:
    """One tile of a coded frame; root-mean-square values in the frame's pixel units.

    `flat_rmse` is the error where the tile never arrives and the frame's median stands for it.
    """

    row: int
    column: int
    y0: int
    x0: int
    height: int
    width: int
    bytes: int
    rmse: float
    predicted_rmse: float
    dropout_std: float
    flat_rmse: float | None = None


@dataclass(frozen=True)
class CodecResult:
    """A frame coded, decoded from its bytes alone, and compared with the original.

    `bpp` = 8 * len(bitstream) / (H * W * planes). `compression_ratio` = sample_bits / bpp.
    `psnr_db` is against `peak` (stated). `gradient_error` is the root mean square of the Sobel
    gradient of the error, in pixel units. `confidence` is the Monte-Carlo-dropout standard
    deviation and `predicted_rmse` the entropy model's expected error, both float32 (H, W) in pixel
    units. `dropout_spearman` and `predicted_spearman` are rank correlations with the true error
    over blocks of 32 x 32 pixels (NaN below four blocks). `bound_90` is the half width, float32
    (H, W) in pixel units, of the calibrated interval that 90 % of pixel errors lie within, and
    `bound_map` the map it comes from; None and "" where the weights carry no calibration.
    """

    bitstream: bytes = field(repr=False)
    reconstruction: Pixels = field(repr=False)
    confidence: Pixels = field(repr=False)
    predicted_rmse: Pixels = field(repr=False)
    bpp: float
    compression_ratio: float
    sample_bits: int
    psnr_db: float
    peak: float
    ms_ssim: float
    gradient_error: float
    rmse: float
    dropout_spearman: float
    predicted_spearman: float
    samples: int
    tiles: tuple[CodecTile, ...] = ()
    bound_90: Pixels | None = field(repr=False, default=None)
    bound_map: str = ""


@dataclass(frozen=True)
class CosmicRayResult:
    """Per-pixel cosmic-ray evidence; all maps float32 (H, W).

    `probability` in [0, 1] is the mean over the samples; entropies and `mutual_information` in
    nats; `mask` is `probability > threshold`; `cleaned` has the masked pixels inpainted.
    """

    probability: Pixels = field(repr=False)
    predictive_entropy: Pixels = field(repr=False)
    expected_entropy: Pixels = field(repr=False)
    mutual_information: Pixels = field(repr=False)
    mask: Mask = field(repr=False)
    cleaned: Pixels = field(repr=False)
    threshold: float
    samples: int
    method: str


class Verdict(StrEnum):
    """A machine's judgement on one detection."""

    NORMAL = "normal"
    NEAR_MISS = "near_miss"
    UNCERTAIN = "uncertain"
    CANDIDATE = "candidate"
    ARTEFACT = "artefact"


@dataclass(frozen=True)
class Score:
    """One method's score; higher is more anomalous. `percentile` in [0, 100] and `p_value` in
    (0, 1] are against the held-out calibration split, None where the reference does not apply."""

    method: str
    raw: float
    percentile: float | None
    p_value: float | None


@dataclass(frozen=True)
class VersionScores:
    """The same place on one version of the frame: "raw", "cleaned" or "decoded".

    `flux` and `snr` are over the detection's own footprint (None for whole images), `found` says
    whether they would make it a source there; `scores` are those of the version's pixels.
    """

    version: str
    flux: float | None
    snr: float | None
    found: bool
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against a detection beside its scores.

    `magnitude` is instrumental, -2.5 log10(flux). `good_share` is the share of the cutout that is
    neither masked nor beyond the frame. `conditioned_p_value` is the p-value among normals of like
    area, None where that was not fitted. `artefact_probability` and `artefact_kind` are what the
    artefact head (`artefact_model`, a digest) says, None where it does not apply. `vanishes` is
    True when the source is gone once cosmic rays are removed. `heat_map` float32 (h, w) says where
    in the cutout its patches are unlike those of normals. `contributions` are the shares that the
    methods have in the combined score. `preprocessing` is the digest of its rule.
    """

    perceptual_hash: str
    preprocessing: str
    area_px: int | None = None
    magnitude: float | None = None
    elongation: float | None = None
    edge_px: float | None = None
    good_share: float = 1.0
    conditioned_p_value: float | None = None
    artefact_probability: float | None = None
    artefact_kind: str | None = None
    artefact_model: str | None = None
    vanishes: bool = False
    heat_map: Pixels | None = field(default=None, repr=False)
    versions: tuple[VersionScores, ...] = ()
    contributions: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Detection:
    """One source, or one whole image, that was embedded and scored.

    `x`, `y` are pixel coordinates of the centre (0-based, x along columns). `size_px` is the side
    of the cutout. `flux` and `snr` are None for whole images. `cosmic_ray_share` is the share of
    positive flux that lies on cosmic-ray pixels, None where cosmic rays do not apply. `rank` orders
    detections of one p-value, higher = odder: the combined score, times the probability of being
    no artefact where the artefact head may decide; None where nothing was combined.
    """

    kind: str
    x: float
    y: float
    size_px: int
    cutout: Pixels = field(repr=False)
    embedding: NDArray[np.float32] = field(repr=False)
    scores: tuple[Score, ...]
    verdict: Verdict
    reason: str
    p_value: float | None
    flux: float | None = None
    snr: float | None = None
    ra_deg: float | None = None
    dec_deg: float | None = None
    cosmic_ray_share: float | None = None
    class_name: str | None = None
    class_probability: float | None = None
    evidence: Evidence | None = None
    rank: float | None = None


@dataclass(frozen=True)
class AnomalyResult:
    """All detections of one frame, with the embedder and reference they were judged by."""

    detections: tuple[Detection, ...]
    embedder: str
    reference: str


@dataclass(frozen=True)
class Inapplicable:
    """A pipeline that has nothing to say about the frame, and why."""

    reason: str


@dataclass(frozen=True)
class Failure:
    """A pipeline that failed on the frame, and why."""

    reason: str
    trace: str = field(default="", repr=False)


PipelineResult = CodecResult | CosmicRayResult | AnomalyResult
Outcome = PipelineResult | Inapplicable | Failure


@dataclass(frozen=True)
class Step:
    """What one pipeline made of one frame, and with what."""

    pipeline: str
    model_digest: str
    policy_digest: str
    outcome: Outcome
    duration_s: float


@dataclass(frozen=True)
class Analysis:
    """The three pipelines' steps for one frame, in the order they ran."""

    frame_digest: str
    steps: tuple[Step, ...]
