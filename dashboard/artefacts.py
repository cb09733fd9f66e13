"""Detections of a frame that lie on cosmic-ray pixels."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.access import ask
from dashboard.figures import count
from dashboard.hits import MaskView
from dashboard.tables import measured, table
from db.queries import anomalies

Row = dict[str, Any]
REACH_PX = 2


def artefacts(run: Row, view: MaskView) -> None:
    """Count and list the frame's detections with masked pixels at their centre."""
    st.markdown("**Detections of this frame on cosmic-ray pixels**")
    found = [row for row in ask(anomalies.detections_of_frame, run["frame_digest"])
             if row["kind"] == "source"]  # fmt: skip
    if not found:
        st.caption("The anomaly pipeline has no current detection of a source on this frame.")
        return
    rows = [row | {"masked": masked_at(row, view), "link": _link(row)} for row in found]
    touched = [row for row in rows if row["masked"]]
    verdicts = sum(row["verdict"] == "artefact" for row in rows)
    side = 2 * REACH_PX + 1
    st.markdown(
        f"**{count(len(touched))}** of {count(len(rows))} detections have masked pixels within "
        f"{side} x {side} of their centre in the mask shown; the machine calls "
        f"**{count(verdicts)}** of all artefacts."
    )
    if touched:
        touched.sort(key=lambda row: -row["masked"])
        table(
            touched,
            {
                "link": st.column_config.LinkColumn("detection", display_text="open"),
                "y": measured("row", ".1f"),
                "x": measured("column", ".1f"),
                "verdict": "machine's verdict",
                "masked": f"masked px in {side} x {side}",
                "cosmic_ray_share": measured(
                    "flux share", ".2f", "share of positive flux on cosmic-ray pixels, by the run"
                ),
                "snr": measured("signal to noise", ".1f"),
                "p_value": measured("p-value", ".4f"),
            },
            key="artefacts",
            alt="Detections with masked pixels at their centre",
        )


def masked_at(detection: Row, view: MaskView) -> int:
    """How many pixels are masked within REACH_PX of a detection's centre."""
    y, x = round(detection["y"]), round(detection["x"])
    rows = slice(max(y - REACH_PX, 0), max(y + REACH_PX + 1, 0))
    columns = slice(max(x - REACH_PX, 0), max(x + REACH_PX + 1, 0))
    return int(view.said.mask[rows, columns].sum())


def _link(detection: Row) -> str:
    return f"/anomalies?detection={detection['detection_id']}"
