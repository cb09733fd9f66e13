"""Compression: what the codec made of the frames, and where it says it is unsure."""

from __future__ import annotations

from typing import Any, get_args

import streamlit as st

from dashboard import charts, codec_curves, codec_layers, layers, pictures, viewer
from dashboard.access import ask, owner
from dashboard.figures import count, literal, made_by, name_of, number, size
from dashboard.frame_choice import choose_frame
from dashboard.inapplicable import inapplicable_frames
from dashboard.states import empty, failure
from dashboard.tables import measured, moment, table
from db.errors import StoreError
from db.queries import compression
from engine.cards import read_card
from engine.errors import EngineError
from engine.stretch import Method

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
WELL_COVERED = 2.0
VIEWER = "codec_viewer"
STRETCHES = [name for name in get_args(Method) if name != "linear"]


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
    _chosen_frame(coded)
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
        _quality(coded)
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


@st.fragment
def _quality(coded: list[dict[str, Any]]) -> None:
    chosen = st.segmented_control(
        "Quality measure", list(MEASURES), default="PSNR", key="measure", required=True
    )
    column, axis, reading = MEASURES[chosen or "PSNR"]
    charts.show(charts.quality_against_rate(coded, column, axis), f"One point a frame. {reading}")


@st.fragment
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


@st.fragment
def _chosen_frame(coded: list[dict[str, Any]]) -> None:
    _one_frame(choose_frame(coded))


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
    try:
        coded = codec_layers.coded_frame(run)
        if coded is None:
            _pictures(run)
        else:
            st.fragment(_workbench)(run, coded)
    except (StoreError, EngineError) as error:
        failure(error)
    _badges(run)
    tiles = ask(compression.codec_tiles, run["run_id"])
    if len(tiles) >= ENOUGH_TILES:
        charts.show(
            charts.tile_errors(tiles, unit),
            "One point a tile and map: a map whose points rise can be believed.",
        )


def _workbench(run: dict[str, Any], coded: codec_layers.CodedFrame) -> None:
    """Panels that zoom and pan as one, with what the chosen rectangle holds."""
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    method = left.segmented_control(
        "Stretch of original and decoded",
        STRETCHES,
        default="zscale",
        required=True,
        key="codec_stretch",
        help="Both share the original's limits.",
    )
    veiled = right.toggle(
        "Lay the uncertainty over the decoded frame",
        disabled=coded.bound is None,
        key="veil",
        help="The denser the veil, the wider the 90 % interval of the error.",
    )
    unit = run["unit"] or "pixel units"

    def picture(what: str) -> str:
        return codec_layers.picture_url(coded, run["run_id"], what, method or "zscale")

    top = f"{coded.limit:.3g} {unit}"
    scale = ("0", top, layers.MAP_COLOURS)
    panels = [
        viewer.Panel("Original", "original frame", picture("original")),
        viewer.Panel(
            "Decoded from its bytes alone", "decoded frame", picture("decoded"),
            ("veil",) if veiled and coded.bound is not None else (),
        ),
        viewer.Panel(
            "Difference", "difference of decoded and original", picture("difference"),
            scale=(f"-{top}", top, codec_layers.DIVERGING),
            note="decoded minus original: blue is too dark, orange too bright",
        ),
        viewer.Panel("True error", "map of the true error", picture("error"), scale=scale),
    ]  # fmt: skip
    if coded.bound is not None:
        panels.append(
            viewer.Panel(
                "90 % bound on the error", "map of the bound on the error", picture("bound"),
                scale=scale, note=f"from the {literal(_map_name(run['bound_map']))} map",
            )
        )  # fmt: skip
    panels += [
        viewer.Panel(
            "Dropout", "map of the dropout spread", layers.stored_url(run["confidence_file"]),
            note=f"spread of {run['samples']} Monte-Carlo-dropout decodings",
        ),
        viewer.Panel(
            "Closed form", "map of the expected error", layers.stored_url(run["predicted_file"]),
            note="error that the entropy model expects",
        ),
    ]  # fmt: skip
    box = _chosen_box(run)
    viewer.show(
        viewer.View(
            frame=run["frame_digest"],
            shape=(run["height"], run["width"]),
            panels=panels,
            overlays={"veil": codec_layers.overlay_url(coded, run["run_id"])} if veiled else {},
            marks=[box] if box else [],
        ),
        key=VIEWER,
        on_choice=lambda: None,
    )
    _box_line(run, coded, box)


