"""The list itself, as a gallery or as a table, page by page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.access import ask
from dashboard.anomaly_list import state, words
from dashboard.anomaly_list.gallery import TICKED, gallery, missed, ticked
from dashboard.figures import count, name_of
from dashboard.paging import Pager
from dashboard.tables import TALLEST, measured, moment
from db.queries import anomalies

Row = dict[str, Any]
PER_PAGE = 24
PER_TABLE = 100
NOTES = {"odd_for_its_size": "conditioned_p_value", "interesting": "interest",
         "artefact_like": "artefact_probability", "brightest": "snr"}  # fmt: skip


def show_list(*, as_table: bool = False) -> None:
    """Show a page of the detections that are wanted, the bar to label them, and the way on."""
    now = state.shown()
    per_page = PER_TABLE if as_table else PER_PAGE
    pager = Pager("detections", (now.wanted, now.sort, as_table), per_page)
    fitting = ask(anomalies.count_of, now.wanted)
    if not fitting:
        st.info("No detection fits these filters. Take one away.")
        return
    page = ask(
        anomalies.page_of_detections,
        limit=per_page, cursor=pager.cursor, wanted=now.wanted, sort=now.sort,
    )  # fmt: skip
    if as_table:
        _table(page.rows)
    else:
        gallery(page.rows, key="list_gallery", note=NOTES.get(now.sort, ""))
    pager.turn(page.next, words.SORTS[now.sort] + " first")


def how_many() -> str:
    """How many detections fit, of how many."""
    fitting = ask(anomalies.count_of, state.shown().wanted)
    total = ask(anomalies.count_of)
    if fitting == total:
        return f"**{count(total)}** detections"
    return f"**{count(fitting)}** of {count(total)} detections"


def _table(rows: list[Row]) -> None:
    shown = [
        {
            "open": f"/anomalies?detection={row['detection_id']}",
            "object": name_of(row),
            "verdict": words.verdict(row["verdict"]),
            "p_value": row["p_value"],
            "missed": "" if row["missed_by_decades"] is None else missed(row["missed_by_decades"]),
            "accept": row["accepts"],
            "reject": row["rejects"],
            "unsure": row["unsures"],
            "class": row["class_name"],
            "cluster": row["cluster"],
            "snr": row["snr"],
            "conditioned": row["conditioned_p_value"],
            "artefact": row["artefact_probability"],
            "cosmic_ray_share": row["cosmic_ray_share"],
            "ra_deg": row["ra_deg"],
            "dec_deg": row["dec_deg"],
            "expired": row["calibration_expired"],
            "source": row["source"],
            "reason": row["reason"],
            "model": row["model"],
            "found": row["detected_at"],
        }
        for row in rows
    ]
    key = f"list_table_{state.revision()}"

    def chosen() -> None:
        picked = st.session_state[key].selection.rows
        on_screen = {row["detection_id"] for row in rows}
        kept = [name for name in ticked() if name not in on_screen]
        now = [rows[at]["detection_id"] for at in picked if at < len(rows)]
        st.session_state[TICKED] = kept + now

    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "open": st.column_config.LinkColumn("open", display_text="open"),
            "p_value": measured("p-value", ".4f"),
            "missed": st.column_config.TextColumn(
                "near miss", help="its p-value over the rate that candidates are allowed"
            ),
            "snr": measured("S/N", ".1f"),
            "conditioned": measured("p among its size", ".4f"),
            "artefact": measured("artefact", ".2f"),
            "cosmic_ray_share": measured("cosmic-ray share", ".2f"),
            "ra_deg": measured("RA (°)", ".5f"),
            "dec_deg": measured("Dec (°)", ".5f"),
            "expired": st.column_config.CheckboxColumn("calibration expired"),
            "found": moment("found"),
        },
        key=key,
        alt="The detections that fit the filters, in the order chosen",
        on_select=chosen,
        selection_mode="multi-row",
        placeholder="–",
        height="auto" if len(rows) <= TALLEST else 35 * (TALLEST + 1),
    )
