"""The Compression page draws the curves that the shipped weights' card holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.cards import read_card


def test_the_page_says_what_is_saved_against_jpeg_2000(
    open_page: Callable[[str], Any], filled_owner: Any
):
    app = open_page("compression")
    assert not app.exception
    groups = read_card("codec").metrics["rate_distortion"]
    percent = groups["hirise_tiles"]["bd_rate_percent_against_jpeg2000"]["skysieve"]
    said = [caption.value for caption in app.caption if "BD-rate" in caption.value]
    assert said
    assert f"{abs(percent):.1f} % fewer bytes than JPEG 2000" in said[0]


@pytest.mark.parametrize("codec", ["skysieve", "jpeg", "jpeg2000", "jpegxl", "hcompress"])
def test_every_codec_has_a_rising_curve_on_hirise_tiles(codec: str):
    curve = read_card("codec").metrics["rate_distortion"]["hirise_tiles"]["curves"][codec]
    rates, quality = ([point[key] for point in curve] for key in ("bpp", "psnr_db"))
    assert len(curve) == 4
    assert rates == sorted(rates)
    assert quality == sorted(quality)
