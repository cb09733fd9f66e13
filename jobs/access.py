"""How a command reaches the store: through its owner, or by being the owner for a while."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from db.errors import StoreLocked
from jobs.client import Answer, Client
from jobs.errors import OwnerError, OwnerGone
from jobs.owner_file import read_owner
from jobs.settings import Settings

if TYPE_CHECKING:
    from jobs.owner import Owner

WAIT_S = 30.0
CHANGES_OF_OWNER = 5


@contextmanager
def store_access(settings: Settings) -> Iterator[Client]:
    """A client of the owner of the store in this home; without one this process becomes it.

    A process that has just opened the store and not yet said where it is, is waited for. Before
    this process gives the store up again, it does what others asked of it meanwhile.
    """
    with ExitStack() as held:
        client, owner = living_owner(settings), None
        if client is None:
            client, owner = _own_or_wait(settings, held)
        held.callback(client.close)
        yield client
        if owner is not None:
            owner.drain()


def request(
    settings: Settings, path: str, body: Mapping[str, object], follow: Callable[[Answer], None]
) -> Answer:
    """Ask for something that takes a while and follow it to its end, whoever owns the store.

    When the owner ends in between, the next one (this process if need be) goes on with it.
    """
    request_id = str(uuid.uuid4())
    for _ in range(CHANGES_OF_OWNER - 1):
        try:
            with store_access(settings) as client:
                return client.request(path, body, follow, request_id)
        except OwnerGone:
            continue
    with store_access(settings) as client:
        return client.request(path, body, follow, request_id)


def living_owner(settings: Settings) -> Client | None:
    """A client of the owner that `owner.json` names, None unless that very process answers."""
    card = read_owner(settings.home)
    if card is None:
        return None
    client = Client(card.address, card.token)
    try:
        if client.get("health").get("pid") == card.pid:
            return client
    except (OwnerError, ValueError, AttributeError):
        pass
    client.close()
    return None


def _own_or_wait(settings: Settings, held: ExitStack) -> tuple[Client, Owner | None]:
    from jobs.server import owning

    deadline = time.monotonic() + WAIT_S
    owner: Owner | None = None
    while True:
        try:
            owner = held.enter_context(owning(settings, takes_turns=False))
        except StoreLocked as error:
            if time.monotonic() > deadline:
                raise OwnerError(
                    f"another process holds the store in {settings.home} and does not answer: "
                    "stop it, or wait until it is done"
                ) from error
            time.sleep(0.2)
        client = living_owner(settings)
        if client is not None:
            return client, owner
