"""Sources name everything they have once, read it on demand, and say what they left out."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from jobs.errors import SourceError
from jobs.sources import Offer, Source, load, open_source
from jobs.sources.stored import StoredSource
from jobs.sources.upload import UploadSource
from tests.jobs.stubs import write_picture

PIXELS = 10_000_000


def folder(path: Path) -> Source:
    return open_source(f"folder:{path}", max_pixels=PIXELS)


def offers(source: Source) -> dict[str, tuple[Offer, ...]]:
    return {item.uri: load(item) for item in source.items()}


def only(offered: dict[str, tuple[Offer, ...]], path: Path) -> Offer:
    (offer,) = offered[path.as_uri()]
    return offer


def test_a_folder_accounts_for_every_file_once(tmp_path: Path) -> None:
    image = write_picture(tmp_path / "deep" / "down" / "image.png")
    notes = tmp_path / "notes.txt"
    notes.write_text("clouds after two")
    nameless = tmp_path / "README"
    nameless.write_text("-")
    empty = tmp_path / "empty.fits"
    empty.touch()
    broken = tmp_path / "broken.png"
    broken.write_bytes(image.read_bytes()[:60])
    liar = tmp_path / "liar.fits"
    liar.write_text("<html>404</html>")

    offered = offers(folder(tmp_path))

    assert len(offered) == 6
    good = only(offered, image)
    assert (good.outcome, good.frame is not None) == ("stored", True)
    assert only(offered, notes) == Offer("", None, "ignored", "not an image file (.txt)")
    assert only(offered, nameless) == Offer("", None, "ignored", "not an image file (no suffix)")
    assert (only(offered, empty).outcome, "empty" in only(offered, empty).reason) == (
        "failed", True,
    )  # fmt: skip
    assert only(offered, broken).outcome == "failed"
    assert "damaged picture" in only(offered, broken).reason
    assert only(offered, liar).outcome == "failed"


def test_links_and_pipes_are_named_and_not_followed(tmp_path: Path) -> None:
    image = write_picture(tmp_path / "elsewhere" / "image.png")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.png").symlink_to(image)
    (inside / "linked").symlink_to(image.parent)
    (inside / "dangling.png").symlink_to(tmp_path / "nothing")
    os.mkfifo(inside / "pipe.png")

    offered = offers(folder(inside))

    assert {Path(uri).name: offer.outcome for uri, (offer,) in offered.items()} == {
        "link.png": "ignored",
        "linked": "ignored",
        "dangling.png": "ignored",
        "pipe.png": "ignored",
    }
    assert "not followed" in only(offered, inside / "link.png").reason


def test_every_part_of_a_file_is_accounted_for(tmp_path: Path) -> None:
    pixels = np.arange(64.0, dtype=np.float32).reshape(8, 8)
    units = [
        fits.PrimaryHDU(),
        fits.ImageHDU(pixels, name="SCI", ver=1),
        fits.ImageHDU(pixels + 1, name="SCI", ver=2),
        fits.ImageHDU(pixels, name="ERR"),
    ]
    path = tmp_path / "chips.fits"
    fits.HDUList(units).writeto(path)

    (offered,) = offers(folder(tmp_path)).values()

    assert [(offer.part, offer.outcome) for offer in offered] == [
        ("SCI,1", "stored"), ("SCI,2", "stored"), ("ERR", "ignored"),
    ]  # fmt: skip


def test_a_frame_knows_where_it_came_from(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "night" / "field.png")
    source = folder(tmp_path)

    frame = only(offers(source), path).frame

    assert frame is not None
    assert (frame.origin.source, frame.origin.object_id, frame.origin.uri) == (
        f"folder:{tmp_path}", "night/field.png", str(path),
    )  # fmt: skip
    assert source.name == f"folder:{tmp_path}"


def test_a_name_that_is_no_text_is_read_all_the_same(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "image.png")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png"))
    path.rename(odd)
    broken = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    broken.write_bytes(b"no image")

    offered = offers(folder(tmp_path))

    frame = only(offered, odd).frame
    assert frame is not None
    assert frame.origin.object_id == r"\xff\xfe.png"
    texts = [frame.origin.uri, only(offered, broken).reason, *offered]
    assert all(text.encode("utf-8") for text in texts)


def test_a_change_of_a_file_changes_its_fingerprint(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "image.png")
    (before,) = folder(tmp_path).items()
    (again,) = folder(tmp_path).items()
    os.utime(path, ns=(0, 123))
    (after,) = folder(tmp_path).items()

    assert before.fingerprint == again.fingerprint
    assert before.fingerprint != after.fingerprint


def test_a_file_that_went_away_fails_with_its_reason(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "image.png")
    (item,) = folder(tmp_path).items()
    path.unlink()

    (offer,) = load(item)

    assert (offer.outcome, offer.frame) == ("failed", None)
    assert "No such file" in offer.reason


def test_an_unexpected_error_while_reading_is_one_failed_offer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise RecursionError("too deep")

    write_picture(tmp_path / "image.png")
    (item,) = folder(tmp_path).items()
    monkeypatch.setattr("jobs.sources.folder.read_frames", stumble)

    (offer,) = load(item)

    assert offer.outcome == "failed"
    assert "RecursionError: too deep" in offer.reason


def test_an_image_beyond_the_limit_fails_before_it_is_read(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "large.png", side=100)
    offer = only(offers(open_source(f"folder:{tmp_path}", max_pixels=9_999)), path)
    assert offer.outcome == "failed"
    assert "10,000 pixels" in offer.reason


@pytest.mark.parametrize(
    ("specification", "complaint"),
    [
        (
            "",
            "expected one of apod:..., folder:..., galaxyzoo:..., sdss:..., sim:..., skyview:..., ",
        ),
        ("folder:", "expected one of"),
        ("ftp:host", "no source 'ftp:host'"),
        ("folder:/no/such/place", "no folder at /no/such/place"),
        ("folder:night", "is relative"),
        ("sim:a,frames=two", "cannot use 'frames=two'"),
        ("sim:a,frames=-1", "cannot use 'frames=-1'"),
        ("sim:a,frames=1000000", "expected frames=0..100000"),
        ("sim:a,size=32", "size=64..4096"),
        ("sim:a,colour=1", "cannot use 'colour=1'"),
        ("sim:a,", "cannot use ''"),
        ("sim:,frames=1", "cannot name a night"),
        ("sim:../etc", "cannot name a night"),
        ("sim:luna-rover", "cannot name a night"),
        ("sim:a,frames=" + "9" * 5000, "cannot use"),
    ],
)
def test_what_is_no_source_is_refused_with_what_to_do(specification: str, complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint.replace(".", r"\.")):
        open_source(specification, max_pixels=PIXELS)


def test_a_simulated_frame_obeys_the_largest_image() -> None:
    with pytest.raises(SourceError, match="max_pixels=1000"):
        open_source("sim:a,size=64", max_pixels=1000)


def test_a_simulated_night_is_the_same_every_time() -> None:
    source = open_source("sim:tests,frames=2,terrain=1,size=64", max_pixels=PIXELS)

    items = list(source.items())
    frames = [load(item)[0].frame for item in items]

    assert source.name == "sim:tests"
    assert [item.uri for item in items] == [
        "sim:tests/sky/0", "sim:tests/sky/1", "sim:tests/terrain/0",
    ]  # fmt: skip
    digests = [frame.digest for frame in frames if frame is not None]
    assert len(set(digests)) == 3
    again = [pickle.loads(pickle.dumps(item.read))()[0].frame for item in items]
    assert [frame.digest for frame in again if frame is not None] == digests
    assert {frame.origin.source for frame in frames if frame is not None} == {"sim:tests"}


def test_an_upload_is_read_under_the_name_it_came_with(tmp_path: Path) -> None:
    kept = write_picture(tmp_path / "image.png").rename(tmp_path / "abcdef")
    source = UploadSource(kept, "field.png", "abcdef", PIXELS)

    (item,) = source.items()
    first, second = load(item)[0].frame, load(item)[0].frame

    assert (item.uri, item.fingerprint) == ("upload:field.png", "abcdef")
    assert first is not None
    assert second is not None
    assert first.origin == second.origin
    assert (first.origin.source, first.origin.object_id, first.origin.uri) == (
        "upload", "field.png", "upload:field.png",
    )  # fmt: skip


def test_an_upload_cannot_choose_where_it_is_written(tmp_path: Path) -> None:
    kept = write_picture(tmp_path / "image.png").rename(tmp_path / "abcdef")
    source = UploadSource(kept, "../../escape.png", "abcdef", PIXELS)

    (offer,) = load(next(source.items()))

    assert offer.frame is not None
    assert offer.frame.origin.object_id == "escape.png"


def test_stored_images_offer_nothing_new() -> None:
    assert list(StoredSource().items()) == []
