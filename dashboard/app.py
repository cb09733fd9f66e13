"""The pages: what the browser shows. Served by server.py, which owns the store."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.lasting import freeze_modules
from dashboard.states import failure
from dashboard.visiting import note_visit
from db.errors import StoreError
from jobs import owner as owners
from jobs.errors import JobError

HERE = Path(__file__).parent
PAGES = (
    ("overview", "Overview", "home"),
    ("compression", "Compression", "compress"),
    ("downlink", "Downlink", "satellite_alt"),
    ("cosmicrays", "Cosmic rays", "flare"),
    ("calibration", "Calibration", "balance"),
    ("anomalies", "Anomalies", "travel_explore"),
    ("crossmatch", "Cross-match", "join"),
    ("verify", "Verify", "fact_check"),
    ("models", "Models", "model_training"),
    ("jobs", "Jobs", "schedule"),
)


def run() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="skysieve", page_icon=str(HERE / "favicon.png"), layout="wide")
    pages = [
        st.Page(
            f"views/{name}.py",
            title=title,
            icon=f":material/{icon}:",
            url_path=name,
            default=name == "overview",
        )
        for name, title, icon in PAGES
    ]
    page = st.navigation(pages, position="top")
    try:
        if (found := owners.current()) is not None:
            note_visit(found.store)
        page.run()
    except (StoreError, JobError) as error:
        failure(error)
    finally:
        freeze_modules()


run()
