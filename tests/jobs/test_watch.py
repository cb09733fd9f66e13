"""A watched folder: each file once, when it is quiet, however it came in and whatever the clock."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from jobs.services import Clock, Services
from jobs.settings import Settings
from jobs.sources import Offer, fetch, load, open_source
from jobs.sources.network import Network
from tests.jobs.stubs import write_picture
from tests.loopback.desk import MemoryDesk


class Watch:
    """A folder watched at moments that a test names, in seconds from now."""

    def __init__(self, folder: Path, quiet: float = 5.0, size: int = 1000) -> None:
        self.desk = MemoryDesk()
        self.at_s = 0.0
        self._begin = time.time()
        clock = Clock(now=lambda: datetime.fromtimestamp(self._begin + self.at_s, UTC))
        self._network = Network(Settings(home=folder), Services(), self.desk, clock)
        self._specification = f"watch:{folder},quiet={quiet:g}"
        self._size = size

    def names(self, at_s: float, limit: int | None = None) -> list[str]:
        """What is taken at a moment."""
        self.at_s = at_s
        source = open_source(
            self._specification, max_pixels=10**7, network=self._network, limit=limit
        )
        taken = []
        for item in source.items():
            at_hand = fetch(item)
            assert not isinstance(at_hand, Offer)
            (offer,) = load(at_hand)
            taken.append(f"{Path(item.uri).name} {offer.outcome}")
            self.desk.settle(item.uri, item.fingerprint)
        return taken


def test_a_file_is_taken_once_it_is_quiet(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    watch = Watch(tmp_path)
    assert watch.names(1) == []
    assert watch.names(10) == ["a.png stored"]
    assert watch.names(11) == []


def test_what_comes_later_is_found_and_a_change_is_news(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("clouds")
    watch = Watch(tmp_path)
    assert sorted(watch.names(10)) == ["a.png stored", "notes.txt ignored"]
    write_picture(tmp_path / "night" / "b.png", seed=1)
    assert watch.names(20) == ["b.png stored"]
    write_picture(tmp_path / "a.png", seed=2)
    assert watch.names(30) == ["a.png stored"]


def test_a_file_moved_in_with_an_old_time_is_found(tmp_path: Path) -> None:
    watched, elsewhere = tmp_path / "in", tmp_path / "out"
    write_picture(watched / "a.png")
    old = write_picture(elsewhere / "old.png", seed=1)
    os.utime(old, (1e9, 1e9))
    watch = Watch(watched)
    assert watch.names(10) == ["a.png stored"]
    old.rename(watched / "old.png")
    assert watch.names(20) == ["old.png stored"]


def test_a_clock_that_was_set_back_hides_nothing(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    watch = Watch(tmp_path)
    assert watch.names(10) == ["a.png stored"]
    source = next(iter(watch.desk.cursors))
    watch.desk.cursors[source] = int((time.time() + 1e6) * 1e9)
    write_picture(tmp_path / "b.png", seed=1)
    assert watch.names(20) == ["b.png stored"]


def test_a_limit_takes_them_in_turn(tmp_path: Path) -> None:
    for number in range(5):
        write_picture(tmp_path / f"{number}.png", seed=number)
    watch = Watch(tmp_path)
    turns = [watch.names(10, limit=2) for _ in range(3)]
    assert [len(turn) for turn in turns] == [2, 2, 1]
    assert len({name for turn in turns for name in turn}) == 5


def test_names_that_are_no_text_come_through(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "image.png")
    path.rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png"))
    assert [name.split(" ")[1] for name in Watch(tmp_path).names(10)] == ["stored"]
