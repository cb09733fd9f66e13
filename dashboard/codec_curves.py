"""Rate-distortion curves beside the classic codecs, as the weights' card holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts import GREY, HEIGHT, PALETTE

CODECS = {
    "skysieve": "skysieve",
    "jpeg2000": "JPEG 2000",
    "jpegxl": "JPEG XL",
    "jpeg": "JPEG",
    "hcompress": "HCOMPRESS",
}
GROUPS = {
    "hirise_tiles": "HiRISE tiles",
    "rover_12_bit": "rover, 12 bits",
    "rover_8_bit": "rover, 8 bits",
    "raw_hirise": "HiRISE crops",
    "other_body": "other bodies",
    "simulated_ground": "simulated ground",
    "simulated_sky": "simulated sky",
}


def curve_points(group: Mapping[str, Any], measure: str) -> list[dict[str, Any]]:
    """One row a codec and rate, codecs in a fixed order; points without a figure left out."""
    return [
        {"codec": title, "bpp": point["bpp"], "value": point[measure]}
        for name, title in CODECS.items()
        for point in group["curves"].get(name, [])
        if point[measure] is not None and point[measure] == point[measure]
    ]


def saved(group: Mapping[str, Any]) -> str:
    """What the codec saves against JPEG 2000, in words."""
    percent = group["bd_rate_percent_against_jpeg2000"]["skysieve"]
    word = "fewer" if percent < 0 else "more"
    return (
        f"{abs(percent):.1f} % {word} bytes than JPEG 2000 at equal PSNR (BD-rate, mean over "
        f"{group['frames']} held-out frames)."
    )


def chart(points: Sequence[Mapping[str, Any]], axis: str) -> Any:
    """Chart a quality measure over bits a pixel, one line a codec."""
    titles = list(CODECS.values())
    return (
        alt.Chart(pd.DataFrame(list(points)))
        .mark_line(point=True)
        .encode(
            x=alt.X("bpp:Q", title="rate (bits per pixel)", scale=alt.Scale(type="log")),
            y=alt.Y("value:Q", title=axis, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "codec:N",
                title=None,
                sort=titles,
                scale=alt.Scale(domain=titles, range=[*PALETTE[:4], GREY]),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=["codec", "bpp", "value"],
        )
        .properties(title=f"{axis} against rate, beside other codecs", height=HEIGHT)
    )
