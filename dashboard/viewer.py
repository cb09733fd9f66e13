"""The frame viewer: panels that zoom and pan as one, and on which pixels can be chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent

_component = st.components.v2.component(
    "skysieve_viewer",
    js=(HERE / "viewer.js").read_text(encoding="utf-8"),
    css=(HERE / "viewer.css").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Panel:
    """One picture of the frame, as a data URL; `layers` name overlays drawn over it.

    `scale` is (lowest, highest, colours) of a map's palette.
    """

    title: str
    alt: str
    url: str
    layers: tuple[str, ...] = ()
    scale: tuple[str, str, tuple[str, ...]] | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The panel as the viewer takes it."""
        low, high, colours = self.scale or ("", "", ())
        return {
            "title": self.title,
            "alt": self.alt,
            "url": self.url,
            "layers": self.layers,
            "note": self.note,
            "scale": {"low": low, "high": high, "colours": colours} if self.scale else None,
        }


@dataclass(frozen=True)
class View:
    """What the viewer shows: a frame's shape (H, W), its panels, overlays and marked boxes.

    `marks` are (y0, x0, height, width); `goto` is a pixel (y, x) to bring into view and a token
    that says whether it was there already.
    """

    frame: str
    shape: tuple[int, int]
    panels: Sequence[Panel]
    overlays: Mapping[str, str] = field(default_factory=dict)
    marks: Sequence[tuple[int, int, int, int]] = ()
    goto: tuple[int, int, str] | None = None


def show(view: View, *, key: str, on_choice: Callable[[], None]) -> None:
    """Mount the viewer; what is chosen on it is `st.session_state[key]["chosen"]`.

    That is a mapping with `kind` "point" (y, x), "box" (y, x, height, width) or "brush" (pixels,
    each with y and x), and the `frame` it is on.
    """
    document: dict[str, Any] = {
        "frame": view.frame,
        "shape": list(view.shape),
        "panels": [panel.as_dict() for panel in view.panels],
        "overlays": dict(view.overlays),
        "marks": [list(mark) for mark in view.marks],
        "goto": None,
    }
    if view.goto is not None:
        y, x, token = view.goto
        document["goto"] = {"y": y, "x": x, "token": token}
    shown = "".join([*view.overlays.values(), *(panel.url for panel in view.panels)])
    document["revision"] = hashlib.sha256(shown.encode()).hexdigest()[:12]
    _component(key=key, data=document, on_chosen_change=on_choice)
