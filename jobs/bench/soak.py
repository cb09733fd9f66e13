"""`skysieve bench scan --soak`: hundreds of cycles under kills, a full disk, clocks that are set.

Owners live one after the other over one store, each in a process that is forked from this one and
killed at a random moment. Between two lives the store is checked, and in the end every file that
was laid into the watched folders must be accounted for.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jobs.bench.result import write_result
from jobs.bench.soak_audit import audit
from jobs.bench.soak_life import LAST, PROGRESS, READY, live
from jobs.bench.soak_post import POST_FILE, keep_post

SOURCES = 3
SIDE = 20
READY_S = 120.0
LONGEST_LIFE_S = 60.0
MOST_CYCLES = 12
JUMPS_S = (-90_000.0, -7200.0, -45.0, 3600.0, 95_000.0, 2_600_000.0)
KINDS = ("new", "new", "new", "copy", "truncated", "text")


@dataclass
class Tally:
    """What was done to the owners, and what the audits said."""

    lives: int = 0
    kills: int = 0
    kills_while_starting: int = 0
    ended_by_full_disk: int = 0
    lives_with_full_disk: int = 0
    lives_with_dead_services: int = 0
    clock_jumps: int = 0
    audits: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass
class Soak:
    """One soak in one folder."""

    root: Path
    rng: random.Random
    tally: Tally = field(default_factory=Tally)
    laid: int = 0
    contents: list[bytes] = field(default_factory=list)
    ledger: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.root / "home"

    def lay_files(self, most: int = 3) -> None:
        """Lay new files into the folders, and note what must become of each."""
        for _ in range(self.rng.randint(1, most)):
            kind = self.rng.choice(KINDS)
            folder = self.root / "in" / str(self.rng.randrange(SOURCES))
            folder.mkdir(parents=True, exist_ok=True)
            self.laid += 1
            name = f"{self.laid:05d}"
            if kind == "text":
                self._put(folder / f"{name}.txt", b"no image", "ignored")
            elif kind == "truncated":
                self._put(folder / f"{name}.png", _png(self.laid)[:90], "failed")
            elif kind == "copy" and self.contents:
                self._put(folder / f"{name}.png", self.rng.choice(self.contents), "frame")
            else:
                self.contents.append(_png(self.laid))
                self._put(folder / f"{name}.png", self.contents[-1], "frame")

    def _put(self, path: Path, content: bytes, becomes: str) -> None:
        hidden = path.with_name(f".{path.name}.part")
        hidden.write_bytes(content)
        hidden.rename(path)
        self.ledger[path.as_uri()] = becomes

    def set_clock(self) -> None:
        """Set the owners' clock by hours or days, to and fro."""
        self.tally.clock_jumps += 1
        path = self.root / "clock"
        ahead = float(path.read_text()) if path.exists() else 0.0
        path.write_text(str(ahead + self.rng.choice(JUMPS_S)))

    def one_life(self) -> None:
        """Start an owner under some trouble, and kill it."""
        self.lay_files()
        full = self.rng.random() < 0.15
        dead = self.rng.random() < 0.5
        self.tally.lives += 1
        self.tally.lives_with_full_disk += full
        self.tally.lives_with_dead_services += dead
        ready = self.root / READY
        ready.unlink(missing_ok=True)
        limit = _largest(self.home) + self.rng.randint(4096, 400_000) if full else None
        pid = in_child(lambda: _limited(limit, lambda: live(self.root, post_is_dead=dead)))
        if self.rng.random() < 0.15:
            self.tally.kills_while_starting += 1
            time.sleep(self.rng.uniform(0, 1.0))
        else:
            _wait_for(ready, pid)
            goal = self._ended() + self.rng.randint(0, MOST_CYCLES)
            end = time.monotonic() + LONGEST_LIFE_S
            while self._ended() < goal and time.monotonic() < end and is_alive(pid):
                time.sleep(0.2)
                if self.rng.random() < 0.05:
                    self.set_clock()
                if self.rng.random() < 0.05:
                    self.lay_files(1)
            time.sleep(self.rng.uniform(0, 1.0))
        code = kill(pid)
        self.tally.kills += code is None
        if code is not None:
            self.tally.ended_by_full_disk += 1
            if not full:
                self.tally.faults.append(f"life {self.tally.lives} ended by itself with {code}")

    def _ended(self) -> int:
        """How many cycles had ended when the owner said so last."""
        path = self.root / PROGRESS
        return int(path.read_text()) if path.exists() else 0

    def last_life(self) -> None:
        """An owner without troubles, which finishes what there is."""
        pid = in_child(lambda: live(self.root, post_is_dead=False, mode=LAST))
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            self.tally.faults.append(f"the last life ended with {code}")

    def audit(self, *, final: bool) -> dict[str, Any]:
        """Open the store in a process of its own and look at it."""
        out = self.root / "audit.json"
        out.unlink(missing_ok=True)

        def look() -> int:
            found = audit(self.home, self.ledger, len(set(self.contents)), final=final)
            out.write_text(json.dumps(found))
            return 0

        os.waitpid(in_child(look), 0)
        if not out.exists():
            self.tally.faults.append(f"the store could not be opened after life {self.tally.lives}")
            return {"cycles": 0}
        found: dict[str, Any] = json.loads(out.read_text())
        self.tally.audits += 1
        self.tally.faults += [f"life {self.tally.lives}: {fault}" for fault in found["faults"]]
        return found


