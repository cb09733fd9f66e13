"""Handing out: no two people have the same thing on screen within a minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.consensus import Rule
from db.database import Connection
from db.queries import verify
from db.store import Store, select

HOLD = timedelta(seconds=60)
_SPARE = 16


@dataclass(frozen=True)
class Wish:
    """What one browser asks for: `wanted` detections beyond those it has (`held`).

    `holder` is the browser, of which a labeller may have two.
    """

    labeller: str
    holder: str
    queue: str
    wanted: int
    held: tuple[str, ...] = ()
    gold_every: int = 0
    rule: Rule = verify.RULE
    hold: timedelta = HOLD


@dataclass(frozen=True)
class Handed:
    """Detections to show next, in order, and those of the held ones that another took over."""

    detection_ids: tuple[str, ...]
    withdrawn: tuple[str, ...] = ()


def hand_out(store: Store, wish: Wish, now: datetime) -> Handed:
    """Renew what the holder has, and hand out more from its queue until it has enough.

    Each is the holder's alone for a minute from its last renewal, in all but the shared queues. A
    held one whose minute was over and which was handed to another meanwhile is withdrawn. With
    `gold_every` n, one gold item is mixed in for n labels, and nothing tells it apart.
    """
    shared = wish.queue in verify.SHARED
    found = verify.queue(
        store, wish.labeller, wish.queue, wish.wanted + _SPARE, rule=wish.rule, holder=wish.holder,
        now=now, without=wish.held,
    )  # fmt: skip
    ids = [row["detection_id"] for row in found]
    if wish.wanted > 0 and not shared and _gold_is_due(store, wish):
        gold = verify.queue(store, wish.labeller, "gold", 1, rule=wish.rule, without=wish.held)
        ids = [*(row["detection_id"] for row in gold), *ids]
    ids = list(dict.fromkeys(ids))

    def take(connection: Connection) -> Handed:
        others = set() if shared else _held_by_others(connection, [*ids, *wish.held], wish, now)
        own = _own(connection, wish, now)
        withdrawn = [one for one in wish.held if one in others and one not in own]
        fresh = [one for one in ids if one not in others][: max(wish.wanted, 0)]
        kept = [one for one in wish.held if one not in withdrawn]
        _hold(connection, [*kept, *fresh], wish, now)
        return Handed(tuple(fresh), tuple(withdrawn))

    return store.transaction(take, changed=lambda _: False)


def skip(store: Store, labeller: str, holder: str, detection_id: str, now: datetime) -> None:
    """Remember that a labeller put a detection off; it comes last in the queues from now on."""
    store.move(
        """
        INSERT INTO handouts VALUES (?, ?, ?, 'skipped', ?, ?, ?)
        ON CONFLICT (detection_id, holder) DO UPDATE SET skipped_at = excluded.skipped_at,
            held_until = least(held_until, excluded.held_until)
        RETURNING detection_id
        """,
        [detection_id, holder, labeller, now, now, now],
    )


def take_skip_back(store: Store, labeller: str, detection_id: str) -> None:
    """Forget that a labeller put a detection off."""
    store.move(
        """
        UPDATE handouts SET skipped_at = NULL WHERE labeller = ? AND detection_id = ?
        RETURNING detection_id
        """,
        [labeller, detection_id],
    )


def release(store: Store, holder: str) -> None:
    """Give back at once what a holder has, for instance when it turns to another queue."""
    store.transaction(
        lambda connection: connection.execute(
            "DELETE FROM handouts WHERE holder = ? AND skipped_at IS NULL "
            "AND detection_id NOT IN (SELECT detection_id FROM current_labels)",
            [holder],
        ),
        changed=lambda _: False,
    )


def _held_by_others(
    connection: Connection, ids: Sequence[str], wish: Wish, now: datetime
) -> set[str]:
    table = select(
        connection,
        "SELECT DISTINCT detection_id FROM handouts WHERE holder <> ? AND held_until > ? "
        "AND list_contains(?::VARCHAR[], detection_id)",
        [wish.holder, now, list(ids)],
    )
    return set(table["detection_id"].to_pylist())


def _own(connection: Connection, wish: Wish, now: datetime) -> set[str]:
    """What the holder was handed and whose minute is not over."""
    table = select(
        connection,
        "SELECT detection_id FROM handouts WHERE holder = ? AND held_until > ?",
        [wish.holder, now],
    )
    return set(table["detection_id"].to_pylist())


def _hold(connection: Connection, ids: Sequence[str], wish: Wish, now: datetime) -> None:
    if not ids:
        return
    connection.execute(
        """
        INSERT INTO handouts
        SELECT unnest(?::VARCHAR[]), ?, ?, ?, ?, ?, NULL
        ON CONFLICT (detection_id, holder) DO UPDATE SET held_until = excluded.held_until,
            queue = excluded.queue, labeller = excluded.labeller
        """,
        [list(ids), wish.holder, wish.labeller, wish.queue, now, now + wish.hold],
    )


def _gold_is_due(store: Store, wish: Wish) -> bool:
    if wish.gold_every < 1:
        return False
    row = store.rows(
        """
        SELECT count(*) AS n,
               count(*) FILTER (detection_id IN (SELECT detection_id FROM gold_items)) AS gold,
               (SELECT count(*) FROM gold_items
                WHERE list_contains($2::VARCHAR[], detection_id)) AS held
        FROM current_labels WHERE labeller = $1
        """,
        [wish.labeller, list(wish.held)],
    )[0]
    return bool((row["n"] + len(wish.held)) // wish.gold_every > row["gold"] + row["held"])
