"""The sky in Mollweide's projection, and one field of it, as charts.

Mollweide keeps areas, so that cells of one size hold as much sky wherever they lie. astropy
projects; the charts draw what is already projected, with north up and east to the left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from astropy.wcs import WCS
from numpy.typing import ArrayLike, NDArray

from dashboard.charts import CIVIDIS, GREY, ORANGE, verdict_legend, verdict_scale
from dashboard.figures import name_of

Rows = Sequence[Mapping[str, Any]]
# The plane is 357 by 172 units wide: with this height areas stay true below a title.
WIDTH, HEIGHT = 640, 342
FIELD_WIDTH = 400
CENTRE_RA_DEG = 180.0
EDGE_DEG = 179.99
MERIDIANS = range(0, 360, 60)
PARALLELS = range(-60, 61, 30)


def mollweide(ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.float64]:
    """Project positions in degrees, (N,) each, to the plane: (N, 2), x to the west, in degrees.

    The ellipse is centred on RA 180 and spans 4 sqrt(2) by 2 sqrt(2) radians.
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---MOL", "DEC--MOL"]
    wcs.wcs.crval = [CENTRE_RA_DEG, 0.0]
    wcs.wcs.crpix = [0.0, 0.0]
    wcs.wcs.cdelt = [-1.0, 1.0]
    ra, dec = np.broadcast_arrays(np.asarray(ra_deg, float), np.asarray(dec_deg, float))
    if ra.size == 0:
        return np.zeros((0, 2))
    positions = np.column_stack([np.ravel(ra) % 360.0, np.ravel(dec)])
    plane = wcs.wcs_world2pix(positions, 0) - wcs.wcs.crpix + 1.0
    return np.asarray(plane, dtype=np.float64)


def sky_chart(cells: Rows, best: Rows) -> Any:
    """Chart how many detections each cell of the sky holds, the best candidates on top."""
    layers = [_lines(), *_labels(), _cells(cells)]
    if best:
        layers.append(_candidates(best))
    return (
        alt.layer(*layers)
        .resolve_scale(color="independent")
        .properties(title="Detections on the sky", width=WIDTH, height=HEIGHT)
        .configure_view(stroke=None)
    )


def field_chart(rows: Rows, key: str) -> Any:
    """Chart the detections of one field by verdict; `key` names what a click selects."""
    frame = pd.DataFrame(
        [
            {
                "detection_id": row["detection_id"],
                "object": name_of(row),
                "ra": row["ra_deg"],
                "dec": row["dec_deg"],
                "p_value": row["p_value"],
                "verdict": row["verdict"],
            }
            for row in rows
        ]
    )
    return (
        alt.Chart(frame)
        .mark_point(filled=True, size=45, opacity=0.85)
        .encode(
            x=alt.X(
                "ra:Q",
                title="right ascension (°)",
                scale=alt.Scale(zero=False, reverse=True, nice=False, padding=12),
                axis=alt.Axis(tickCount=4, labelOverlap=True),
            ),
            y=alt.Y(
                "dec:Q",
                title="declination (°)",
                scale=alt.Scale(zero=False, nice=False, padding=12),
                axis=alt.Axis(tickCount=5),
            ),
            color=alt.Color(
                "verdict:N", scale=verdict_scale(), legend=verdict_legend("bottom", columns=3),
            ),
            tooltip=["object", "verdict", alt.Tooltip("p_value", format=".3g"),
                     alt.Tooltip("ra", format=".5f"), alt.Tooltip("dec", format=".5f")],
        )
        .add_params(alt.selection_point(name=key, fields=["detection_id"]))
        .properties(title="The fullest field", width=FIELD_WIDTH, height=HEIGHT)
    )  # fmt: skip


def _plane(ra: ArrayLike, dec: ArrayLike, /, **more: Any) -> pd.DataFrame:
    projected = mollweide(ra, dec)
    x, y = np.round(projected.T, 2)
    return pd.DataFrame({"x": x, "y": y, **more})


def _x() -> Any:
    return alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-185, 172], nice=False))


def _y() -> Any:
    return alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-86, 86], nice=False))


def _lines() -> Any:
    """The graticule and the edge of the sky."""
    declinations = np.linspace(-90, 90, 31)
    offsets = np.linspace(-EDGE_DEG, EDGE_DEG, 41)
    parts = [
        _plane(ra, declinations, line=f"ra {ra}", order=range(31), edge=False)
        for ra in MERIDIANS
        if ra != (CENTRE_RA_DEG + 180) % 360
    ] + [
        _plane(CENTRE_RA_DEG + offsets, dec, line=f"dec {dec}", order=range(41), edge=False)
        for dec in PARALLELS
    ]
    parts += [
        _plane(CENTRE_RA_DEG + side, declinations, line=f"edge {side}", order=range(31), edge=True)
        for side in (-EDGE_DEG, EDGE_DEG)
    ]
    return (
        alt.Chart(pd.concat(parts))
        .mark_line(color=GREY, strokeWidth=0.8)
        .encode(
            x=_x(),
            y=_y(),
            detail="line:N",
            order="order:Q",
            opacity=alt.condition("datum.edge", alt.value(0.9), alt.value(0.35)),
        )
    )


def _labels() -> tuple[Any, Any]:
    ra = [value for value in MERIDIANS if value != 0]
    across = _plane(ra, 0.0, text=[f"{value}°" for value in ra])
    up = _plane(
        CENTRE_RA_DEG + EDGE_DEG, list(PARALLELS), text=[f"{value:+d}°" for value in PARALLELS]
    )
    shared: dict[str, Any] = {"color": GREY, "fontSize": 11}
    return (
        alt.Chart(across).mark_text(dy=9, **shared).encode(x=_x(), y=_y(), text="text:N"),
        alt.Chart(up).mark_text(dx=-6, align="right", **shared).encode(
            x=_x(), y=_y(), text="text:N"
        ),
    )  # fmt: skip


def _cells(cells: Rows) -> Any:
    frame = _plane(
        [row["ra_deg"] for row in cells],
        [row["dec_deg"] for row in cells],
        ra=[round(row["ra_deg"], 1) for row in cells],
        dec=[round(row["dec_deg"], 1) for row in cells],
        detections=[row["n"] for row in cells],
        candidates=[row["candidates"] for row in cells],
    )
    return (
        alt.Chart(frame)
        .mark_point(filled=True, shape="square", size=52, opacity=1)
        .encode(
            x=_x(),
            y=_y(),
            color=alt.Color(
                "detections:Q",
                title="detections a cell",
                scale=alt.Scale(type="log", range=CIVIDIS, domainMin=1),
                # In the corner beside the ellipse, so that the legend takes no height from the map.
                legend=alt.Legend(orient="none", legendX=0, legendY=258, direction="horizontal",
                                  gradientLength=110, tickCount=3, format="~s"),
            ),
            tooltip=["detections", "candidates", alt.Tooltip("ra", title="RA (°)", format=".1f"),
                     alt.Tooltip("dec", title="Dec (°)", format="+.1f")],
        )
    )  # fmt: skip


def _candidates(best: Rows) -> Any:
    frame = _plane(
        [row["ra_deg"] for row in best],
        [row["dec_deg"] for row in best],
        candidate=[name_of(row) for row in best],
        p_value=[row["p_value"] for row in best],
    )
    return (
        alt.Chart(frame)
        .mark_point(shape="diamond", size=70, filled=False, strokeWidth=1.6, color=ORANGE)
        .encode(
            x=_x(),
            y=_y(),
            tooltip=["candidate", alt.Tooltip("p_value", title="p-value", format=".3g")],
        )
    )
