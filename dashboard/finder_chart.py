"""A finder chart: the surroundings of a detection with a circle, a scale bar, north and east."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dashboard.access import ask
from dashboard.layers import arrays
from db.errors import StoreError
from db.queries import evidence
from engine.errors import EngineError
from engine.finder import Compass, bar_arcsec, compass
from engine.frame import Frame, Origin
from engine.stretch import stretch

SIDE_PX = 560
AROUND = 4
LEAST_FIELD = 96
MARK, BRIGHT, SHADE = (255, 176, 0), (255, 255, 255), (0, 0, 0)
Row = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """What a chart shows: grey (N, N) in [0, 1], its first pixel, and the compass if it has one."""

    grey: NDArray[np.float32]
    x0: int
    y0: int
    compass: Compass | None


def finder_chart(found: Row) -> None:
    """Show the chart of a detection, with what it says in words and as a file."""
    try:
        png, words = _chart(found, found["detection_id"])
    except (StoreError, EngineError) as error:
        st.caption(f"No finder chart: {error}")
        return
    st.image(png, caption=words, alt="finder chart", width="stretch")
    st.download_button(
        "Finder chart", png, file_name=f"finder-{found['detection_id'][:12]}.png",
        mime="image/png", icon=":material/download:", on_click="ignore", type="tertiary",
        key="finder_png",
    )  # fmt: skip


@st.cache_data(max_entries=64, show_spinner=False)
def _chart(_found: Row, detection_id: str) -> tuple[bytes, str]:  # noqa: ARG001  a cache's key
    context = ask(evidence.sky_context, _found["frame_digest"])
    if context is None:
        raise StoreError("its frame is not in the store")
    stored = arrays(context["pixels_file"])
    field = field_of(stored["pixels"], stored["mask"], context["header"] or "", _found)
    return drawn(field, _found)


def field_of(pixels: NDArray[Any], mask: NDArray[np.bool_], header: str, found: Row) -> Field:
    """The square field around a detection, four times its size; beyond the frame it is black."""
    plane = pixels if pixels.ndim == 2 else pixels.mean(axis=0)
    side = min(max(AROUND * found["size_px"], LEAST_FIELD), max(plane.shape))
    x0, y0 = round(found["x"] - side / 2), round(found["y"] - side / 2)
    known = np.where(mask, np.float32(np.nan), plane).astype(np.float32)
    cut = np.full((side, side), np.nan, dtype=np.float32)
    rows = slice(max(y0, 0), min(y0 + side, plane.shape[0]))
    columns = slice(max(x0, 0), min(x0 + side, plane.shape[1]))
    cut[rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0] = known[
        rows, columns
    ]
    sky = Frame.of(np.zeros((1, 1)), Origin("", ""), header=header).wcs
    return Field(
        stretch(cut, ~np.isfinite(cut), "asinh"), x0, y0,
        None if sky is None else compass(sky, found["x"], found["y"]),
    )  # fmt: skip


def drawn(field: Field, found: Row) -> tuple[bytes, str]:
    """The chart as a PNG, pixel (0, 0) at the top left as everywhere here, and what it says."""
    side = len(field.grey)
    scale = SIDE_PX / side
    grey = Image.fromarray(np.rint(255 * field.grey).astype(np.uint8))
    picture = grey.resize((SIDE_PX, SIDE_PX), Image.Resampling.NEAREST).convert("RGB")
    draw = ImageDraw.Draw(picture)
    x, y = (found["x"] - field.x0 + 0.5) * scale, (found["y"] - field.y0 + 0.5) * scale
    radius = max(found["size_px"] / 2 * scale, 8)
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=MARK, width=3)
    if field.compass is None:
        words = f"{side} px wide; this frame has no sky coordinates, so no north"
        _bar(draw, side // 4 * scale, f"{side // 4} px")
    else:
        wide = side * field.compass.arcsec_per_px
        length = bar_arcsec(wide)
        # The font that Pillow brings has no primes.
        said = f'{length:g}"' if length < 60 else f"{length / 60:g}'"
        _bar(draw, length / field.compass.arcsec_per_px * scale, said)
        _arrows(draw, field.compass)
        across = f"{wide:.3g}″" if wide < 120 else f"{wide / 60:.3g}′"
        words = f"{across} wide, {field.compass.arcsec_per_px:.3g}″ a pixel; N and E as drawn"
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=False)
    return stream.getvalue(), f"Finder chart, {words}"


def _bar(draw: ImageDraw.ImageDraw, length: float, text: str) -> None:
    left, bottom = 18, SIDE_PX - 18
    for colour, grow in ((SHADE, 2), (BRIGHT, 0)):
        draw.line([left - grow, bottom, left + length + grow, bottom], colour, 3 + 2 * grow)
    _text(draw, (left, bottom - 28), text)


def _arrows(draw: ImageDraw.ImageDraw, found: Compass) -> None:
    """Arrows from a corner; rows grow downwards on the picture as they do in the array."""
    root, length = np.array([SIDE_PX - 76.0, 76.0]), 46.0
    for name, (dx, dy) in (("N", found.north), ("E", found.east)):
        tip = root + length * np.array([dx, dy])
        for colour, width in ((SHADE, 6), (BRIGHT, 3)):
            draw.line([*root, *tip], colour, width)
        side = np.array([-dy, dx])
        back = tip - 11 * np.array([dx, dy])
        draw.polygon([tuple(tip), tuple(back + 6 * side), tuple(back - 6 * side)], fill=BRIGHT)
        place = root + (length + 15) * np.array([dx, dy]) - np.array([6, 11])
        _text(draw, (float(place[0]), float(place[1])), name)


def _text(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str) -> None:
    font = ImageFont.load_default(size=20)
    draw.text(place, text, fill=BRIGHT, font=font, stroke_width=2, stroke_fill=SHADE)
