"""PNG, TIFF and JPEG pictures."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from engine.errors import FrameTooLarge, UnreadableFile
from engine.frame import Frame, Origin
from engine.reading.reading import IgnoredPart, Limits, Reading

FORMATS = ("PNG", "TIFF", "JPEG")
GREY_MODES = ("L", "F", "I", "I;16", "I;16B", "I;16L", "I;16N")
TRANSPARENCY = IgnoredPart("alpha", "transparency is not brightness: left out, the rest kept")
PNG_DEPTH_BYTE = 24

CORRUPTION = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
    imagecodecs.PngError,
    UnidentifiedImageError,
)


def read_picture(content: bytes, name: str, origin: Origin, limits: Limits) -> Reading:
    """Read the first image of a picture file, given as bytes. Raises as read_frames does.

    Grey stays (H, W) at its stored depth; colour becomes (3, H, W).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                limits.check_pixels(picture.width * picture.height, name)
                samples, ignored = _samples(picture, content)
                ignored += _further_pages(picture)
    except Image.DecompressionBombError as error:
        raise FrameTooLarge(f"{name} is too large to unpack ({error}): cut it first") from error
    except CORRUPTION as error:
        raise UnreadableFile(
            f"{name} is a damaged picture, or of a kind not known ({error}): fetch it again, or "
            "convert it to FITS or PNG"
        ) from error
    planes = samples if samples.ndim == 2 else np.moveaxis(samples, -1, 0)
    return Reading((Frame.of(planes, origin),), tuple(ignored))


def _samples(picture: Image.Image, content: bytes) -> tuple[NDArray[Any], list[IgnoredPart]]:
    """Samples of shape (H, W) or (H, W, 3), and what was left out or changed."""
    if picture.format == "PNG" and content[PNG_DEPTH_BYTE] == 16:
        return _without_alpha(imagecodecs.png_decode(content))
    if picture.mode in GREY_MODES:
        return np.asarray(picture), []
    if picture.mode in ("RGB", "LA", "RGBA"):
        return _without_alpha(np.asarray(picture))
    if picture.mode == "1":
        return np.asarray(picture.convert("L")), []
    ignored = [TRANSPARENCY] if "transparency" in picture.info or picture.mode == "PA" else []
    colours = np.asarray(picture.convert("RGB"))
    if picture.mode in ("P", "PA"):
        note = IgnoredPart("palette", "replaced by the colours that it stands for")
        grey = bool((colours == colours[..., :1]).all())
        return (colours[..., 0] if grey else colours), [*ignored, note]
    note = IgnoredPart("colour space", f"{picture.mode} converted to red, green and blue")
    return colours, [*ignored, note]


def _without_alpha(samples: NDArray[Any]) -> tuple[NDArray[Any], list[IgnoredPart]]:
    if samples.ndim == 2:
        return samples, []
    channels = samples.shape[-1]
    if channels == 3:
        return samples, []
    if channels == 4:
        return samples[..., :3], [TRANSPARENCY]
    return samples[..., 0], [TRANSPARENCY] if channels == 2 else []


def _further_pages(picture: Image.Image) -> list[IgnoredPart]:
    pages = int(getattr(picture, "n_frames", 1))
    if pages == 1:
        return []
    return [IgnoredPart(f"pages 2-{pages}", "only the first page of a picture file is read")]
