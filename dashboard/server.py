"""The served app: pages, HTTP API and the owner of the store, in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware

from dashboard.browser_name import BrowserName
from dashboard.coming_back import ComingBack
from dashboard.root_address import RootAddress
from jobs import owner as owners
from jobs.api import routes
from jobs.api.guards import is_loopback
from jobs.errors import OwnerError
from jobs.owner import Owner
from jobs.server import address_of, announced
from jobs.settings import load_settings

HOST = str(st.get_option("server.address") or "127.0.0.1")


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[dict[str, Any]]:
    """Own the store while the server runs, and say in its home where to reach it."""
    owner = owners.start(load_settings())
    try:
        with announced(owner, address_of(HOST, st.get_option("server.port"))):
            yield {}
    finally:
        owner.close()


def owner_now() -> Owner:
    """Return the owner that the lifespan started. Raises OwnerError when it has ended."""
    found = owners.current()
    if found is None:
        raise OwnerError("the store is being opened or closed: try again in a moment")
    return found


app = st.App(
    str(Path(__file__).parent / "app.py"),
    lifespan=lifespan,
    routes=routes(owner_now, beyond_loopback=not is_loopback(HOST)),
    middleware=[Middleware(BrowserName), Middleware(RootAddress), Middleware(ComingBack)],
)
