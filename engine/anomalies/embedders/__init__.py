"""Embedders: images to vectors, by name."""

from __future__ import annotations

from functools import partial

from engine.anomalies.embedders.base import Embedder, check_images
from engine.errors import ModelError

SOURCE_EMBEDDER = "efficientnet_lite0+morphology"
DEFAULT_EMBEDDER = "efficientnet_lite0+morphology+fitted-efficientnet_lite0+fitted-morphology"

__all__ = ["DEFAULT_EMBEDDER", "SOURCE_EMBEDDER", "Embedder", "check_images", "make_embedder"]


def make_embedder(name: str) -> Embedder:
    """Make the embedder called `name`.

    Names: "efficientnet_lite0" (one view), "efficientnet_lite0:8" (mean of 8 dihedral views),
    "morphology", "vit:FOLDER_OR_HUB_NAME", any of them after "fitted-" (of the object in the
    middle) or "zoom-" (of the central half), and several joined by "+". Raises ModelError for any
    other name or when weights are missing.
    """
    if "+" in name and not name.startswith("vit:"):
        from engine.anomalies.embedders.joined import JoinedEmbedder

        return JoinedEmbedder([make_embedder(part) for part in name.split("+")])
    if name.startswith("zoom-"):
        from engine.anomalies.embedders.cropped import CroppedEmbedder
        from engine.anomalies.embedders.zoomed import central_half

        return CroppedEmbedder("zoom", make_embedder(name.removeprefix("zoom-")), central_half)
    if name.startswith("fitted-"):
        from engine.anomalies.embedders.cropped import CroppedEmbedder
        from engine.anomalies.embedders.fitted import object_squares

        inner = make_embedder(name.removeprefix("fitted-"))
        return CroppedEmbedder("fitted", inner, partial(object_squares, side=inner.input_side))
    if name == "morphology":
        from engine.anomalies.embedders.morphology import MorphologyEmbedder

        return MorphologyEmbedder()
    if name in ("efficientnet_lite0", "efficientnet_lite0:8"):
        from engine.anomalies.embedders.efficientnet import EfficientNetEmbedder

        return EfficientNetEmbedder(views=8 if name.endswith(":8") else 1)
    if name.startswith("vit:"):
        from engine.anomalies.embedders.vit import VitEmbedder

        return VitEmbedder(name.removeprefix("vit:"))
    raise ModelError(
        f"no embedder {name!r}: use efficientnet_lite0, efficientnet_lite0:8, morphology or "
        "vit:FOLDER_OR_HUB_NAME, after fitted- for the object in the middle or zoom- for the "
        "central half, joined by + if several"
    )
