"""The archives played on loopback: each question is checked against its service's documentation.

What is wrong with a question is kept in `Archives.faults` and answered with HTTP 400.
`ANSWERS` says which answers are recorded bytes of the real service and which are not.
"""

from __future__ import annotations

import bz2
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

from jobs.settings import Settings
from tests.loopback.server import Asked, LoopbackServer, Reply

DR = "/dr18/SkyServerWS"
SEARCH, CUTOUT = f"{DR}/SearchTools/SqlSearch", f"{DR}/ImgCutout/getjpeg"
FRAMES = "/sas/dr17/eboss/photoObj/frames/*"
TAP = "/TAPVizieR/tap/sync"
LATESTS, STAMPS = "/api/v1/latests", "/api/v1/cutouts"
APOD, PICTURES = "/planetary/apod", "/apod/image/*"
SECTOR, ASTROCUT = "/tesscut/api/v0.1/sector", "/tesscut/api/v0.1/astrocut"
FORM, RUN, TEMPSPACE = "/current/cgi/basicform.pl", "/current/cgi/runquery.pl", "/tempspace/fits/*"


@dataclass(frozen=True)
class Played:
    """One kind of answer: `recorded` where the bytes are those of the real service."""

    service: str
    question: str
    recorded: bool
    made_of: str


ANSWERS = (
    Played(
        "sdss",
        f"GET {SEARCH}",
        recorded=False,
        made_of="rows of the recorded cross-id answer xid_im.txt",
    ),
    Played("sdss", f"GET {CUTOUT}", recorded=False, made_of="real SDSS JPEGs of other places"),
    Played(
        "sdss",
        f"GET {FRAMES}",
        recorded=False,
        made_of="a frame made here in the layout of the archive",
    ),
    Played(
        "galaxyzoo",
        f"POST {TAP}",
        recorded=False,
        made_of="a VOTable made here with the table's columns",
    ),
    Played(
        "ztf",
        f"POST {LATESTS}",
        recorded=False,
        made_of="public alerts (ztf_alerts.csv) in the broker's JSON",
    ),
    Played(
        "ztf",
        f"POST {STAMPS}",
        recorded=False,
        made_of="their real stamps (ztf_alert_stamps.npz) as JSON",
    ),
    Played(
        "apod",
        f"GET {APOD}",
        recorded=False,
        made_of="after the example in the service's own README",
    ),
    Played("apod", f"GET {PICTURES}", recorded=False, made_of="a real JPEG of another source"),
    Played("mast", f"POST {SECTOR}", recorded=True, made_of="tess_sector.json of astroquery"),
    Played(
        "mast",
        f"GET {ASTROCUT}",
        recorded=True,
        made_of="astrocut_107.27_-70.0_5x5.zip of astroquery",
    ),
    Played("skyview", f"GET {FORM}", recorded=True, made_of="query_page.html of astroquery"),
    Played(
        "skyview",
        f"GET {RUN}",
        recorded=True,
        made_of="results.html of astroquery, cut to its first image",
    ),
    Played(
        "skyview", f"GET {TEMPSPACE}", recorded=False, made_of="a FITS image with a WCS made here"
    ),
)


class Wrong(Exception):
    """What a service would not have understood."""


