"""Digests and messages on the Jobs page: what people were told, and what never arrived."""

from __future__ import annotations

import streamlit as st

from dashboard.access import ask, owner
from dashboard.figures import count, literal
from dashboard.states import nothing
from dashboard.tables import moment, table
from db import digests


def show_digests() -> None:
    """Lay the section out."""
    rows, messages = ask(digests.digests), ask(digests.messages)
    if not rows and not messages:
        nothing("No digest was made and no message sent yet: a digest is made once a day.")
    if not owner().settings.notify_urls:
        st.caption("Nobody is told: set notify_urls to apprise addresses to send these.")
    if rows:
        newest = rows[0]
        st.markdown(
            f"**{literal(newest['subject'])}** is the newest of {count(len(rows))} digests."
        )
        table(
            [row | {"link": f"/api/digests/{row['digest_id']}"} for row in rows],
            {
                "until_at": moment("until"),
                "link": st.column_config.LinkColumn("page", display_text="open"),
                "frames": "frames",
                "candidates": "candidates",
                "failures": "failures",
                "subject": "subject",
            },
            key="digests",
            alt="The digests with a link to the page of each",
        )
    if messages:
        lost = sum(1 for row in messages if not row["state"].startswith(("sent", "sending")))
        if lost:
            st.warning(f"{count(lost)} of the last messages did not arrive for certain.")
        table(
            messages,
            {
                "sent_at": moment("when"),
                "kind": "kind",
                "target": "target",
                "subject": "subject",
                "state": "state",
                "attempts": "attempts",
            },
            key="messages",
            alt="The newest messages with what became of each",
        )
