"""Compression: what the codec made of the frames, and where it says it is unsure."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import charts, codec_curves, pictures
from dashboard.access import ask, owner
from dashboard.figures import count, literal, made_by, name_of, number, size
from dashboard.frame_choice import choose_frame
from dashboard.inapplicable import inapplicable_frames
from dashboard.states import empty
from dashboard.tables import measured, moment, table
from db.queries import compression
from engine.cards import read_card

MEASURES = {
    "PSNR": ("psnr_db", "PSNR (dB)", "Higher is closer to the original."),
    "MS-SSIM": ("ms_ssim", "MS-SSIM (0 to 1)", "Higher keeps more of the structure."),
    "Gradient error": (
        "gradient_error",
        "RMS gradient of the error (pixel units)",
        "Lower keeps edges better; compare frames of one unit only.",
    ),
}
STRONG, MODERATE = 0.6, 0.3
ENOUGH_TILES = 4


def show() -> None:
    """Lay the page out."""
    st.title("Compression")
    owner()
    coded = ask(compression.codec_runs)
    if not coded:
        empty("compressed frames")
        inapplicable_frames("codec", "codec")
        return
    _totals()
    _rates(coded)
    _beside_others()
    st.divider()
    _one_frame(choose_frame(coded))
    inapplicable_frames("codec", "codec")


def _totals() -> None:
    summary = ask(compression.codec_summary)
    cards = st.grid(4)
    cards.metric("Frames coded", count(summary["runs"]), border=True, height="stretch")
    cards.metric(
        "Coded size",
        size(summary["coded_bytes"]),
        delta=f"of {size(summary['raw_bytes'])} raw",
        delta_color="off",
        delta_arrow="off",
        border=True,
        height="stretch",
        help="Raw = pixels times the bits of a sample as stored; coded = bytes of the file that "
        "decodes back, header included.",
    )
    cards.metric("Median rate", number(summary["bpp"], "bpp"), border=True, height="stretch")
    cards.metric("Median PSNR", number(summary["psnr_db"], "dB"), border=True, height="stretch")
    for badge in ask(compression.calibration_badges):
        made = made_by(badge["model"], badge["model_digest"], badge["newest_run_at"])
        st.caption(f"{count(badge['runs'])} runs by {made}.")


def _rates(coded: list[dict[str, Any]]) -> None:
    left, right = st.columns([2, 3], gap="large")
    with left:
        chosen = st.segmented_control(
            "Quality measure", list(MEASURES), default="PSNR", key="measure", required=True
        )
        column, axis, reading = MEASURES[chosen or "PSNR"]
        charts.show(
            charts.quality_against_rate(coded, column, axis), f"One point a frame. {reading}"
        )
    with right:
        table(
            coded,
            {
                "object_id": "object",
                "bpp": measured("bpp", ".3f"),
                "compression_ratio": measured("ratio", ".1f", "raw bits a sample / bpp"),
                "sample_bits": "raw bits",
                "psnr_db": measured("PSNR (dB)", ".2f"),
                "peak": measured("peak", ".4g", "what PSNR is stated against, pixel units"),
                "ms_ssim": measured("MS-SSIM", ".4f"),
                "gradient_error": measured("gradient error", ".4g", "pixel units"),
                "bytes": "bytes",
                "model": "model",
                "finished_at": moment("coded"),
            },
            key="codec_runs",
            alt="The current codec runs",
        )
        st.caption("The compression ratio is against the raw depth in the column beside it.")


def _beside_others() -> None:
    """Curves of the shipped weights and of classic codecs on the same held-out images."""
    card = read_card("codec")
    groups = card.metrics.get("rate_distortion") or {}
    if not groups:
        return
    with st.expander("Beside JPEG, JPEG 2000, JPEG XL and HCOMPRESS on the same images"):
        left, right = st.columns(2)
        group = left.segmented_control(
            "Images",
            list(groups),
            default=next(iter(groups)),
            format_func=lambda name: codec_curves.GROUPS.get(name, name),
            key="curve_group",
            required=True,
        )
        measure = right.segmented_control(
            "Measure", list(MEASURES), default="PSNR", key="curve_measure", required=True
        )
        column, axis, reading = MEASURES[measure or "PSNR"]
        chosen = groups[group or next(iter(groups))]
        points = codec_curves.curve_points(chosen, column)
        charts.show(codec_curves.chart(points, axis), f"{codec_curves.saved(chosen)} {reading}")
        st.caption(
            f"Weights {card.digest[:12]}, trained {card.trained_at[:10]}; whole files counted, "
            "8-bit pixels, images held out by source."
        )


def _one_frame(frame_digest: str) -> None:
    run = ask(compression.codec_run, frame_digest)
    if run is None:
        st.info("This frame has no current codec run.")
        return
    st.subheader(f"{literal(name_of(run))}, side by side")
    unit = run["unit"] or "pixel units"
    st.caption(
        f"{number(run['bpp'], 'bpp')}, {number(run['compression_ratio'])} : 1 against "
        f"{run['sample_bits']}-bit samples, PSNR {number(run['psnr_db'], 'dB')} (peak "
        f"{number(run['peak'])}), MS-SSIM {number(run['ms_ssim'])}, {size(run['bytes'])}; "
        + made_by(run["model"], run["model_digest"], run["finished_at"])
    )
    (badge,) = [
        row
        for row in ask(compression.calibration_badges)
        if row["model_digest"] == run["model_digest"]
    ]
    first = st.columns(3)
    with first[0]:
        pictures.show(run["preview_file"], "Original", "original frame")
    with first[1]:
        pictures.show(run["reconstruction_file"], "Decoded from its bytes alone", "decoded frame")
    with first[2]:
        pictures.show(run["error_file"], "True error", "map of the true error")
    second = st.columns(3)
    with second[0]:
        pictures.show(
            run["confidence_file"],
            f"Dropout map: spread of {run['samples']} Monte-Carlo-dropout decodings",
            "map of the dropout spread",
        )
        _badge(badge, "dropout", run["dropout_spearman"])
    with second[1]:
        pictures.show(
            run["predicted_file"],
            "Closed-form map: error the entropy model expects",
            "map of the expected error",
        )
        _badge(badge, "predicted", run["predicted_spearman"])
    with second[2]:
        tiles = ask(compression.codec_tiles, run["run_id"])
        if len(tiles) >= ENOUGH_TILES:
            charts.show(
                charts.tile_errors(tiles, unit),
                "One point a tile and map: a map whose points rise can be believed.",
            )
    st.caption("The three error maps of a frame share one colour scale.")


def _badge(badge: dict[str, Any], which: str, here: float | None) -> None:
    """State how well a map follows the true error, over runs and on this frame."""
    overall = badge[f"{which}_spearman"]
    if overall is None:
        st.badge("not calibrated: no run with enough tiles", color="gray")
        return
    word, colour = ("weak", "orange")
    if overall >= STRONG:
        word, colour = ("strong", "blue")
    elif overall >= MODERATE:
        word, colour = ("moderate", "violet")
    st.badge(
        f"{word}: Spearman {overall:.2f} with the true error",
        color=colour,  # type: ignore[arg-type]
        help="Rank correlation over blocks of 32 x 32 pixels; median over this model's runs.",
    )
    st.caption(f"Median of {count(badge[f'{which}_runs'])} runs; on this frame {number(here)}.")


show()
