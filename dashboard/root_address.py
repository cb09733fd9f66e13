"""Tells the page where its server is, so that a deep link does not go looking for it."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Streamlit's frontend reads this before it connects; without it, a page opened at /anomalies asks
# /anomalies/_stcore/health first, which is not there.
SCRIPT = b'<script>window.__streamlit={BACKEND_BASE_URL:location.origin+"/"}</script>'
HEAD = b"<head>"


class RootAddress:
    """ASGI middleware that adds one script to HTML documents."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; HTML is asked for plain, gathered, changed and sent in one piece."""
        if scope["type"] != "http" or b"text/html" not in dict(scope["headers"]).get(
            b"accept", b""
        ):
            await self.app(scope, receive, send)
            return
        plain = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
        start: Message | None = None
        gathered = bytearray()

        async def changed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_html(message):
                start = message
            elif start is None:
                await send(message)
            else:
                gathered.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    body = bytes(gathered).replace(HEAD, HEAD + SCRIPT, 1)
                    MutableHeaders(scope=start)["content-length"] = str(len(body))
                    await send(start)
                    await send({"type": "http.response.body", "body": body})

        await self.app({**scope, "headers": plain}, receive, changed)


def _is_html(message: Message) -> bool:
    return MutableHeaders(scope=message).get("content-type", "").startswith("text/html")
