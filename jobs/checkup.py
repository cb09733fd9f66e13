"""The checks behind `skysieve doctor`; each says what it found and what to do about it."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from engine.cards import WEIGHTS, read_card
from engine.errors import ModelError
from jobs.errors import JobError
from jobs.owner_file import NAME as OWNER_FILE
from jobs.owner_file import read_owner
from jobs.settings import Settings

LITTLE_SPACE = 2 * 2**30
NO_SPACE = 200 * 2**20
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PROBE = (83.63311, 22.01446, 5.0)
"""Where services are asked: the Crab pulsar; degrees and arcsec."""


@dataclass(frozen=True)
class Check:
    """One finding; `advice` says what to do and is empty where nothing is."""

    name: str
    state: Literal["ok", "warning", "failed"]
    finding: str
    advice: str = ""


def check_host(settings: Settings) -> list[Check]:
    """Every check that needs no network."""
    return [
        check_python(),
        check_packages(),
        check_home(settings.home),
        check_space(settings.home),
        *check_weights(),
        check_store(settings.home),
        check_data(settings.data),
        check_browser(),
    ]


def check_python() -> Check:
    """Is this Python new enough?"""
    wanted = metadata.metadata("skysieve")["Requires-Python"]
    running = platform.python_version()
    if SpecifierSet(wanted).contains(running, prereleases=True):
        return Check("python", "ok", running)
    return Check("python", "failed", f"{running}, needed {wanted}", "install a newer Python")


def check_packages() -> Check:
    """Are the packages that skysieve declares here, in versions that it can work with?"""
    wanted = [Requirement(line) for line in metadata.requires("skysieve") or ()]
    needed = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    faults = [fault for each in needed if (fault := _package_fault(each))]
    if not faults:
        return Check("packages", "ok", f"{len(needed)} in fitting versions")
    advice = "install again: pip install -c constraints.txt -e ."
    return Check("packages", "failed", "; ".join(faults), advice)


def _package_fault(wanted: Requirement) -> str:
    try:
        installed = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return f"{wanted.name} is missing"
    if wanted.specifier.contains(installed, prereleases=True):
        return ""
    return f"{wanted.name} {installed}, needed {wanted.specifier}"


def check_home(home: Path) -> Check:
    """Can the store's folder be written to?"""
    try:
        with tempfile.TemporaryFile(dir=_nearest_folder(home)):
            pass
    except OSError as error:
        advice = "make it writable, or set SKYSIEVE_HOME to a folder that is"
        return Check("home", "failed", f"{home} cannot be written to ({error.strerror})", advice)
    return Check("home", "ok", f"{home}{'' if home.is_dir() else ' (made at the first start)'}")


def check_space(home: Path) -> Check:
    """Is there room for the store to grow?"""
    free = shutil.disk_usage(_nearest_folder(home)).free
    finding = f"{free / 2**30:.1f} GiB free"
    advice = "free some space, or set SKYSIEVE_HOME to a larger disk"
    if free < NO_SPACE:
        return Check("disk", "failed", finding, advice)
    if free < LITTLE_SPACE:
        return Check("disk", "warning", finding, advice)
    return Check("disk", "ok", finding)


def check_weights(folder: Path = WEIGHTS) -> Iterator[Check]:
    """Does every shipped model card describe the weights beside it, and the other way round?"""
    files = (path for path in folder.glob("*") if path.suffix in {".json", ".safetensors"})
    names = sorted({path.stem for path in files})
    if not names:
        yield Check("weights", "failed", f"no models in {folder}", "reinstall skysieve")
    for name in names:
        try:
            card = read_card(name, folder)
        except ModelError as error:
            yield Check(f"weights {name}", "failed", str(error), "reinstall skysieve")
        else:
            yield Check(f"weights {name}", "ok", f"sha256 {card.digest[:12]} as on its card")


def check_store(home: Path) -> Check:
    """Who owns the store, and is that process alive?"""
    owner = read_owner(home)
    if owner is not None:
        return Check("store", "ok", f"owned by process {owner.pid} at {owner.address}")
    if (home / OWNER_FILE).is_file():
        advice = "nothing: the next `skysieve serve` replaces it"
        return Check("store", "warning", f"a stale {OWNER_FILE}: its owner is gone", advice)
    return Check("store", "ok", "no owner; start one with `skysieve serve`")


def check_data(data: Path | None) -> Check:
    """Are the real images for training and checks here?"""
    if data is None:
        return Check("data", "ok", "SKYSIEVE_DATA is not set; only training and some tests need it")
    if data.is_dir() and any(data.iterdir()):
        return Check("data", "ok", str(data))
    advice = "set SKYSIEVE_DATA to the folder of real images, or unset it"
    return Check("data", "failed", f"{data} is no folder with files", advice)


def check_browser() -> Check:
    """Is there a Chromium for the browser tests?"""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return Check("chromium", "ok", found or "not found; only the browser tests need it")


def check_catalogues(settings: Settings) -> list[Check]:
    """Does each catalogue service answer a tiny cone?"""
    from jobs.catalogues import catalogues, cross_match

    try:
        answers = cross_match(catalogues(settings), *PROBE)
    except JobError as error:
        return [Check("catalogues", "failed", str(error), "correct the service addresses")]
    return [
        Check(f"catalogue {answer.service}", "ok", f"reachable ({answer.state.replace('_', ' ')})")
        if answer.state != "not_determined"
        else Check(
            f"catalogue {answer.service}",
            "warning",
            f"not reachable: {answer.reason}",
            f"check the network and SKYSIEVE_{answer.service.upper()}_URL",
        )
        for answer in answers
    ]


def check_sources(settings: Settings) -> list[Check]:
    """Does each archive answer one small question?"""
    from jobs.sources.probe import probe_sources

    return [
        Check(f"source {probed.service}", "ok", f"reachable ({probed.listed} listed)")
        if not probed.trouble
        else Check(
            f"source {probed.service}",
            "warning",
            f"not reachable: {probed.trouble}",
            f"check the network and SKYSIEVE_{probed.service.upper()}_URL",
        )
        for probed in probe_sources(settings)
    ]


def _nearest_folder(path: Path) -> Path:
    """The folder itself, or the closest one above it that exists."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
