"""How a command reaches the store: through its owner, or by being the owner for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from db.errors import StoreLocked
from jobs.client import Client
from jobs.errors import OwnerError
from jobs.owner_file import read_owner
from jobs.settings import Settings

WAIT_S = 15.0


@contextmanager
def store_access(settings: Settings) -> Iterator[Client]:
    """A client of the owner of the store in this home; without one this process becomes it.

    A process that has just opened the store and not yet said where it is, is waited for.
    """
    with ExitStack() as held:
        client = _client_of_owner(settings) or _own_or_wait(settings, held)
        held.callback(client.close)
        yield client


def _own_or_wait(settings: Settings, held: ExitStack) -> Client:
    from jobs.server import owning

    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            held.enter_context(owning(settings))
        except StoreLocked as error:
            if time.monotonic() > deadline:
                raise OwnerError(
                    f"another process holds the store in {settings.home} and does not answer: "
                    "stop it, or wait until it is done"
                ) from error
            time.sleep(0.2)
        client = _client_of_owner(settings)
        if client is not None:
            return client


def _client_of_owner(settings: Settings) -> Client | None:
    card = read_owner(settings.home)
    if card is None:
        return None
    client = Client(card.address, card.token)
    try:
        client.get("health")
    except OwnerError:
        client.close()
        return None
    return client
