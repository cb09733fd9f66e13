"""`skysieve crossmatch`: what the catalogues know about a place on the sky."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.cli.output import AsJson, report

if TYPE_CHECKING:
    from jobs.catalogues import CatalogueAnswer


KEPT = ("asked_at", "cone_id")
"""What only an answer of the store has."""


def crossmatch(
    ra: Annotated[float, typer.Option(help="Right ascension, degrees (ICRS).")],
    dec: Annotated[float, typer.Option(help="Declination, degrees (ICRS).")],
    radius: Annotated[
        float | None, typer.Option(help="Radius, arcsec; the setting where not given.")
    ] = None,
    mjd: Annotated[
        float | None, typer.Option(help="Date of observation (MJD, UTC), to ask what moved there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the catalogues what is known at a place; exit 1 if that was not determined.

    Without a date only what stands still is asked about, and the solar system is left out.
    """
    from jobs.catalogues import catalogues, cross_match, known_state
    from jobs.settings import load_settings

    settings = load_settings()
    radius_arcsec = settings.catalogue_radius_arcsec if radius is None else radius
    answers = cross_match(catalogues(settings), ra, dec, radius_arcsec, mjd)
    state = known_state(answers)
    if as_json:
        report(_document(answers, state, ra, dec, radius_arcsec), as_json=True)
    else:
        lines = {answer.service: _line(answer) for answer in answers}
        report({**lines, "overall": state.replace("_", " ")}, as_json=False)
    if state == "not_determined":
        failed = "; ".join(
            f"{answer.service}: {answer.reason}"
            for answer in answers
            if answer.state == "not_determined"
        )
        print(f"not determined, because of {failed}. Ask again later", file=sys.stderr)
        raise typer.Exit(1)


def _line(answer: CatalogueAnswer) -> str:
    nearest = answer.nearest
    if nearest is None:
        return answer.state.replace("_", " ") + (f" ({answer.reason})" if answer.reason else "")
    kind = f" ({nearest.object_type})" if nearest.object_type else ""
    more = f", {len(answer.matches) - 1} more" if len(answer.matches) > 1 else ""
    limit = f"; {answer.reason}" if answer.reason else ""
    by_chance = "" if answer.chance is None else f", by chance with {answer.chance:.2g}"
    return (
        f"match: {nearest.object_name}{kind} at {nearest.separation_arcsec:.2f} arcsec{more}"
        f"{by_chance}{limit}"
    )


def _document(
    answers: tuple[CatalogueAnswer, ...], state: str, ra: float, dec: float, radius: float
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "ra_deg": ra,
        "dec_deg": dec,
        "radius_arcsec": radius,
        "state": state,
        "answers": [
            {name: value for name, value in asdict(answer).items() if name not in KEPT}
            | {"chance": answer.chance}
            for answer in answers
        ],
    }
