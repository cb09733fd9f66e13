"""Scripted replies on 127.0.0.1, with a record of what was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What to send: `withheld` bytes are announced but never sent; `delay_s` comes first.

    With `trickle_s` the body goes out byte by byte with that pause.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    withheld: int = 0
    trickle_s: float = 0.0


Answering = Reply | Callable[[Asked], Reply]


class LoopbackServer:
    """Use as a context manager; each path gives its replies in order, the last one for ever."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self._scripts: dict[str, list[Answering]] = {}
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _requests_of(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Base address, without a slash at its end."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def on(self, path: str, *replies: Answering) -> Self:
        """Script the replies of one path; a path that ends in * stands for all that begin so."""
        self._scripts[path] = list(replies)
        return self

    def answer(self, asked: Asked) -> Reply:
        """Record the request and take the next reply of its path."""
        with self._lock:
            self.asked.append(asked)
            script = self._scripts.get(asked.path) or self._prefixed(asked.path)
            if script is None:
                return Reply(b"no such path", status=404)
            reply = script.pop(0) if len(script) > 1 else script[0]
        return reply if isinstance(reply, Reply) else reply(asked)

    def _prefixed(self, path: str) -> list[Answering] | None:
        for known, script in self._scripts.items():
            if known.endswith("*") and path.startswith(known[:-1]):
                return script
        return None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def free_port() -> int:
    """A port on loopback where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _requests_of(server: LoopbackServer) -> type[BaseHTTPRequestHandler]:
    class Requests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve()

        def do_HEAD(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, *args: object) -> None:
            """Say nothing: tests look at what was recorded."""

        def _serve(self) -> None:
            reply = server.answer(self._asked())
            if server.closing.wait(reply.delay_s) if reply.delay_s else False:
                return
            self.send_response(reply.status)
            if "Content-Length" not in reply.headers:
                self.send_header("Content-Length", str(len(reply.body) + reply.withheld))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self._send(reply)

        def _asked(self) -> Asked:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            address = urlsplit(self.path)
            params = dict(parse_qsl(address.query, keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            return Asked(self.command, address.path, params, headers, body)

        def _send(self, reply: Reply) -> None:
            try:
                if not reply.trickle_s:
                    self.wfile.write(reply.body)
                    return
                for byte in reply.body:
                    self.wfile.write(bytes([byte]))
                    if server.closing.wait(reply.trickle_s):
                        return
            except ConnectionError:
                self.close_connection = True  # the one who asked gave up, as some tests want

    return Requests
