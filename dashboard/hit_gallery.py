"""Single hits before and after cleaning, the most doubtful first."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard import layers
from dashboard.figures import count, number
from dashboard.hits import Hits, MaskView
from engine.frame import Pixels
from engine.stretch import Method, stretch

Row = dict[str, Any]
PER_PAGE = 6
LEAST_SIDE, MOST_SIDE = 24, 64
SHOWN_PX = 144
GAP_PX = 6
RIM = (230, 159, 0)
CHOSEN, GOTO, PAGE = "cr_chosen", "cr_goto", "cr_page"


def hit_gallery(run: Row, view: MaskView, hits: Hits, method: Method, *, inverted: bool) -> None:
    """Show a page of hits with their figures, and let one be chosen by click or key."""
    total = view.groups.count
    st.markdown("**Hits, the most doubtful first** (before | after cleaning)")
    if not total:
        st.caption("No hit at this threshold.")
        return
    last = (total - 1) // PER_PAGE
    page = min(st.session_state.get(PAGE, 0), last)
    _turning(run, view, hits, page, last)
    cleaned = layers.cleaned_pixels(run)
    pixels, _ = layers.frame_pixels(run)
    gallery = st.columns(PER_PAGE)
    for place, group in zip(gallery, hits.order[page * PER_PAGE :], strict=False):
        with place:
            picture = _before_and_after(pixels, cleaned, view, hits, int(group), method, inverted)
            y0, x0 = (int(edge) for edge in hits.boxes[group][:2])
            st.image(picture, alt=f"hit at row {y0}, column {x0}", width="stretch")
            judged = "judged by a person" if hits.settled[group] else ""
            st.caption(
                f"doubt {number(1 - float(hits.peak[group]), digits=2)}, "
                f"{count(int(hits.sizes[group]))} px, entropy "
                f"{number(float(hits.entropy[group]), digits=2)}\n\n{judged}"
            )
            st.button(
                f"({y0}, {x0})",
                key=f"hit_{place_of(view, int(group))}",
                on_click=choose_hit,
                args=(run, view, int(group)),
                width="stretch",
                help="Choose this hit and bring it into view (row, column).",
            )
    st.caption(
        "Doubt is 1 − the highest probability among the hit's pixels; entropy is the mean "
        "predictive entropy of its pixels in nats. Both from the stored probabilities of this run. "
        "The cleaned side is the run's own: pixels below its threshold were not inpainted."
    )


def choose_hit(run: Row, view: MaskView, group: int) -> None:
    """Choose a group of the mask and bring it into view."""
    y, x = divmod(place_of(view, group), run["width"])
    st.session_state[CHOSEN] = {"kind": "point", "y": y, "x": x, "frame": run["frame_digest"]}
    st.session_state[GOTO] = (y, x, uuid.uuid4().hex)


def place_of(view: MaskView, group: int) -> int:
    """The flat index of a group's first pixel, which names it."""
    return int(view.groups.members(group)[0])


def _turning(run: Row, view: MaskView, hits: Hits, page: int, last: int) -> None:
    places = st.columns([2, 2, 1, 1, 3], vertical_alignment="center")
    for place, word, key, step in (
        (places[0], "Next hit", "j", 1),
        (places[1], "Previous hit", "k", -1),
    ):
        place.button(
            word, key=f"step_{step}", shortcut=key, on_click=_step, args=(run, view, hits, step),
            width="stretch",
        )  # fmt: skip
    for place, icon, word, step in (
        (places[2], "chevron_left", "Earlier", -1),
        (places[3], "chevron_right", "Later", 1),
    ):
        place.button(
            f":material/{icon}:", key=f"turn_{step}", help=f"{word} page of hits",
            disabled=not 0 <= page + step <= last, on_click=_turn, args=(page + step,),
            width="stretch",
        )  # fmt: skip
    first = page * PER_PAGE
    places[4].caption(
        f"{first + 1} to {min(first + PER_PAGE, len(hits.order))} of {count(len(hits.order))}"
    )


def _turn(page: int) -> None:
    st.session_state[PAGE] = page


def _step(run: Row, view: MaskView, hits: Hits, step: int) -> None:
    """Go from the chosen hit to its neighbour in the order of doubt."""
    chosen, now = st.session_state.get(CHOSEN), -1
    if chosen and chosen["kind"] == "point" and chosen["frame"] == run["frame_digest"]:
        group = view.groups.at(chosen["y"], chosen["x"])
        now = -1 if group is None else int(np.flatnonzero(hits.order == group)[0])
    following = min(max(now + step, 0), len(hits.order) - 1)
    st.session_state[PAGE] = following // PER_PAGE
    choose_hit(run, view, int(hits.order[following]))


def _before_and_after(
    pixels: Pixels,
    cleaned: Pixels | None,
    view: MaskView,
    hits: Hits,
    group: int,
    method: Method,
    inverted: bool,
) -> NDArray[np.uint8]:
    """The hit and its surroundings twice, side by side, with the mask's rim on the first."""
    window = _window(hits.boxes[group], pixels.shape)
    before = pixels[window]
    sides = [before, before if cleaned is None else cleaned[window]]
    shown = [stretch(side, method=method, like=before) for side in sides]
    scale = max(1, SHOWN_PX // max(before.shape))
    tiles = [_enlarged(1 - side if inverted else side, scale) for side in shown]
    tiles[0][_rim(view.said.mask[window], scale)] = RIM
    gap = np.full((tiles[0].shape[0], GAP_PX, 3), 128, dtype=np.uint8)
    return np.concatenate([tiles[0], gap, tiles[1]], axis=1)


def _window(box: NDArray[np.int64], shape: tuple[int, ...]) -> tuple[slice, slice]:
    y0, x0, height, width = (int(edge) for edge in box)
    side = min(max(LEAST_SIDE, 2 * height, 2 * width), MOST_SIDE)
    spans = []
    for start, length, most in ((y0, height, shape[0]), (x0, width, shape[1])):
        first = min(max(start + length // 2 - side // 2, 0), max(most - side, 0))
        spans.append(slice(first, min(first + side, most)))
    return spans[0], spans[1]


def _enlarged(grey: Pixels, scale: int) -> NDArray[np.uint8]:
    values = np.rint(255 * grey).astype(np.uint8)
    large = np.repeat(np.repeat(values, scale, axis=0), scale, axis=1)
    return np.repeat(large[..., None], 3, axis=2)


def _rim(mask: NDArray[np.bool_], scale: int) -> NDArray[np.bool_]:
    """The outline of the mask at the enlarged scale, one pixel wide and inside it."""
    large = np.repeat(np.repeat(mask, scale, axis=0), scale, axis=1)
    padded = np.pad(large, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    rim: NDArray[np.bool_] = large & ~inner
    return rim
