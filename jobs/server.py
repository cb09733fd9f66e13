"""The API without pages: uvicorn in a thread, for owners that show none."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from jobs import owner as ownership
from jobs.api import routes
from jobs.api.guards import is_loopback
from jobs.errors import OwnerError
from jobs.owner import Owner
from jobs.owner_file import OwnerCard, remove_owner, write_owner
from jobs.settings import Settings

START_S = 20.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@contextmanager
def announced(owner: Owner, address: str) -> Iterator[None]:
    """While inside, `owner.json` says where the owner is."""
    card = OwnerCard(os.getpid(), owner.started_at.isoformat(), address, owner.token)
    write_owner(owner.settings.home, card)
    try:
        yield
    finally:
        remove_owner(owner.settings.home, card.pid)


@contextmanager
def owning(
    settings: Settings, *, host: str = "127.0.0.1", port: int = 0, takes_turns: bool = True
) -> Iterator[Owner]:
    """Own the store and serve its API while inside. Raises StoreLocked if another owns it."""
    owner = ownership.start(settings, takes_turns=takes_turns)
    try:
        listener = _listen(host, port)
        address = address_of(host, listener.getsockname()[1])
        app = Starlette(routes=routes(lambda: owner, beyond_loopback=not is_loopback(host)))
        config = uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        _wait_until_started(server, thread)
        try:
            with announced(owner, address):
                yield owner
        finally:
            server.should_exit = True
            thread.join(START_S)
            listener.close()
    finally:
        owner.close()


def address_of(host: str, port: int) -> str:
    """Where this machine reaches a server that listens on `host`, as a URL."""
    near = EVERYWHERE.get(host, host)
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise OwnerError(
            f"cannot listen on {host}, port {port} ({error.strerror}): choose another with --port"
        ) from error


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise OwnerError("the API could not be started: is the port free?")
        time.sleep(0.01)
