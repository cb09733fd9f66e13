"""Pictures out of the store's files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import streamlit as st
from PIL import Image, ImageDraw

from dashboard.access import owner
from db.errors import StoreError

BOX = (230, 159, 0)
SHARP_PX = 480


def show(digest: str, caption: str, alt: str) -> None:
    """Show a stored picture as wide as its place; a file that is lost says so in its place.

    `caption` is Markdown, so what a user wrote must come escaped.
    """
    try:
        st.image(content(digest), caption=caption, alt=alt, width="stretch")
    except StoreError as error:
        st.error(f"{caption}: {error}")


def content(digest: str) -> bytes:
    """Read a stored file, from memory when it was read before: content never changes."""
    return _content(digest, owner())


@st.cache_data(max_entries=512, max_size="256MB", show_spinner=False)
def _content(digest: str, _owner: object) -> bytes:
    return owner().store.files.get(digest)


def show_cutout(digest: str, caption: str, alt: str) -> None:
    """Show a small stored picture with its pixels as squares, not smeared."""
    try:
        st.image(_enlarged(content(digest)), caption=caption, alt=alt, width="stretch")
    except StoreError as error:
        st.error(f"{caption}: {error}")


def show_place(detection: Mapping[str, Any], digest: str, caption: str) -> None:
    """Show a stored picture of a detection's frame with a box around the detection."""
    try:
        picture = _with_box(content(digest), detection)
    except StoreError as error:
        st.error(f"{caption}: {error}")
        return
    st.image(picture, caption=caption, alt="frame with the detection marked", width="stretch")


def _with_box(preview: bytes, detection: Mapping[str, Any]) -> Image.Image:
    picture = Image.open(io.BytesIO(preview)).convert("RGB")
    scale, half = picture.width / detection["width"], detection["size_px"] / 2
    x, y = detection["x"] + 0.5, detection["y"] + 0.5
    corners = [scale * edge for edge in (x - half, y - half, x + half, y + half)]
    ImageDraw.Draw(picture).rectangle(corners, outline=BOX, width=max(2, picture.width // 150))
    return picture


def _enlarged(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    factor = -(-SHARP_PX // max(picture.size))
    return picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
    )
