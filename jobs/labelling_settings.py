"""Settings of labelling: when people have said enough, and what a batch is made of."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings


class LabellingSettings(BaseSettings):
    """Consensus, gold items, and the ranking that labels give."""

    label_least_votes: int = Field(
        2, ge=1, le=50, description="labels from which on people can agree on a detection"
    )
    label_share: float = Field(
        0.66, gt=0.5, le=1, description="share of the larger side that makes it a consensus"
    )
    label_most_votes: int = Field(
        5, ge=1, le=50, description="labels after which a detection is retired in any case"
    )
    label_gold_every: int = Field(
        25, ge=0, description="one gold item is mixed in for so many labels; 0 = never"
    )
    label_hold_s: float = Field(
        60, ge=60, le=3600, description="seconds for which nobody else is handed what one has"
    )
    label_batch: int = Field(
        20, ge=1, le=500, description="labels after which the ranking is fitted anew"
    )
    label_explore: float = Field(
        0.1, ge=0, le=0.5, description="share of a batch that is unlike anything labelled"
    )
    label_calibrate: float = Field(
        0.1, ge=0, le=0.5, description="share of a batch drawn from frames nothing is fitted on"
    )
    label_held_out: float = Field(
        0.3, ge=0, le=0.5, description="share of frames whose labels only measure the ranking"
    )

    @model_validator(mode="after")
    def _votes_fit(self) -> Self:
        if self.label_least_votes > self.label_most_votes:
            raise ValueError("label_least_votes must not exceed label_most_votes")
        return self
