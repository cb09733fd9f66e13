"""Settings of the catalogues that the cross-match asks."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings


class CatalogueSettings(BaseSettings):
    """Which catalogues are asked, where, how patiently, and about what."""

    simbad_url: str = "https://simbad.cds.unistra.fr/simbad/sim-tap"
    ned_url: str = "https://ned.ipac.caltech.edu/cgi-bin/objsearch"
    vizier_url: str = "https://vizier.cds.unistra.fr"
    skybot_url: str = "https://ssp.imcce.fr/webservices/skybot/api/conesearch.php"
    catalogue_services: tuple[str, ...] = Field(
        ("simbad", "ned", "vizier", "skybot"),
        description="services whose word it takes to call an object unknown",
    )
    vizier_catalogues: tuple[str, ...] = Field(
        ("V/147/sdss12", "V/154/sdss16", "I/355/gaiadr3"), description="VizieR tables to ask"
    )
    catalogue_timeout_s: float = Field(20, gt=0, description="for one question with its retries")
    catalogue_radius_arcsec: float = Field(
        2.0, gt=0, le=900, description="least search radius; more where WCS or PSF are worse"
    )
    catalogue_batch: int = Field(
        50, ge=1, le=1000, description="places in one question to a service that takes uploads"
    )
    catalogue_age_s: float = Field(
        7 * 86400, ge=0, description="answers up to this age are used again for the same place"
    )
    catalogue_ask_every_s: float = Field(
        900, ge=0, description="how often what is not determined is asked again; 0 = never"
    )
    catalogue_verdicts: tuple[str, ...] = Field(
        ("candidate",), description="verdicts asked about without being told to"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_table_of_old(cls, values: Any) -> Any:
        """Settings of 0.1 named a single table `vizier_catalogue`."""
        if isinstance(values, dict) and "vizier_catalogue" in values:
            values = dict(values)
            table = values.pop("vizier_catalogue")
            values.setdefault("vizier_catalogues", (table,))
        return values
