"""Settings of the sources and of what they may keep: mixed into `jobs.settings.Settings`."""

from __future__ import annotations

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings

NAMES = ("sdss", "galaxyzoo", "ztf", "apod", "mast", "skyview")
"""Services with settings <NAME>_url, _per_second, _timeout_s, _daily_quota and _page_size."""


class SourceSettings(BaseSettings):
    """For each service of a source: address, polite rate, patience, quota and page size."""

    sdss_url: str = "https://skyserver.sdss.org"
    sdss_sas_url: str = Field("https://data.sdss.org/sas", description="where SDSS keeps its FITS")
    sdss_release: str = Field("dr18", pattern="dr[0-9]{1,2}", description="SDSS data release")
    sdss_per_second: float = Field(1.0, gt=0, le=5, description="questions a second")
    sdss_timeout_s: float = Field(60, gt=0)
    sdss_daily_quota: int = Field(5000, ge=1, description="questions a day (UTC)")
    sdss_page_size: int = Field(100, ge=1, le=1000, description="objects listed at once")

    galaxyzoo_url: str = "https://tapvizier.cds.unistra.fr/TAPVizieR/tap"
    galaxyzoo_table: str = Field("J/MNRAS/410/166/galaxies", description="VizieR table of objects")
    galaxyzoo_per_second: float = Field(1.0, gt=0, le=5)
    galaxyzoo_timeout_s: float = Field(60, gt=0)
    galaxyzoo_daily_quota: int = Field(1000, ge=1)
    galaxyzoo_page_size: int = Field(100, ge=1, le=1000)

    ztf_url: str = Field(
        "https://api.ztf.fink-portal.org", description="the Fink broker's interface to ZTF alerts"
    )
    ztf_per_second: float = Field(1.0, gt=0, le=5)
    ztf_timeout_s: float = Field(60, gt=0)
    ztf_daily_quota: int = Field(5000, ge=1)
    ztf_page_size: int = Field(100, ge=1, le=1000)

    apod_url: str = "https://api.nasa.gov/planetary/apod"
    nasa_api_key: str = Field(
        "DEMO_KEY",
        validation_alias=AliasChoices("nasa_api_key", "SKYSIEVE_NASA_API_KEY", "NASA_API_KEY"),
        description="key of api.nasa.gov; also read from NASA_API_KEY",
        repr=False,
    )
    apod_per_second: float = Field(1.0, gt=0, le=5)
    apod_timeout_s: float = Field(60, gt=0)
    apod_hourly_quota: int = Field(25, ge=1, description="DEMO_KEY has 30 an hour")
    apod_daily_quota: int = Field(45, ge=1, description="DEMO_KEY has 50 a day")
    apod_page_size: int = Field(30, ge=1, le=100, description="days listed at once")

    mast_url: str = "https://mast.stsci.edu"
    mast_per_second: float = Field(0.5, gt=0, le=5)
    mast_timeout_s: float = Field(240, gt=0, description="a TESS cutout is made while one waits")
    mast_daily_quota: int = Field(1000, ge=1)
    mast_page_size: int = Field(50, ge=1, le=1000)

    skyview_url: str = "https://skyview.gsfc.nasa.gov"
    skyview_per_second: float = Field(0.5, gt=0, le=5)
    skyview_timeout_s: float = Field(180, gt=0)
    skyview_daily_quota: int = Field(1000, ge=1)
    skyview_page_size: int = Field(50, ge=1, le=1000)

    max_download_bytes: int = Field(64 * 2**20, ge=1, description="largest answer of a service")
    fetch_attempts: int = Field(
        5, ge=1, description="cycles in which an item that cannot be fetched is tried again"
    )
    near_duplicate_bits: int = Field(
        3, ge=-1, le=16, description="bits of the perceptual hash that may differ; -1 keeps all"
    )
    near_duplicate_correlation: float = Field(0.995, gt=0, le=1)
    disk_budget_bytes: int | None = Field(
        None, ge=0, description="bytes of stored files above which pixels of normals are given up"
    )
