"""Every archive end to end over loopback: what it asks, what it takes, and what it never takes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.check import consistency
from db.queries.sources import services as services_on_page
from db.queries.sources import sources as sources_on_page
from jobs.errors import ServiceError, SourceError
from jobs.services import PassingFailure, Services
from jobs.sources import ARCHIVES, Offer, fetch, load, open_network, open_source
from jobs.sources.network import Network
from tests.jobs import stubs
from tests.loopback import Hands, LoopbackServer, Reply, archives
from tests.loopback.archives import ANSWERS, Archives
from tests.loopback.desk import MemoryDesk

pytestmark = pytest.mark.data
PIXELS = 10_000_000


@dataclass(frozen=True)
class Case:
    """One source: its specification, where it lists and fetches, and how many items there are."""

    specification: str
    lists_at: str
    fetches_at: str
    count: int
    empty: bytes

    def __str__(self) -> str:
        return self.specification.partition(":")[0]


CASES = (
    Case("sdss:pixels=64", archives.SEARCH, archives.CUTOUT, 3, b'[{"Rows": []}]'),
    Case("galaxyzoo:pixels=64", archives.TAP, archives.CUTOUT, 3, archives.votable([])),
    Case("ztf:days=2500", archives.LATESTS, archives.STAMPS, 4, b"[]"),
    Case("apod:start=2026-02-26,end=2026-02-27", archives.APOD, archives.PICTURES, 2, b"[]"),
    Case("tess:ra=107.27,dec=-70,size=5", archives.SECTOR, archives.ASTROCUT, 1,
         b'{"results": []}'),
)  # fmt: skip
TILES = Case(
    "skyview:survey=DSS2 Red,ra=10.5,dec=41.2,pixels=60", archives.RUN, archives.TEMPSPACE, 1, b""
)
ALL = (*CASES, TILES)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


@pytest.fixture
def played(server: LoopbackServer, data_root: Path) -> Archives:
    return Archives(server, data_root)


@dataclass
class Walk:
    """A source with a network of its own, walked without a store."""

    network: Network
    desk: MemoryDesk
    hands: Hands

    def outcomes(self, specification: str, limit: int | None = None) -> dict[str, str]:
        """What came of each item: its outcome, or the reason of its failure."""
        return {
            uri: offer.reason if offer.outcome == "failed" else str(offer.outcome)
            for uri, offer in self.offers(specification, limit).items()
        }

    def offers(self, specification: str, limit: int | None = None) -> dict[str, Offer]:
        source = open_source(specification, max_pixels=PIXELS, network=self.network, limit=limit)
        found: dict[str, Offer] = {}
        for item in source.items():
            at_hand = fetch(item)
            if isinstance(at_hand, Offer):
                found[item.uri] = at_hand
                self.desk.failed.append(item.uri)
            else:
                (*_, found[item.uri]) = load(pickle.loads(pickle.dumps(at_hand)))[:1]
            if not found[item.uri].passing:
                self.desk.settle(item.uri, item.fingerprint)
        return found


def walk(played: Archives, home: Path, step_s: float = 0.0, **options: object) -> Walk:
    hands, desk = Hands(step_s), MemoryDesk()
    settings = played.settings(home, **options)
    network = Network(settings, Services(clock=hands.clock), desk, hands.clock)
    return Walk(network, desk, hands)


@pytest.mark.parametrize("case", ALL, ids=str)
def test_what_is_asked_fits_the_documentation_and_all_is_read(
    case: Case, played: Archives, tmp_path: Path
) -> None:
    offers = walk(played, tmp_path).offers(case.specification)
    assert played.faults == []
    assert [str(offer.outcome) for offer in offers.values()] == ["stored"] * case.count
    for offer in offers.values():
        assert offer.frame is not None
        assert offer.frame.origin.source.startswith(str(case))
        assert offer.likeness is not None


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_empty_answer_is_an_answer(case: Case, played: Archives, tmp_path: Path) -> None:
    played.only(case.lists_at, Reply(case.empty))
    walked = walk(played, tmp_path)
    assert walked.outcomes(case.specification) == {}
    assert walked.desk.complaints == []


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize(
    "trouble",
    [
        Reply(status=500), Reply(b"<html>maintenance</html>"), Reply(b'[{"date": "20'),
        Reply(b"x" * 20, withheld=20),
    ],
    ids=["500", "page", "malformed", "truncated"],
)  # fmt: skip
def test_a_listing_that_fails_says_so_and_the_next_one_goes_on(
    case: Case, trouble: Reply, played: Archives, tmp_path: Path
) -> None:
    played.only(case.lists_at, trouble)
    walked = walk(played, tmp_path)
    with pytest.raises(ServiceError, match=r"galaxyzoo|sdss|ztf|apod|mast"):
        walked.outcomes(case.specification)
    assert walked.desk.cursors == {}
    assert len(walked.desk.complaints) == 1

    played.well()
    walked.hands.pass_by(7200)
    assert len(walked.outcomes(case.specification)) == case.count


@pytest.mark.slow
@pytest.mark.parametrize("case", ALL, ids=str)
@pytest.mark.parametrize("kind", ["500", "page", "cut", "withheld"])
def test_a_partial_or_false_image_is_never_taken_and_asked_for_again(
    case: Case, kind: str, played: Archives, tmp_path: Path
) -> None:
    walked = walk(played, tmp_path, fetch_attempts=9)
    whole = _whole(played, walked, case, tmp_path)
    trouble = {
        "500": Reply(status=500),
        "page": Reply(b"<html>Too many users</html>"),
        "cut": Reply(whole[: len(whole) // 2]),
        "withheld": Reply(whole[:-40], withheld=40),
    }[kind]
    played.only(case.fetches_at, trouble)
    failed = walked.offers(case.specification)
    assert {offer.outcome for offer in failed.values()} == {"failed"}
    assert all(offer.passing for offer in failed.values())
    assert len(failed) == case.count

    played.well()
    walked.hands.pass_by(7200)
    assert list(walked.outcomes(case.specification).values()) == ["stored"] * case.count
    assert walked.outcomes(case.specification) == {}, "what is settled is not asked for again"


def _whole(played: Archives, walked: Walk, case: Case, home: Path) -> bytes:
    """The bytes of a whole image of this source."""
    other = walk(played, home)
    source = open_source(case.specification, max_pixels=PIXELS, network=other.network)
    for item in source.items():
        fetch(item)
        break
    asked = next(
        each for each in reversed(played.server.asked) if _fits(case.fetches_at, each.path)
    )
    return played.handlers[case.fetches_at](asked).body


def _fits(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


@pytest.mark.parametrize("case", ALL, ids=str)
def test_who_asks_for_patience_gets_it(case: Case, played: Archives, tmp_path: Path) -> None:
    """A short Retry-After is waited for; a long one leaves the service alone until then."""
    busy = Reply(status=429, headers={"Retry-After": "7"})
    played.trouble(case.lists_at, busy)
    played.trouble(case.fetches_at, busy)
    walked = walk(played, tmp_path)
    assert list(walked.outcomes(case.specification).values()) == ["stored"] * case.count
    assert [slept for slept in walked.hands.slept_s if slept >= 7] == [7.0, 7.0]

    again = walk(played, tmp_path)
    played.only(case.fetches_at, Reply(status=429, headers={"Retry-After": "900"}))
    before = len(played.server.asked)
    reasons = list(again.outcomes(case.specification).values())
    assert "asks for fewer questions" in reasons[0]
    assert all("left alone for 900 s" in reason for reason in reasons[1:])
    fetched = [e for e in played.server.asked[before:] if _fits(case.fetches_at, e.path)]
    assert len(fetched) == 1


@pytest.mark.parametrize("case", ALL, ids=str)
def test_a_slow_drip_ends_at_the_deadline(case: Case, played: Archives, tmp_path: Path) -> None:
    walked = walk(played, tmp_path)
    source = open_source(case.specification, max_pixels=PIXELS, network=walked.network, limit=1)
    (item,) = source.items()
    played.only(case.fetches_at, Reply(b"\xff\xd8\xff" + b"x" * 2000, trickle_s=0.0002))
    walked.hands.step_s = 5.0
    offer = fetch(item)
    assert isinstance(offer, Offer)
    assert "timed out" in offer.reason
    assert offer.passing


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_service_that_hangs_is_given_up(case: Case, played: Archives, tmp_path: Path) -> None:
    played.only(case.lists_at, Reply(b"late", delay_s=3))
    name = "mast" if str(case) == "tess" else str(case)
    walked = walk(played, tmp_path, **{f"{name}_timeout_s": 0.05})
    with pytest.raises(PassingFailure, match="timed out"):
        walked.outcomes(case.specification)


def test_an_item_that_fails_too_often_fails_for_good(played: Archives, tmp_path: Path) -> None:
    walked = walk(played, tmp_path, fetch_attempts=2)
    played.only(archives.CUTOUT, Reply(status=500))
    for attempt, passing in ((1, True), (2, False)):
        offers = walked.offers("sdss:pixels=64", limit=1)
        assert [offer.passing for offer in offers.values()] == [passing], attempt
        walked.hands.pass_by(7200)
    assert "given up after 2 attempts" in next(iter(offers.values())).reason


def test_pages_go_on_where_the_last_one_ended(played: Archives, tmp_path: Path) -> None:
    walked = walk(played, tmp_path, sdss_page_size=2, galaxyzoo_page_size=2, apod_page_size=1)
    for case in (CASES[0], CASES[1], CASES[3]):
        seen: list[str] = []
        for _ in range(case.count):
            seen += walked.outcomes(case.specification, limit=1)
        assert len(seen) == len(set(seen)) == case.count
    assert played.faults == []


def test_alerts_of_a_full_page_are_followed_to_the_last(played: Archives, tmp_path: Path) -> None:
    """The broker gives the newest of a window; the rest comes page by page, none twice."""
    walked = walk(played, tmp_path, ztf_page_size=2)
    found = walked.offers("ztf:days=2500", limit=100)
    assert len(found) == 4
    assert {offer.frame.pixels.shape for offer in found.values() if offer.frame} == {(3, 63, 63)}
    table = played.alerts().set_index("objectId")
    for offer in found.values():
        assert offer.frame is not None
        origin = offer.frame.origin
        row = table.loc[[origin.object_id]].iloc[0]
        assert origin.ra_deg == pytest.approx(row["ra"])
        assert origin.mjd == pytest.approx(row["jd"] - 2400000.5)
        assert origin.band == {1: "g", 2: "r"}[row["fid"]]


def test_positions_are_the_archives_own(played: Archives, tmp_path: Path) -> None:
    walked = walk(played, tmp_path)
    objects = {f"sdss:{row['objid']}": row for row in played.objects()}
    for uri, offer in walked.offers("sdss:pixels=64").items():
        frame = offer.frame
        assert frame is not None
        assert frame.origin.ra_deg == pytest.approx(float(str(objects[uri]["ra"])))
        assert frame.wcs is not None
        middle = frame.wcs.pixel_to_world((frame.width - 1) / 2, (frame.height - 1) / 2)
        assert middle.dec.deg == pytest.approx(float(str(objects[uri]["dec"])), abs=1e-6)
        above = frame.wcs.pixel_to_world((frame.width - 1) / 2, 0)
        assert above.dec > middle.dec, "north is up, and the first row is the upper one"
    (tile,) = walked.offers(TILES.specification).values()
    assert tile.frame is not None
    assert tile.frame.origin.ra_deg == pytest.approx(10.5, abs=1e-4)
    (sector,) = walked.offers(CASES[4].specification).values()
    assert sector.frame is not None
    # The recorded file's WCS puts its middle 5 degrees away from where it was asked for.
    assert (sector.frame.origin.ra_deg, sector.frame.origin.dec_deg) == (107.27, -70.0)
    assert sector.frame.wcs is None


def test_fits_frames_of_sdss_are_cut_around_the_object(played: Archives, tmp_path: Path) -> None:
    offers = walk(played, tmp_path).offers("sdss:format=fits,pixels=64,band=i", limit=1)
    ((uri, offer),) = offers.items()
    assert offer.frame is not None, offer.reason
    assert offer.frame.pixels.shape == (64, 64)
    assert (offer.frame.origin.band, offer.frame.unit) == ("i", "nanomaggy")
    (row,) = [row for row in played.objects() if f"sdss:{row['objid']}" == uri]
    assert offer.frame.wcs is not None
    x, y = offer.frame.wcs.world_to_pixel_values(float(str(row["ra"])), float(str(row["dec"])))
    assert np.hypot(x - 31.5, y - 31.5) < 1.0
    played.only(archives.FRAMES, Reply(b"BZh9 and no more"))
    (failed,) = walk(played, tmp_path).offers("sdss:format=fits,pixels=64", limit=1).values()
    assert failed.passing


def test_a_day_without_a_picture_is_ignored_by_name(played: Archives, tmp_path: Path) -> None:
    offers = walk(played, tmp_path).offers("apod:start=2026-02-27,end=2026-02-28")
    picture, video = offers.values()
    assert (video.outcome, video.reason) == (
        "ignored", "no image but video (The Sky of February 28)",
    )  # fmt: skip
    assert picture.frame is not None
    assert "title: The Sky of February 27" in picture.frame.header
    assert "copyright: T. Rector" in picture.frame.header
    assert picture.frame.origin.ra_deg is None


def test_the_key_is_in_no_message(played: Archives, tmp_path: Path) -> None:
    walked = walk(played, tmp_path)
    played.only(archives.APOD, Reply(status=403))
    with pytest.raises(ServiceError, match="HTTP 403") as caught:
        walked.outcomes("apod")
    assert "A-KEY" not in str(caught.value)
    assert "A-KEY" not in repr(walked.network.settings)


def test_a_picture_elsewhere_than_at_nasa_is_refused(played: Archives, tmp_path: Path) -> None:
    entry = b'[{"date":"2026-02-26","title":"t","media_type":"image","url":"http://10.0.0.1/a"}]'
    played.only(archives.APOD, Reply(entry))
    (offer,) = walk(played, tmp_path).offers("apod:start=2026-02-26,end=2026-02-26").values()
    assert "is not at NASA but at '10.0.0.1'" in offer.reason
    assert not offer.passing


def test_tiles_of_a_survey_cover_a_square(played: Archives, tmp_path: Path) -> None:
    found = walk(played, tmp_path).offers(f"{TILES.specification},tiles=2")
    places = [offer.frame.origin for offer in found.values() if offer.frame is not None]
    decs = sorted(round(place.dec_deg or 0, 3) for place in places)
    assert decs == pytest.approx([41.15, 41.15, 41.25, 41.25], abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("case", ALL, ids=str)
def test_a_cycle_accounts_for_every_item_in_the_store(
    case: Case, played: Archives, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asked = stored + duplicate + failed + ignored, with a failure, a recovery, and a repeat."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    stubs.use_stub_pipelines(monkeypatch)
    hands = Hands()
    with stubs.opened(tmp_path) as store:
        network = open_network(played.settings(tmp_path), store, hands.clock)
        source = open_source(case.specification, max_pixels=PIXELS, network=network)
        played.trouble(case.fetches_at, *[Reply(status=500)] * 3)
        one_lane = stubs.InlineWorkers(1)
        first = stubs.cycle(store, source, "first", workers=one_lane).run()
        hands.pass_by(7200)
        second = stubs.cycle(store, source, "second", workers=one_lane).run()
        third = stubs.cycle(store, source, "third", workers=one_lane).run()
        for counts in (first, second, third):
            came = counts.stored + counts.duplicates + counts.failed + counts.ignored
            assert counts.asked == came
        assert (first.failed, second.failed, third.asked) == (1, 0, 0)
        assert first.stored + first.duplicates == case.count - 1
        assert second.stored + second.duplicates == 1
        assert consistency(store) == []
        (row,) = sources_on_page(store)
        assert (row["source"], row["listed"], row["waiting"]) == (source.name, case.count, 0)
        network.close()
        health: dict[str, Any] = {each["service"]: each for each in services_on_page(store)}
        assert all(each["breaker"] == "closed" for each in health.values())
        assert sum(each["failed"] for each in health.values()) == 3


def test_every_answer_that_is_played_says_whether_it_is_recorded() -> None:
    questions = {played.question.split(" ", 1)[1] for played in ANSWERS}
    with LoopbackServer() as server:
        assert questions == set(Archives(server, Path()).handlers)
    assert {played.service for played in ANSWERS if not played.recorded} == {
        "sdss", "galaxyzoo", "ztf", "apod", "skyview",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("specification", "complaint"),
    [
        ("sdss:kind=quasars", "expected kind to be one of galaxies, stars, any"),
        ("sdss:ra=1", "needs both ra and dec"),
        ("sdss:ra=400,dec=1", "expected ra to be a number from 0 to 360"),
        ("sdss:ra=nan,dec=1", "expected ra to be a number"),
        ("sdss:colour=red", r"cannot use 'colour=red' in sdss:\.\.\.: its options are kind"),
        ("tess:ra=1", "tess needs dec"),
        ("tess", "tess needs ra, dec"),
        ("skyview:ra=1,dec=1", "skyview needs survey"),
        ("apod:start=1990-01-01", "first picture was of 1995-06-16"),
        ("apod:start=yesterday", "a date as YYYY-MM-DD"),
        ("apod:start=2026-02-02,end=2026-02-01", "ends on 2026-02-01, before"),
        ("ztf:days=0", "a number from 0.01"),
        ("galaxyzoo:pixels=10", "a whole number from 64 to 2048"),
        ("watch:here", "is relative"),
        ("watch:/no/such/folder", "no folder at /no/such/folder"),
        ("watch:/tmp,quiet=soon", "expected seconds"),
        ("apod:", "no source 'apod:'"),
    ],
)
def test_what_an_archive_cannot_read_is_refused_with_what_to_do(
    specification: str, complaint: str
) -> None:
    with pytest.raises(SourceError, match=complaint):
        open_source(specification, max_pixels=PIXELS)


def test_a_name_says_what_is_not_the_default_in_one_order() -> None:
    def name(specification: str) -> str:
        return open_source(specification, max_pixels=PIXELS).name

    assert name("sdss:dec=2,ra=1,radius=5") == name("sdss:ra=1.0,dec=2") == "sdss:dec=2,ra=1"
    assert name("apod") == "apod"
    assert set(ARCHIVES) >= {"sdss", "galaxyzoo", "ztf", "apod", "tess", "skyview", "watch"}


def test_an_archive_without_an_owner_cannot_be_listed() -> None:
    with pytest.raises(SourceError, match="by the owner of a store only"):
        list(open_source("apod", max_pixels=PIXELS).items())
