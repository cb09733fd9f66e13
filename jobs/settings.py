"""Settings: read once from the environment and SKYSIEVE_HOME/settings.json, then passed inward."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from engine.cosmicrays.choices import DEFAULT_FILL, DEFAULT_METHOD, FillName, NetMethod
from jobs.catalogue_settings import CatalogueSettings
from jobs.errors import SettingsError
from jobs.labelling_settings import LabellingSettings
from jobs.loop_settings import LoopSettings
from jobs.source_settings import SourceSettings

FILE_NAME = "settings.json"


class Settings(SourceSettings, CatalogueSettings, LoopSettings, LabellingSettings):
    """Everything that can be set; each field is `SKYSIEVE_<NAME>` in the environment.

    The environment wins over the file, so that one command can be run otherwise for once.
    """

    model_config = SettingsConfigDict(env_prefix="SKYSIEVE_", env_ignore_empty=True, extra="forbid")

    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("skysieve")),
        description="folder of the store and its files",
    )
    data: Path | None = Field(None, description="folder of real images for training and checks")
    cluster: str | None = Field(None, description="address of a Dask scheduler; empty = this host")
    schedule: str | None = Field(
        None, description='schedules to begin with, as "SOURCE every SECONDS; ..."'
    )

    workers: int = Field(2, ge=1, le=64, description="worker processes")
    frame_timeout_s: float = Field(300, gt=0, description="a frame that takes longer is retried")
    memory_limit: str = Field("1GB", description="DuckDB's memory limit")
    max_pixels: int = Field(64_000_000, ge=1, description="largest image taken in, in pixels")
    max_upload_bytes: int = Field(64 * 2**20, ge=1, description="largest upload, in bytes")

    codec_bpp: float = Field(0.5, gt=0, le=16, description="codec rate, in bits per pixel")
    codec_samples: int = Field(8, ge=2, le=256, description="Monte-Carlo-dropout passes")
    cosmic_ray_method: NetMethod = DEFAULT_METHOD
    cosmic_ray_samples: int = Field(8, ge=1, le=256, description="weight draws of the vi net")
    cosmic_ray_views: Literal[1, 8] | None = Field(
        None, description="8: mean over flips and quarter turns; empty: 8 for one net, else 1"
    )
    cosmic_ray_fill: FillName = Field(DEFAULT_FILL, description="what replaces masked pixels")
    cosmic_ray_threshold: float = Field(0.5, gt=0, lt=1)
    false_positive_rate: float = Field(0.01, gt=0, lt=1, description="of the candidate verdict")
    near_miss_rate: float = Field(0.05, gt=0, lt=1)
    aggressive_rate: float = Field(0.05, gt=0, lt=1, description="candidate rate of --aggressive")
    false_discovery_rate: float = Field(0.1, gt=0, lt=1, description="of a night's list")
    max_detections: int = Field(64, ge=1, le=10_000, description="most sources judged on a frame")
    seed: int = Field(0, ge=0, description="seed of every random choice in the pipelines")

    embedding_url: str | None = Field(
        None, description="address of a hosted multimodal embedding endpoint; empty = off"
    )
    embedding_token: str | None = Field(None, description="bearer token of that endpoint")
    embedding_dimension: int = Field(1408, ge=8, le=16_384, description="length of its vectors")

    token: str | None = Field(None, description="API token; made at start when empty")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Explicit values first, then the environment, then the file in the home folder."""
        given = init_settings().get("home") or env_settings().get("home")
        home = given or platformdirs.user_data_dir("skysieve")
        file = JsonConfigSettingsSource(settings_cls, json_file=Path(home) / FILE_NAME)
        return init_settings, env_settings, file

    @property
    def settings_file(self) -> Path:
        """Where `skysieve configure` keeps what it was told."""
        return self.home / FILE_NAME


def load_settings(**overrides: Any) -> Settings:
    """Read the settings once. Raises SettingsError naming each value that cannot work."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise SettingsError(
            f"settings that cannot work: {faults}. Change them with `skysieve configure` "
            "or SKYSIEVE_* variables"
        ) from error
    except ValueError as error:
        raise SettingsError(f"the settings file cannot be read: {error}") from error


def change_setting(settings: Settings, name: str, value: str) -> Settings:
    """Write one setting to the file and return the settings as they then are."""
    if name not in Settings.model_fields or name == "home":
        known = ", ".join(sorted(set(Settings.model_fields) - {"home"}))
        raise SettingsError(f"no setting {name!r} that can be changed here; there are: {known}")
    path = settings.settings_file
    kept: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    try:
        kept[name] = json.loads(value)
    except ValueError:
        kept[name] = value
    load_settings(**{**kept, "home": settings.home})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return load_settings(home=settings.home)
