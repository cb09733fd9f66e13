from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from engine.reading import read_frames

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.stack([GREY, GREY + 1, GREY + 2], axis=-1)


def save(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_pictures_keep_their_samples(tmp_path: Path, suffix: str) -> None:
    reading = read_frames(save(tmp_path / f"a{suffix}", Image.fromarray(GREY)), source="s")
    frame = reading.frames[0]
    assert np.array_equal(frame.pixels, GREY)
    assert (frame.sample_type, frame.unit, frame.origin.object_id) == ("uint8", "", "a")
    assert not reading.ignored


def test_sixteen_bits_stay_sixteen_bits(tmp_path: Path) -> None:
    deep = np.array([[0, 1, 257], [4095, 40000, 65535]], dtype=np.uint16)
    for name, samples in (("grey", deep), ("colour", np.stack([deep] * 3, axis=-1))):
        path = tmp_path / f"{name}.png"
        path.write_bytes(imagecodecs.png_encode(samples))
        frame = read_frames(path, source="s").frames[0]
        assert frame.sample_type == "uint16"
        assert np.array_equal(frame.pixels, deep if name == "grey" else np.stack([deep] * 3))


def test_colour_becomes_three_planes(tmp_path: Path) -> None:
    frame = read_frames(save(tmp_path / "a.png", Image.fromarray(COLOUR)), source="s").frames[0]
    assert np.array_equal(frame.pixels, np.moveaxis(COLOUR, -1, 0))
    jpeg = read_frames(save(tmp_path / "a.jpg", Image.fromarray(COLOUR)), source="s").frames[0]
    assert jpeg.pixels.shape == (3, 3, 4)


def test_alpha_is_dropped_and_said_so(tmp_path: Path) -> None:
    alpha = np.full((3, 4, 1), 7, dtype=np.uint8)
    colour = Image.fromarray(np.concatenate([COLOUR, alpha], axis=-1))
    grey = Image.fromarray(np.concatenate([GREY[..., None], alpha], axis=-1))
    coloured = read_frames(save(tmp_path / "c.png", colour), source="s")
    assert np.array_equal(coloured.frames[0].pixels, np.moveaxis(COLOUR, -1, 0))
    assert [part.part for part in coloured.ignored] == ["alpha"]
    plain = read_frames(save(tmp_path / "g.png", grey), source="s")
    assert np.array_equal(plain.frames[0].pixels, GREY)
    assert [part.part for part in plain.ignored] == ["alpha"]


def test_deep_grey_with_alpha_keeps_its_depth(tmp_path: Path) -> None:
    deep = np.array([[0, 257], [40000, 65535]], dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.stack([deep, deep // 2], axis=-1)))
    reading = read_frames(tmp_path / "a.png", source="s")
    assert reading.frames[0].pixels.tolist() == deep.tolist()
    assert [part.part for part in reading.ignored] == ["alpha"]


def test_palettes_become_their_colours(tmp_path: Path) -> None:
    coloured = Image.fromarray(np.eye(4, dtype=np.uint8), mode="P")
    coloured.putpalette([10, 20, 30, 200, 100, 50])
    reading = read_frames(save(tmp_path / "c.png", coloured), source="s")
    assert reading.frames[0].pixels[:, 0, 0].tolist() == [200, 100, 50]
    assert [part.part for part in reading.ignored] == ["palette"]
    grey = Image.fromarray(np.eye(4, dtype=np.uint8), mode="P")
    grey.putpalette([10, 10, 10, 99, 99, 99])
    assert read_frames(save(tmp_path / "g.png", grey), source="s").frames[0].pixels.shape == (4, 4)


def test_one_bit_pictures_are_black_and_white(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(np.eye(3) > 0))
    assert np.array_equal(read_frames(path, source="s").frames[0].pixels, 255 * np.eye(3))


def test_only_the_first_page_of_a_tiff_is_read(tmp_path: Path) -> None:
    pages = [Image.fromarray(GREY), Image.fromarray(GREY + 1)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    reading = read_frames(tmp_path / "a.tif", source="s")
    assert np.array_equal(reading.frames[0].pixels, GREY)
    assert [part.part for part in reading.ignored] == ["pages 2-2"]


def test_floating_point_tiff_keeps_its_values(tmp_path: Path) -> None:
    values = np.array([[0.5, -1.25], [1e6, np.nan]], dtype=np.float32)
    frame = read_frames(save(tmp_path / "a.tif", Image.fromarray(values)), source="s").frames[0]
    assert frame.sample_type == "float32"
    assert frame.mask.tolist() == [[False, False], [False, True]]
    assert frame.pixels[1, 0] == 1e6
