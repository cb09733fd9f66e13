"""Leads back to the page from which somebody went to sign in or out."""

from __future__ import annotations

from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "skysieve_back"
LEAVING, ARRIVING = ("/auth/login", "/auth/logout"), "/oauth2callback"
WITHIN_S = 600
LONGEST = 2000


class ComingBack:
    """ASGI middleware: Streamlit ends every sign-in at the first page, this at the one before."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; a cookie keeps the page's address meanwhile."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path not in (*LEAVING, ARRIVING):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        left = page_left(headers) if path in LEAVING else None
        back = page_kept(headers) if path == ARRIVING else None

        async def led(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                if left is not None:
                    answer.append("set-cookie", _cookie(left, WITHIN_S))
                if back is not None and answer.get("location") == "/":
                    answer["location"] = back
                    answer.append("set-cookie", _cookie("", 0))
            await send(message)

        await self.app(scope, receive, led)


def page_left(headers: Headers) -> str | None:
    """The page of this very server that the request came from, without a typed name."""
    came = urlsplit(headers.get("referer", ""))
    if came.netloc != headers.get("host") or not _is_page(came.path):
        return None
    kept = [(name, value) for name, value in parse_qsl(came.query) if name != "labeller"]
    page = came.path + (f"?{urlencode(kept)}" if kept else "")
    return page if len(page) <= LONGEST else came.path


def page_kept(headers: Headers) -> str | None:
    """The page that the cookie names, None where it leads anywhere but to this server."""
    found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    page = unquote(found.value) if found is not None else ""
    return page if _is_page(page) else None


def _is_page(path: str) -> bool:
    """An address of this server: `//other` and `/\\other` are other servers to a browser."""
    return path.startswith("/") and path[1:2] not in ("/", "\\") and path.isprintable()


def _cookie(page: str, age_s: int) -> str:
    return f"{COOKIE}={quote(page, safe='')}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax"