def bench_soak(
    out: Path | None,
    *,
    seed: int,
    now: datetime,
    cycles: int = 300,
    minutes: float | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Soak until `cycles` cycles began, finish, audit, and write the figures to `out`.

    After `minutes` it finishes with what it has: the figures say how many cycles that were.
    """
    started = time.perf_counter()
    load_beforehand()
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        soak = Soak(Path(folder), random.Random(seed))
        soak.home.mkdir()
        (soak.root / "clock").write_text("0")
        post = in_child(lambda: keep_post(soak.root))
        try:
            _wait_for(soak.root / POST_FILE, post)
            begun = 0
            while begun < cycles and not _is_over(started, minutes):
                soak.one_life()
                begun = max(begun, soak.audit(final=False)["cycles"])
                say(f"{begun} of {cycles} cycles, {soak.tally.lives} lives")
            soak.last_life()
            found = soak.audit(final=True)
        finally:
            kill(post)
    figures = {
        **{name: value for name, value in asdict(soak.tally).items() if name != "faults"},
        **{name: value for name, value in found.items() if name != "faults"},
        "files_laid": len(soak.ledger),
        "faults": soak.tally.faults,
        "seconds": round(time.perf_counter() - started, 1),
    }
    if out is not None:
        write_result(
            out,
            bench="soak",
            command=f"skysieve bench scan --soak --cycles {cycles}"
            + ("" if minutes is None else f" --minutes {minutes:g}"),
            seed=seed,
            now=now,
            digests={},
            figures=figures,
            notes="Owners with pipelines that cost nothing, killed with SIGKILL at random moments; "
            "RLIMIT_FSIZE plays the full disk, a closed port the dead services, a file the clock. "
            "After each life the store is opened and checked; lost, twice and silent are over all "
            "files that were laid into the folders.",
        )
    return figures


def _is_over(started: float, minutes: float | None) -> bool:
    return minutes is not None and time.perf_counter() - started > 60 * minutes


def load_beforehand() -> None:
    """Import what an owner needs before the first fork, so that a life does not begin with it."""
    import apprise
    import scipy.ndimage
    import scipy.stats  # noqa: F401

    import jobs.carriers
    import jobs.evaluation
    import jobs.owner
    import jobs.sources.contents  # noqa: F401

    apprise.Apprise.instantiate("json://127.0.0.1/")  # which loads its plugins


def in_child(function: Callable[[], int]) -> int:
    """Fork; the child runs the function and ends with what it returns. We have one thread."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = function()
    except BaseException as error:  # noqa: BLE001  a child must end here, whatever happens
        sys.stderr.write(f"soak: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
    os._exit(code)


def kill(pid: int) -> int | None:
    """Kill a child with SIGKILL; its exit status where it had ended by itself, else None."""
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        return os.waitstatus_to_exitcode(status)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _limited(limit: int | None, function: Callable[[], int]) -> int:
    """Run with no file growing beyond `limit` bytes."""
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return function()


def _largest(home: Path) -> int:
    """The size of the largest file, so that a limit above it leaves little room."""
    sizes = [0]
    for path in home.rglob("*"):
        with contextlib.suppress(OSError):
            sizes.append(path.stat().st_size)
    return max(sizes)


def _wait_for(path: Path, pid: int) -> None:
    """Wait until a child has made a file, or ended."""
    end = time.monotonic() + READY_S
    while not path.exists() and time.monotonic() < end:
        if not is_alive(pid):
            return
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Whether a child has not ended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def _png(number: int) -> bytes:
    """A picture of noise, another for each number."""
    import io

    pixels = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()
