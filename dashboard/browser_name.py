"""Gives each browser a random name, so that who comes back can be told what is new."""

from __future__ import annotations

import re
import uuid
from http.cookies import SimpleCookie

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "skysieve_browser"
NAME = re.compile(r"[0-9a-f]{32}")
YEAR_S = 365 * 86_400


class BrowserName:
    """ASGI middleware that sets the cookie on HTML documents where it is missing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; an HTML answer to a browser without a name brings it one."""
        if scope["type"] != "http" or _has_name(scope):
            await self.app(scope, receive, send)
            return

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers.append("set-cookie", _cookie(uuid.uuid4().hex))
            await send(message)

        await self.app(scope, receive, named)


def _has_name(scope: Scope) -> bool:
    for key, value in scope["headers"]:
        if key == b"cookie":
            found = SimpleCookie(value.decode("latin-1")).get(COOKIE)
            if found is not None and NAME.fullmatch(found.value):
                return True
    return False


def _cookie(name: str) -> str:
    return f"{COOKIE}={name}; Path=/; Max-Age={YEAR_S}; HttpOnly; SameSite=Lax"
