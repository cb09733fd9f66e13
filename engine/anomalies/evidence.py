"""Evidence beside the scores: other versions of the frame, nuisances, why it may be no object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.anomalies.cutouts import Cutout, on_version, whole_image
from engine.anomalies.detection import MIN_SNR
from engine.anomalies.policy import AnomalyPolicy
from engine.anomalies.similar import perceptual_hash
from engine.anomalies.verdict import artefact_reason
from engine.frame import Frame, Pixels
from engine.results import CosmicRayResult

RAW, CLEANED, DECODED = "raw", "cleaned", "decoded"


@dataclass(frozen=True)
class Version:
    """One detection on one version of its frame; `main` is True where the pixels are the ones that
    it was judged on, so that they need not be embedded again."""

    name: str
    cutout: Cutout
    main: bool


def versions_of(
    frame: Frame,
    cutout: Cutout,
    cosmic_rays: CosmicRayResult | None,
    decoded: Pixels | None,
) -> tuple[Version, ...]:
    """The cutout on the raw, the cleaned and the decoded frame, as far as there are such.

    `decoded` has the shape of the frame's pixels. Of whole images the decoded one is cut anew.
    """
    images = {RAW: frame.filled()}
    if cosmic_rays is not None:
        images[CLEANED] = cosmic_rays.cleaned
    if decoded is not None:
        images[DECODED] = decoded
    found = []
    for name, image in images.items():
        if cutout.footprint is None:
            cut = cutout if name == RAW else whole_image(frame.with_pixels(_finite(frame, image)))
        else:
            cut = on_version(cutout, image, frame.mask)
        same = np.array_equal(cut.pixels, cutout.pixels)
        found.append(Version(name, cutout if same else cut, same))
    return tuple(found)


def is_found(cutout: Cutout) -> bool:
    """Whether the place would count as a source on that version; whole images always do."""
    return cutout.snr is None or cutout.snr >= MIN_SNR


def why_artefact(
    policy: AnomalyPolicy,
    cutout: Cutout,
    *,
    probability: float | None = None,
    kind: str | None = None,
    threshold: float | None = None,
) -> str | None:
    """Why a detection is an artefact, None when it is not.

    In this order: gone once cosmic rays are removed, its flux on hits, a line across the frame, and
    the artefact head where `threshold` is given and exceeded.
    """
    if cutout.vanishes:
        return "it is gone once cosmic rays are removed: a hit, not an object"
    plain = artefact_reason(policy, cutout.cosmic_ray_share, is_line=cutout.is_line)
    if plain is not None:
        return plain
    if probability is not None and threshold is not None and probability > threshold:
        what = (kind or "artefact").replace("_", " ")
        return f"the artefact head gives {probability:.1%}: it looks like a {what}"
    return None


def magnitude(flux: float | None) -> float | None:
    """Instrumental magnitude -2.5 log10(flux); None without positive flux."""
    return None if flux is None or flux <= 0 else float(-2.5 * np.log10(flux))


def hashes(cutouts: Sequence[Cutout]) -> list[str]:
    """Perceptual hash of every cutout, over the mean of its planes."""
    return [
        perceptual_hash(c.pixels if c.pixels.ndim == 2 else c.pixels.mean(axis=0)) for c in cutouts
    ]


def _finite(frame: Frame, image: Pixels) -> Pixels:
    return np.where(np.isfinite(image), image, frame.filled()).astype(np.float32)