def _chosen_box(run: dict[str, Any]) -> tuple[int, int, int, int] | None:
    """Rows and columns (y0, x0, height, width) that the Box tool drew on this frame."""
    state = st.session_state.get(VIEWER)
    chosen = state["chosen"] if state and "chosen" in state else None
    if not chosen or chosen.get("frame") != run["frame_digest"] or chosen["kind"] != "box":
        return None
    y, x = max(0, int(chosen["y"])), max(0, int(chosen["x"]))
    height = min(int(chosen["height"]), run["height"] - y)
    width = min(int(chosen["width"]), run["width"] - x)
    return (y, x, height, width) if height > 0 and width > 0 else None


def _box_line(
    run: dict[str, Any],
    coded: codec_layers.CodedFrame,
    box: tuple[int, int, int, int] | None,
) -> None:
    y, x, height, width = box or (0, 0, run["height"], run["width"])
    found = codec_layers.box_figures(coded, slice(y, y + height), slice(x, x + width))
    unit = run["unit"] or "pixel units"
    where = (
        f"Rows {y} to {y + height - 1}, columns {x} to {x + width - 1}" if box else "Whole frame"
    )
    if found is None:
        st.caption(f"{where}: no good pixel.")
        return
    bound = ""
    if found.bound is not None and found.inside is not None:
        bound = (
            f"; the 90 % bound is {number(found.bound, unit)} on average, and "
            f"{100 * found.inside:.1f} % of the pixels lie within theirs"
        )
    st.caption(
        f"{where}: {count(found.pixels)} pixels, error {number(found.rmse, unit)} (root mean "
        f"square), {number(found.largest, unit)} at most{bound}."
        + ("" if box else " Draw a box to see the same of a part.")
    )


def _pictures(run: dict[str, Any]) -> None:
    """Colour frames, and runs that kept pictures alone."""
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
    with second[1]:
        pictures.show(
            run["predicted_file"],
            "Closed-form map: error the entropy model expects",
            "map of the expected error",
        )
    why = "colour frames" if run["planes"] > 1 else "runs of earlier versions"
    st.caption(f"The three error maps share one colour scale. Zoom is not there for {why}.")


def _badges(run: dict[str, Any]) -> None:
    """How far each map can be believed: on this store's runs, and on the weights' held-out sets."""
    (badge,) = [
        row
        for row in ask(compression.calibration_badges)
        if row["model_digest"] == run["model_digest"]
    ]
    first, second, third = st.columns(3)
    with first:
        st.markdown("**Dropout**")
        _badge(badge, "dropout", run["dropout_spearman"])
    with second:
        st.markdown("**Closed form**")
        _badge(badge, "predicted", run["predicted_spearman"])
    with third:
        st.markdown("**90 % bound**")
        _bound_badge(run)


def _bound_badge(run: dict[str, Any]) -> None:
    card = read_card("codec")
    held_out = card.metrics.get("error_maps", {}).get(run["bound_map"] or "")
    if not run["bound_map"] or card.digest != run["model_digest"] or not held_out:
        st.badge("not calibrated: no bound with this run", color="gray")
        return
    share = 100 * held_out["coverage"]
    colour = "blue" if abs(share - 90) <= WELL_COVERED else "orange"
    st.badge(
        f"covers {share:.1f} % of held-out pixels",
        color=colour,  # type: ignore[arg-type]
        help="Mean over the held-out Mars sets at 0.25 and 0.5 bits a pixel; 90 % is right.",
    )
    st.caption(
        f"The {_map_name(run['bound_map'])} map, calibrated on {card.calibration['frames']} "
        f"decodings of other images; Spearman {held_out['spearman']:.2f} and AUSE "
        f"{held_out['ause']:.2f} on the held-out sets."
    )


def _map_name(name: str | None) -> str:
    return (name or "").replace("_", "-")


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