class Archives:
    """All archives on one server."""

    def __init__(self, server: LoopbackServer, data_root: Path) -> None:
        self.server = server
        self.faults: list[str] = []
        self._data = data_root
        self._jpegs = sorted((data_root / "galaxies" / "gz_examples").glob("*.jpg"))[:5]
        self.handlers: dict[str, Callable[[Asked], Reply]] = {
            SEARCH: self._search,
            CUTOUT: self._cutout,
            FRAMES: self._frame,
            TAP: self._tap,
            LATESTS: self._latests,
            STAMPS: self._stamps,
            APOD: self._apod,
            PICTURES: self._picture,
            SECTOR: self._sector,
            ASTROCUT: self._astrocut,
            FORM: self._form,
            RUN: self._run,
            TEMPSPACE: self._tile,
        }
        self.well()

    def well(self) -> None:
        """Let every service answer as it should."""
        for path in self.handlers:
            self.trouble(path)

    def trouble(self, path: str, *replies: Reply) -> None:
        """Send these replies first, then go on well."""
        self.server.on(path, *replies, self._checked(self.handlers[path]))

    def only(self, path: str, reply: Reply) -> None:
        """Send this reply for ever."""
        self.server.on(path, reply)

    def settings(self, home: Path, **options: object) -> Settings:
        """Settings that point every source here, asked without limits of rate."""
        url = self.server.url
        names = ("sdss", "galaxyzoo", "ztf", "apod", "mast", "skyview")
        rates = {f"{name}_per_second": 5.0 for name in names}
        addresses = {
            "sdss_url": url, "sdss_sas_url": f"{url}/sas", "ztf_url": url, "mast_url": url,
            "galaxyzoo_url": f"{url}/TAPVizieR/tap", "apod_url": f"{url}{APOD}", "skyview_url": url,
        }  # fmt: skip
        return Settings(home=home, nasa_api_key="A-KEY", **{**rates, **addresses, **options})

    def _checked(self, handler: Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
        def answer(asked: Asked) -> Reply:
            try:
                return handler(asked)
            except Exception as error:  # noqa: BLE001  a fault must reach the test, not a thread's end
                self.faults.append(f"{asked.path}: {type(error).__name__}: {error}")
                return Reply(str(error).encode(), status=400)

        return answer

    # SDSS: skyserver.sdss.org/dr18/en/help/docs/api.aspx, data.sdss.org/sas.

    def objects(self) -> list[dict[str, object]]:
        """Objects as PhotoPrimary might have them, from the recorded cross-id answer."""
        recorded = self._data / "catalog" / "sdss" / "tests" / "data" / "xid_im.txt"
        table = pd.read_csv(recorded, comment="#").drop_duplicates("objid").sort_values("objid")
        names = ("objid", "ra", "dec", "run", "camcol", "field")
        measured = {"type": 3, "modelMag_r": 16.5, "mjd": 51075}
        return [
            {**{name: row[name] for name in names}, **measured}
            for row in table.head(3).to_dict("records")
        ]

    def _search(self, asked: Asked) -> Reply:
        wants(asked, "GET", {"cmd", "format"})
        sql = asked.params["cmd"]
        found = re.fullmatch(
            r"SELECT TOP (\d+) (p\.\w+(?:, p\.\w+)*) FROM (?:PhotoPrimary p|"
            r"dbo\.fGetNearbyObjEq\(([-\d.]+), ([-\d.]+), ([\d.]+)\) n "
            r"JOIN PhotoPrimary p ON p\.objid = n\.objid) WHERE (.+) ORDER BY p\.objid",
            sql,
        )
        if found is None or asked.params["format"] != "json":
            raise Wrong(f"SQL that SkyServer would not take: {sql}")
        clauses = found[6].split(" AND ")
        if not all(re.fullmatch(r"p\.\w+ (?:>|=|<=|>=) [\d.]+", clause) for clause in clauses):
            raise Wrong(f"conditions that SkyServer would not take: {clauses}")
        after = int(re.search(r"p\.objid > (\d+)", found[6])[1])  # type: ignore[index]
        columns = [column.removeprefix("p.") for column in found[2].split(", ")]
        rows = [row for row in self.objects() if int(str(row["objid"])) > after][: int(found[1])]
        kept = [{column: row[column] for column in columns} for row in rows]
        return Reply(json.dumps([{"TableName": "Table1", "Rows": kept}], default=int).encode())

    def _cutout(self, asked: Asked) -> Reply:
        wants(asked, "GET", {"ra", "dec", "scale", "width", "height"})
        params = {name: float(value) for name, value in asked.params.items()}
        if not (0 <= params["ra"] <= 360 and -90 <= params["dec"] <= 90):
            raise Wrong(f"no place of the sky: {params}")
        if not (64 <= params["width"] <= 2048 and 64 <= params["height"] <= 2048):
            raise Wrong(f"a size beyond 64 to 2048: {params}")
        number = int(1e6 * params["ra"] + 1e6 * abs(params["dec"])) % len(self._jpegs)
        turn = sum(1 for each in self.server.asked if each.path == CUTOUT) % len(self._jpegs)
        content = self._jpegs[(number + turn) % len(self._jpegs)].read_bytes()
        return Reply(content, headers={"Content-Type": "image/jpeg"})

    def _frame(self, asked: Asked) -> Reply:
        wants(asked, "GET", set())
        found = re.fullmatch(
            r".*/frames/301/(\d+)/([1-6])/frame-([ugriz])-(\d{6})-([1-6])-(\d{4})\.fits\.bz2",
            asked.path,
        )
        if found is None or int(found[1]) != int(found[4]) or found[2] != found[5]:
            raise Wrong(f"no frame is called {asked.path}")
        (target,) = [row for row in self.objects() if str(row["field"]) == str(int(found[6]))][:1]
        image = fits_image(float(str(target["ra"])), float(str(target["dec"])), 200, 0.396)
        return Reply(bz2.compress(image))

    # VizieR TAP: TAP 1.1 (ivoa.net/documents/TAP), tapvizier.cds.unistra.fr/adql/about.html.

    def galaxies(self) -> list[tuple[str, float, float, int, int, int]]:
        """Rows of J/MNRAS/410/166/galaxies."""
        return [
            ("587722981741363294", 184.5, -1.0, 0, 1, 0),
            ("587722981741363323", 184.6, -1.1, 1, 0, 0),
            ("587722981741559888", 185.0, -1.0, 0, 0, 1),
        ]

    def _tap(self, asked: Asked) -> Reply:
        form = dict(parse_qsl(asked.body.decode()))
        if asked.method != "POST" or form.get("REQUEST") != "doQuery" or form.get("LANG") != "ADQL":
            raise Wrong(f"no synchronous TAP query: {asked.method} {form}")
        adql = form["QUERY"]
        found = re.fullmatch(
            r"SELECT TOP (\d+) objID, RAJ2000, DEJ2000, fE, fS, fU "
            r'FROM "J/MNRAS/410/166/galaxies" '
            r"WHERE objID > '(\d*)'( AND f[ESU] = 1)? ORDER BY objID",
            adql,
        )
        if found is None or form.get("MAXREC") != found[1]:
            raise Wrong(f"ADQL that VizieR would not take: {adql}")
        rows = [row for row in self.galaxies() if row[0] > found[2]]
        if found[3]:
            flag = "ESU".index(found[3][6])
            rows = [row for row in rows if row[3 + flag]]
        return Reply(
            votable(rows[: int(found[1])]), headers={"Content-Type": "application/x-votable+xml"}
        )

    # Fink: api.ztf.fink-portal.org (astrolabsoftware/fink-object-api, routes/v1).

    def alerts(self) -> pd.DataFrame:
        """Public alerts, by time."""
        table = pd.read_csv(self._data / "ztf" / "ztf_alerts.csv", low_memory=False)
        table["row"] = np.arange(len(table))
        return table.drop_duplicates("candid").sort_values("jd").tail(4)

    def _latests(self, asked: Asked) -> Reply:
        question = json.loads(asked.body)
        known = {"class", "n", "startdate", "stopdate", "columns", "output-format"}
        if asked.method != "POST" or set(question) - known or "class" not in question:
            raise Wrong(f"no question of /api/v1/latests: {question}")
        begin, end = (Time(question[name]).jd for name in ("startdate", "stopdate"))
        columns = question["columns"].split(",")
        table = self.alerts()
        table = table[(table.jd >= begin) & (table.jd <= end)].sort_values("jd", ascending=False)
        table["rb"] = table["rb"].fillna(0)
        rows = [
            {column: row[column.removeprefix("i:")] for column in columns}
            for row in table.head(int(question["n"])).to_dict("records")
        ]
        return Reply(json.dumps(rows, default=float).encode())

    def _stamps(self, asked: Asked) -> Reply:
        question = json.loads(asked.body)
        if question.get("kind") != "All" or question.get("output-format") != "array":
            raise Wrong(f"no question for three stamps: {question}")
        table = self.alerts()
        (row,) = table[table.candid.astype(str) == question["candid"]].to_dict("records")
        if row["objectId"] != question["objectId"]:
            raise Wrong(f"{question['candid']} is not of {question['objectId']}")
        with np.load(self._data / "ztf" / "ztf_alert_stamps.npz") as packed:
            stamps = packed["stamps"][row["row"]]
        names = ("Science", "Template", "Difference")
        planes = {
            f"b:cutout{name}_stampData": plane.tolist()
            for name, plane in zip(names, stamps, strict=True)
        }
        return Reply(json.dumps(planes).encode())

    # APOD: github.com/nasa/apod-api, README.

    def _apod(self, asked: Asked) -> Reply:
        wants(asked, "GET", {"api_key", "start_date", "end_date"})
        if asked.params["api_key"] != "A-KEY":
            return Reply(b'{"error": {"code": "API_KEY_INVALID"}}', status=403)
        days = pd.date_range(asked.params["start_date"], asked.params["end_date"])
        if not len(days):
            raise Wrong("start_date is after end_date")
        return Reply(json.dumps([self._day(day) for day in days]).encode())

    def _day(self, day: pd.Timestamp) -> dict[str, str]:
        entry = {
            "date": f"{day:%Y-%m-%d}", "title": f"The Sky of {day:%B %d}", "media_type": "image",
            "explanation": "...", "service_version": "v1",
            "url": f"{self.server.url}/apod/image/{day:%y%m}/{day:%d}_960.jpg",
            "hdurl": f"{self.server.url}/apod/image/{day:%y%m}/{day:%d}.jpg",
        }  # fmt: skip
        if day.day % 2:
            entry["copyright"] = "\nT. Rector\n"
        if day.day == 28:
            video = {"media_type": "video", "url": "https://www.youtube.com/embed/x"}
            entry = {**entry, **video}
            del entry["hdurl"]
        return entry

    def _picture(self, asked: Asked) -> Reply:
        day = int(asked.path.rsplit("/", 1)[1][:2])
        return Reply(self._jpegs[day % len(self._jpegs)].read_bytes())

    # MAST TESScut: mast.stsci.edu/tesscut/docs.

    def _mast(self, name: str) -> bytes:
        return (self._data / "catalog" / "mast" / "tests" / "data" / name).read_bytes()

    def _sector(self, asked: Asked) -> Reply:
        form = dict(parse_qsl(asked.body.decode())) or dict(asked.params)
        if set(form) != {"ra", "dec", "radius"} or float(form["ra"]) != 107.27:
            raise Wrong(f"no question for sectors: {form}")
        return Reply(self._mast("tess_sector.json"), headers={"Content-Type": "application/json"})

    def _astrocut(self, asked: Asked) -> Reply:
        wants(asked, "GET", {"ra", "dec", "x", "y", "units", "sector"})
        params = asked.params
        if (params["units"], params["x"], params["y"], params["sector"]) != ("px", "5", "5", "1"):
            raise Wrong(f"no question for a cutout of 5 x 5 pixels: {params}")
        return Reply(self._mast("astrocut_107.27_-70.0_5x5.zip"))

    # SkyView: skyview.gsfc.nasa.gov/current/help/fields.html.

    def _skyview(self, name: str) -> bytes:
        return (self._data / "catalog" / "skyview" / "tests" / "data" / name).read_bytes()

    def _form(self, asked: Asked) -> Reply:
        wants(asked, "GET", set())
        return Reply(self._skyview("query_page.html"))

    def _run(self, asked: Asked) -> Reply:
        needed = {"Position", "survey", "coordinates", "pixels", "size", "imscale"}
        if missing := needed - set(asked.params):
            raise Wrong(f"the form lacks {missing}")
        if asked.params["survey"] != "DSS2 Red" or asked.params["coordinates"] != "J2000":
            raise Wrong(f"another survey: {asked.params['survey']}")
        ra_deg, dec_deg = (float(part) for part in asked.params["Position"].split())
        self._tile_at = ra_deg, dec_deg, float(asked.params["size"].split(",")[0])
        page = self._skyview("results.html")
        second = page.index(b"_2.fits>FITS")
        return Reply(page[: page.rindex(b"<span", 0, second)])

    def _tile(self, asked: Asked) -> Reply:
        ra_deg, dec_deg, size_deg = self._tile_at
        return Reply(fits_image(ra_deg, dec_deg, 60, 3600 * size_deg / 60))


def wants(asked: Asked, method: str, params: set[str]) -> None:
    """Refuse another method or other parameters."""
    if asked.method != method or set(asked.params) != params:
        raise Wrong(f"expected {method} with {sorted(params)}, got {asked.method} {asked.params}")


def fits_image(ra_deg: float, dec_deg: float, side: int, scale_arcsec: float) -> bytes:
    """A FITS image centred on a place, other pixels for another place."""
    seed = int(abs(1e4 * ra_deg) + abs(1e4 * dec_deg))
    pixels = np.random.default_rng(seed).normal(0, 1, (side, side)).astype(np.float32)
    header = fits.Header(
        [
            ("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN"), ("CRVAL1", ra_deg), ("CRVAL2", dec_deg),
            ("CRPIX1", (side + 1) / 2), ("CRPIX2", (side + 1) / 2),
            ("CD1_1", -scale_arcsec / 3600), ("CD1_2", 0.0), ("CD2_1", 0.0),
            ("CD2_2", scale_arcsec / 3600), ("BUNIT", "nanomaggy"),
        ]
    )  # fmt: skip
    stream = io.BytesIO()
    fits.PrimaryHDU(pixels, header).writeto(stream)
    return stream.getvalue()


def votable(rows: list[tuple[str, float, float, int, int, int]]) -> bytes:
    """A TAP answer with the columns of the Galaxy Zoo table."""
    names = ("objID", "RAJ2000", "DEJ2000", "fE", "fS", "fU")
    types = ("U18", float, float, np.int16, np.int16, np.int16)
    stream = io.BytesIO()
    Table(rows=rows or None, names=names, dtype=types).write(stream, format="votable")
    status = b'<RESOURCE type="results"><INFO name="QUERY_STATUS" value="OK"/>'
    return stream.getvalue().replace(b'<RESOURCE type="results">', status, 1)
