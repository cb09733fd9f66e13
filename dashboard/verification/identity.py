"""Who labels: the person signed in through OIDC where that is set up, else a name."""

from __future__ import annotations

import streamlit as st

NAME = "labeller"


def labeller() -> str | None:
    """The name that labels carry; None while nobody said who looks (then the page asks)."""
    if is_configured():
        return _signed_in()
    name: str | None = st.session_state.get(NAME) or st.query_params.get("labeller")
    if name and name.strip():
        st.session_state[NAME] = name.strip()[:60]
        return name.strip()[:60]
    st.markdown("Every label carries the name of who gave it. Who is looking?")
    with st.form("who", border=False):
        given = st.text_input("Your name", max_chars=60, key="labeller_name")
        begun = st.form_submit_button("Begin", type="primary")
    if begun and given.strip():
        st.session_state[NAME] = given.strip()
        st.query_params["labeller"] = given.strip()
        st.rerun()
    return None


def is_configured() -> bool:
    """Whether secrets.toml has an [auth] section, so that people sign in."""
    return "is_logged_in" in st.user


def change_button() -> None:
    """Let another person take over."""
    if is_configured():
        st.button("Sign out", on_click=st.logout, type="tertiary")
    else:
        st.button("Not me", on_click=_forget, type="tertiary")


def _signed_in() -> str | None:
    if st.user.is_logged_in:
        return str(st.user.get("email") or st.user.get("name") or st.user.get("sub"))
    st.markdown("Every label carries the name of who gave it.")
    st.button("Sign in", on_click=st.login, type="primary")
    return None


def _forget() -> None:
    st.session_state.pop(NAME, None)
    st.query_params.pop("labeller", None)
