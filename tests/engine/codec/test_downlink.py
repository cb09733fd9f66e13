"""A pass over several frames: order, what has arrived, and a stream that survives damage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.codec.container import Packet
from engine.codec.decoding import decode
from engine.codec.downlink import Link, Pass, plan, received, timetable
from engine.codec.judging import judged_where_refined, refined_share
from engine.codec.model import CodecModel
from engine.codec.ordering import wholes_first
from engine.codec.progressive import Piece, ProgressiveFrame, in_pieces
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


def detection(x: float, p_value: float | None, verdict: Verdict = Verdict.NORMAL) -> Detection:
    return Detection(
        kind="source",
        x=x,
        y=30.0,
        size_px=24,
        cutout=np.zeros((24, 24), np.float32),
        embedding=np.zeros(2, np.float32),
        scores=(),
        verdict=verdict,
        reason="",
        p_value=p_value,
        rank=2.0,
    )


def test_anomalous_regions_are_worth_one_over_p():
    found = (detection(20.0, 0.01), detection(5.0, None), detection(40.0, 0.2))
    trail = detection(30.0, 0.001, Verdict.ARTEFACT)
    result = AnomalyResult((*found, trail), "none", "none")
    region, ordinary = anomalous_regions(result)
    assert (region.y0, region.x0, region.height, region.width) == (18, 8, 24, 24)
    assert (region.value, ordinary.value) == pytest.approx((100.0, 5.0))
    assert anomalous_regions(result, most_p=0.15) == (region,)


def test_a_region_touches_the_parts_it_shares_a_pixel_with():
    region = Region(-4, 32, 37, 8, 1.0)
    assert region.touches(slice(32, 64), slice(0, 33))
    assert not region.touches(slice(33, 64), slice(0, 64))
    assert not region.touches(slice(0, 32), slice(0, 32))
    assert not region.touches(slice(0, 32), slice(40, 64))


def parts_in_turn(planned: Pass) -> list[tuple[int, int, int, int]]:
    """Frame, row, column and layer of the refinements of a pass."""
    return [
        (item.frame, item.piece.rows.start, item.piece.columns.start, item.piece.layer)
        for item in planned.scheduled
        if item.piece is not None and not item.piece.is_base
    ]


def test_what_looks_odd_goes_whole_and_first(tiny_model: CodecModel):
    odd = {1: [Region(20, 20, 24, 8, 900.0)], 2: [Region(40, 70, 4, 4, 20.0)]}
    frames = [
        in_pieces(make(seed), tiny_model, first=first, base_bpp=0.4, full_bpp=2.0, side=32, tile=64)
        for seed, first in odd.items()
    ]
    turns = parts_in_turn(plan(frames))
    assert turns[:3] == [(0, 0, 0, 1), (0, 32, 0, 1), (1, 32, 64, 1)]
    assert {turn for turn in turns if turn[3] == 2} == {
        (0, 0, 0, 2),
        (0, 32, 0, 2),
        (1, 32, 64, 2),
    }
    assert len(turns) == len(set(turns)) == 6 + 6 + 3
    assert parts_in_turn(plan(frames, order="raster"))[:2] == [(0, 0, 0, 1), (0, 0, 0, 2)]


def odd_frame(regions: list[Region], sizes: list[int]) -> ProgressiveFrame:
    """Parts of 32 pixels side by side, with payloads of these sizes, none of which saves much."""
    pieces = tuple(
        Piece(
            Packet(n, 100, bytes(size)),
            plane=0,
            rows=slice(0, 32),
            columns=slice(32 * n, 32 * n + 32),
            saved=1.0,
            plain_saved=1.0,
            layer=1,
        )
        for n, size in enumerate(sizes)
    )
    return ProgressiveFrame("odd", b"", pieces, b"", 1024, 0.0, tuple(regions))


def test_regions_go_by_value_per_byte_that_is_still_to_be_sent():
    # 300 for two parts of 100 bytes is 1.5 a byte, 100 for one of 50 is 2, 20 for one of 10 is 2
    # as well, but its frame comes later; 10 for a part that the first has sent is no more than 1.5.
    one = odd_frame(
        [Region(0, 0, 9, 40, 300.0), Region(0, 40, 9, 9, 10.0), Region(0, 70, 9, 9, 100.0)],
        [100, 100, 50, 1],
    )
    two = odd_frame([Region(0, 0, 9, 9, 20.0)], [10])
    entries = [(n, piece) for n, frame in enumerate((one, two)) for piece in frame.pieces]
    in_turn = wholes_first((one, two), entries, lambda piece: len(piece.packet.payload))
    assert [(n, piece.columns.start) for n, piece in in_turn] == [
        (0, 64),
        (1, 0),
        (0, 0),
        (0, 32),
        (0, 96),
    ]


def test_only_what_arrived_refined_is_judged():
    refined = np.zeros((64, 64), np.bool_)
    refined[18:42, :20] = True  # the left half of a cutout about x = 20 (columns 8 to 31)
    half, coarse = detection(20.0, 0.01), detection(21.0, 0.01, Verdict.CANDIDATE)
    result = AnomalyResult((half, coarse), "none", "none")
    kept, unjudged = judged_where_refined(result, refined).detections
    assert kept == half
    assert (unjudged.p_value, unjudged.rank) == (None, None)
    assert unjudged.verdict is Verdict.UNCERTAIN
    assert "ask for its refinements" in unjudged.reason
    assert refined_share(detection(-100.0, 0.01), refined) == 0.0
    assert refined_share(detection(0.0, 0.01), refined) == 1.0


def test_a_pass_without_frames_is_refused():
    with pytest.raises(ValueError, match="a pass carries 1 to 65535 frames, got 0"):
        plan([])
