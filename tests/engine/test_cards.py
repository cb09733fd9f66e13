from __future__ import annotations

from pathlib import Path

import pytest

from engine.cards import ModelCard, file_digest, read_card, write_card
from engine.errors import ModelError


def card_for(weights: Path) -> ModelCard:
    return ModelCard(
        name="tiny",
        pipeline="codec",
        digest=file_digest(weights),
        description="a test",
        architecture={"channels": 4},
        data="none",
        seed=1,
        command="skysieve train codec",
        device="cpu",
        trained_at="2026-01-01T00:00:00Z",
        metrics={"psnr_db": 30.5},
    )


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(b"weights")
    return path


def test_a_card_comes_back_as_written(weights: Path) -> None:
    card = card_for(weights)
    assert write_card(weights.parent, card) == weights.parent / "tiny.json"
    assert read_card("tiny", weights.parent) == card


def test_the_digest_is_that_of_the_bytes(weights: Path) -> None:
    # printf weights | sha256sum
    known = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    assert file_digest(weights) == known


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model 'absent'"):
        read_card("absent", tmp_path)


def test_weights_that_changed_behind_their_card_are_refused(weights: Path) -> None:
    write_card(weights.parent, card_for(weights))
    weights.write_bytes(b"other")
    with pytest.raises(ModelError, match="is not the file its card describes"):
        read_card("tiny", weights.parent)


@pytest.mark.parametrize("text", ["not json", "{}", '{"name": "tiny", "colour": "red"}'])
def test_a_damaged_card_is_refused(weights: Path, text: str) -> None:
    (weights.parent / "tiny.json").write_text(text)
    with pytest.raises(ModelError, match="cannot be read"):
        read_card("tiny", weights.parent)
