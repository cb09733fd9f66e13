"""Settings of the loop when nobody looks: messages, calibration, learning, descriptions."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings

TIME_OF_DAY = r"([01][0-9]|2[0-3]):[0-5][0-9]"


class LoopSettings(BaseSettings):
    """What the owner does by itself, and whom it tells."""

    notify_urls: tuple[str, ...] = Field((), description="apprise URLs")
    notify_at_once_rate: float = Field(
        0.001, ge=0, lt=1,
        description="candidates whose p-value is at most this are told at once; 0 = never",
    )  # fmt: skip
    notify_quiet: str = Field(
        "", pattern=f"^({TIME_OF_DAY}-{TIME_OF_DAY})?$",
        description="hours without messages, as 22:00-06:00 in UTC; they are sent afterwards",
    )  # fmt: skip
    digest_at: str = Field(
        "06:00",
        pattern=f"^({TIME_OF_DAY})?$",
        description="time of the digest in UTC; empty = none",
    )
    digest_top: int = Field(20, ge=1, le=200, description="candidates with pictures in a digest")
    page_url: str = Field("", description="address of the dashboard, for links in messages")

    auto_calibrate: bool = Field(
        default=True,
        description="fit a source's reference anew when the drift monitor raises its flag; a "
        "command that owns the store for itself alone leaves that to the next server",
    )
    learn_least_labels: int = Field(
        40, ge=10, description="labelled detections from which on the ranking is learned"
    )

    llm_provider: Literal["", "ollama", "openai"] = Field(
        "", validation_alias=AliasChoices("llm_provider", "SKYSIEVE_LLM_PROVIDER", "LLM_PROVIDER"),
        description="who describes candidates; empty = nobody. Also read from LLM_PROVIDER",
    )  # fmt: skip
    llm_url: str = Field(
        "", description="address of an OpenAI-compatible endpoint; empty = the provider's own"
    )
    llm_model: str = Field("", description="its model; empty = the provider's default here")
    llm_timeout_s: float = Field(120, gt=0)
    openai_api_key: str = Field(
        "", repr=False,
        validation_alias=AliasChoices(
            "openai_api_key", "SKYSIEVE_OPENAI_API_KEY", "OPENAI_API_KEY"
        ),
        description="key of the endpoint; also read from OPENAI_API_KEY",
    )  # fmt: skip
