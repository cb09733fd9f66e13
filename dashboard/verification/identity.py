"""Who labels: the person signed in through OIDC where that is set up, else a name."""

from __future__ import annotations

import streamlit as st

from dashboard import who


def labeller() -> str | None:
    """The name that labels carry; None while nobody said who looks (then the page asks)."""
    if who.is_configured():
        _offer_to_sign_in()
        return who.person() or None
    name: str | None = who.person() or st.query_params.get("labeller")
    if name and name.strip():
        who.remember(name)
        return who.person()
    st.markdown("Every label carries the name of who gave it. Who is looking?")
    with st.form("who", border=False):
        given = st.text_input("Your name", max_chars=who.LONGEST, key="labeller_name")
        begun = st.form_submit_button("Begin", type="primary")
    if begun and given.strip():
        who.remember(given)
        st.query_params["labeller"] = given.strip()
        st.rerun()
    return None


def change_button() -> None:
    """Let another person take over."""
    if who.is_configured():
        st.button("Sign out", on_click=st.logout, type="tertiary")
    else:
        st.button("Not me", on_click=_forget, type="tertiary")


def _offer_to_sign_in() -> None:
    if who.person():
        return
    st.markdown("Every label carries the name of who gave it.")
    who.sign_in_button()


def _forget() -> None:
    st.session_state.pop(who.NAME, None)
    st.query_params.pop("labeller", None)
