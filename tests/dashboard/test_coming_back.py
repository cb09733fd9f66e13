"""Where somebody who signs in is led back to."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from dashboard.coming_back import COOKIE, ComingBack, page_kept, page_left


def test_the_page_left_is_kept_without_a_typed_name() -> None:
    came = "http://here:8501/verify?labeller=ann&queue=random&text=a%26b"
    headers = Headers({"host": "here:8501", "referer": came})
    assert page_left(headers) == "/verify?queue=random&text=a%26b"


@pytest.mark.parametrize(
    "referer", ["", "http://elsewhere/verify", "http://here:8502/verify", "http://here:8501//else"]
)
def test_what_is_no_page_of_this_server_is_not_kept(referer: str) -> None:
    assert page_left(Headers({"host": "here:8501", "referer": referer})) is None


@pytest.mark.parametrize(
    ("kept", "page"),
    [
        ("/verify?queue=random", "/verify?queue=random"),
        ("//elsewhere/verify", None),
        ("/\\elsewhere", None),
        ("https://elsewhere/", None),
        ("/a\r\nset-cookie: x=y", None),
        ("", None),
    ],
)
def test_only_addresses_of_this_server_are_led_to(kept: str, page: str | None) -> None:
    assert page_kept(Headers({"cookie": f"other=1; {COOKIE}={quote(kept, safe='')}"})) == page


@pytest.mark.parametrize(
    ("path", "location", "led_to"),
    [
        ("/oauth2callback", "/", "/models?model=a"),
        ("/oauth2callback", "https://provider/again", "https://provider/again"),
        ("/elsewhere", "/", "/"),
    ],
)
def test_the_end_of_a_sign_in_leads_back_once(path: str, location: str, led_to: str) -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"location", location.encode())]
        await send({"type": "http.response.start", "status": 302, "headers": headers})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    cookie = f"{COOKIE}={quote('/models?model=a', safe='')}".encode()
    scope = {"type": "http", "path": path, "headers": [(b"cookie", cookie)]}
    asyncio.run(ComingBack(app)(scope, receive, send))
    answer = Headers(raw=sent[0]["headers"])
    assert answer["location"] == led_to
    forgotten = "Max-Age=0" in answer.get("set-cookie", "")
    assert forgotten == (led_to != location)
