"""Tables of query rows with named columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

TALLEST = 12


def table(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Any], *, key: str, alt: str
) -> None:
    """Show the named columns of the rows in order; a value is a heading or a column config."""
    frame = pd.DataFrame(
        [{name: row[name] for name in columns} for row in rows], columns=list(columns)
    )
    st.dataframe(
        frame,
        hide_index=True,
        column_config=dict(columns),
        key=key,
        alt=alt,
        placeholder="–",
        height="auto" if len(rows) <= TALLEST else 35 * (TALLEST + 1),
    )


def moment(heading: str) -> Any:
    """Configure a column of times."""
    return st.column_config.DatetimeColumn(
        f"{heading} (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"
    )


def measured(heading: str, digits: str, help_text: str | None = None) -> Any:
    """Configure a column of measured numbers, with a printf format for its digits."""
    return st.column_config.NumberColumn(heading, format=f"%{digits}", help=help_text)
