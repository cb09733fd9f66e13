"""The whole list as a file, in the formats that people's tools read."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import streamlit as st

from dashboard.access import ask, owner
from dashboard.anomaly_list import state
from dashboard.figures import count
from dashboard.progress import ACTIVE, follow
from dashboard.states import failure
from db.errors import StoreError
from db.queries import anomalies
from db.requests import get_request
from jobs.candidate_files import FORMATS, write_list
from jobs.errors import JobError

NAMES = {"csv": "CSV", "json": "JSON", "parquet": "Parquet", "votable": "VOTable",
         "ds9": "DS9 regions"}  # fmt: skip
REQUEST = "export_request"


def files() -> None:
    """Lay the exports out: every row that fits, not only those on screen."""
    now = state.shown()
    fitting = ask(anomalies.count_of, now.wanted)
    with st.popover("Export", icon=":material/download:"):
        st.caption(f"All {count(fitting)} detections of the list, in its order.")
        for name, word in NAMES.items():
            chosen = FORMATS[name]
            st.download_button(
                word, _writing(name, now), file_name=f"skysieve{chosen.ending}",
                mime=chosen.media_type.partition(";")[0], key=f"export_{name}",
                on_click="ignore", width="stretch", disabled=not fitting,
            )  # fmt: skip
        st.button(
            "FITS cutouts", key="export_fits", on_click=_ask, args=(now,), width="stretch",
            disabled=not fitting, help="One file: the list as a table, and a cutout of measured "
            "pixels with its WCS for each detection. A worker writes it.",
        )  # fmt: skip
        if request_id := st.session_state.get(REQUEST):
            _bundle(request_id)


def _writing(name: str, now: state.Shown) -> Callable[[], bytes]:
    """Write the file only when it is asked for."""
    store = owner().store
    address = "&".join(f"{key}={value}" for key, value in now.address.items())
    return lambda: write_list(anomalies.listed(store, now.wanted, now.sort), name, address)


def _ask(now: state.Shown) -> None:
    request_id = uuid.uuid4().hex
    try:
        owner().enqueue("export", now.address, request_id=request_id, asked_by="dashboard")
    except (JobError, StoreError) as error:
        failure(error)
        return
    st.session_state[REQUEST] = request_id


def _bundle(request_id: str) -> None:
    request = get_request(owner().store, request_id)
    if request["state"] in ACTIVE or request["state"] != "done":
        follow(request_id)
        return
    path = owner().settings.home / "exports" / request["result"]["file"]
    if not path.is_file():
        st.caption("The file was replaced by newer ones: ask again.")
        return
    missing = request["result"]["without_pixels"]
    st.download_button(
        f"Fetch {count(request['result']['cutouts'])} cutouts", path.read_bytes,
        file_name="skysieve-cutouts.fits", mime="application/fits", key="fetch_fits",
        on_click="ignore", type="primary", width="stretch",
    )  # fmt: skip
    if missing:
        st.caption(f"{count(missing)} have no pixels any more and are in the table only.")
