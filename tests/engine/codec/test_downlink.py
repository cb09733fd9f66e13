"""A pass over several frames: order, what has arrived, and a stream that survives damage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.codec.decoding import decode
from engine.codec.downlink import Link, plan, received, timetable
from engine.codec.model import CodecModel
from engine.codec.progressive import ProgressiveFrame, in_pieces
from engine.codec.worth import Region, anomalous_regions, value_map
from engine.errors import BitstreamError
from engine.frame import Frame, Origin
from engine.results import AnomalyResult, Detection, Verdict
from engine.sky import terrain


def make(seed: int) -> Frame:
    pixels = np.rint(terrain(np.random.default_rng(seed), (64, 96))).astype(np.uint8)
    return Frame.of(pixels, Origin("test", f"frame-{seed}"))


@pytest.fixture(scope="module")
def frames(tiny_model: CodecModel) -> list[ProgressiveFrame]:
    return [
        in_pieces(make(seed), tiny_model, base_bpp=0.4, full_bpp=2.0, side=32, tile=64)
        for seed in (1, 2)
    ]


@pytest.mark.parametrize("order", ["priority", "raster"])
def test_bases_come_first_and_every_byte_is_counted(frames: list[ProgressiveFrame], order):
    planned = plan(frames, order=order)
    kinds = [item.piece.is_base for item in planned.scheduled if item.piece]
    assert kinds == sorted(kinds, reverse=True)
    assert planned.total_bytes == len(planned.stream()) == planned.sent_bytes
    begun = [item.frame for item in planned.scheduled if item.piece is None]
    assert sorted(begun) == [0, 1]


def test_priority_brings_the_gain_earlier(frames: list[ProgressiveFrame]):
    rows = {
        order: timetable(plan(frames, order=order), frames, shares=(0.5, 1.0))
        for order in ("priority", "raster")
    }
    assert rows["priority"][0].gain >= rows["raster"][0].gain
    for half, full in rows.values():
        assert 0 < half.gain < full.gain == pytest.approx(1.0)
        assert half.rmse_255 > full.rmse_255 > 0


def test_a_budget_is_never_exceeded(frames: list[ProgressiveFrame]):
    everything = plan(frames).total_bytes
    for budget in (0, 100, everything // 3, everything - 1, everything):
        cut = plan(frames, budget=budget)
        assert len(cut.stream()) == cut.sent_bytes <= budget
        assert len(cut.sent) + len(cut.unsent) == len(cut.scheduled)


def test_the_stream_gives_every_file_back(frames: list[ProgressiveFrame], tiny_model: CodecModel):
    files = received(plan(frames).stream())
    assert [files[n][0] for n in (0, 1)] == ["frame-1", "frame-2"]
    for number, frame in enumerate(frames):
        whole = decode(frame.whole, tiny_model)
        again = decode(files[number][1], tiny_model)
        np.testing.assert_array_equal(again.pixels, whole.pixels)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_damaged_stream_never_crashes(
    data: st.DataObject, frames: list[ProgressiveFrame], tiny_model: CodecModel
):
    stream = bytearray(plan(frames).stream())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(stream) - 1))
        if data.draw(st.booleans()):
            stream[place] ^= data.draw(st.integers(1, 255))
        else:
            del stream[place : place + data.draw(st.integers(1, 40))]
    for _, content in received(bytes(stream)).values():
        try:
            decoded = decode(content, tiny_model)
        except BitstreamError:
            continue
        assert decoded.pixels.shape == (64, 96)


def test_times_are_bytes_over_rate_plus_light_time(frames: list[ProgressiveFrame]):
    link = Link(rate_bps=1000.0, light_time_s=780.0)
    assert link.budget(8.0) == 1000
    rows = timetable(plan(frames), frames, link, shares=(1.0,))
    assert rows[0].seconds == pytest.approx(780 + 8 * rows[0].bytes / 1000)
    with pytest.raises(ValueError, match="a rate above 0"):
        Link(rate_bps=0.0)


def test_what_matters_more_goes_first(tiny_model: CodecModel):
    value = value_map((64, 96), [Region(32, 64, 32, 32, 1e6)])
    frame = in_pieces(
        make(1), tiny_model, value=value, base_bpp=0.4, full_bpp=2.0, side=32, tile=64
    )
    finer = [i.piece for i in plan([frame]).scheduled if i.piece and not i.piece.is_base]
    assert (finer[0].rows.start, finer[0].columns.start) == (32, 64)


def test_values_are_the_largest_of_their_regions():
    value = value_map((4, 4), [Region(-1, -1, 3, 3, 5.0), Region(1, 1, 9, 9, 2.0)], background=1.5)
    assert value.tolist() == [[5, 5, 1.5, 1.5], [5, 5, 2, 2], [1.5, 2, 2, 2], [1.5, 2, 2, 2]]
    with pytest.raises(ValueError, match="sides above 0"):
        Region(0, 0, 0, 4, 1.0)


def test_anomalous_regions_are_worth_one_over_p():
    found = tuple(
        Detection(
            kind="source",
            x=x,
            y=30.0,
            size_px=24,
            cutout=np.zeros((24, 24), np.float32),
            embedding=np.zeros(2, np.float32),
            scores=(),
            verdict=Verdict.NORMAL,
            reason="",
            p_value=p_value,
        )
        for x, p_value in ((20.0, 0.01), (5.0, None))
    )
    (region,) = anomalous_regions(AnomalyResult(found, "none", "none"))
    assert (region.y0, region.x0, region.height, region.width) == (18, 8, 24, 24)
    assert region.value == pytest.approx(100.0)


def test_a_pass_without_frames_is_refused():
    with pytest.raises(ValueError, match="a pass carries 1 to 65535 frames, got 0"):
        plan([])
