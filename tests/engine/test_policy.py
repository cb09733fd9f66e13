from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.policy import Policy, generator_for


@dataclass(frozen=True)
class FirstPolicy(Policy):
    pipeline: ClassVar[str] = "first"
    samples: int = 16
    seed: int = 0


@dataclass(frozen=True)
class SecondPolicy(Policy):
    pipeline: ClassVar[str] = "second"
    samples: int = 16
    seed: int = 0


def test_equal_policies_have_equal_digests() -> None:
    assert FirstPolicy().digest == FirstPolicy(samples=16).digest
    assert len(FirstPolicy().digest) == 64


def test_every_field_and_the_pipeline_count() -> None:
    digests = {
        FirstPolicy().digest,
        FirstPolicy(samples=8).digest,
        FirstPolicy(seed=1).digest,
        SecondPolicy().digest,
    }
    assert len(digests) == 4


def test_a_run_can_be_repeated_and_seeds_and_frames_differ() -> None:
    frame, other = "ab" * 32, "cd" * 32
    first = generator_for(frame, 0).random(4).tolist()
    assert generator_for(frame, 0).random(4).tolist() == first
    assert generator_for(frame, 1).random(4).tolist() != first
    assert generator_for(other, 0).random(4).tolist() != first
