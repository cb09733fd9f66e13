"""`skysieve clean`: every chip of a file cleaned, with mask, probability and uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from engine.cosmicrays.choices import DEFAULT_FILL, FillName, Precision, fitting_views
from jobs.cli.output import AsJson, report
from jobs.errors import UsageError

if TYPE_CHECKING:
    from engine.cosmicrays.baselines import Detect
    from engine.cosmicrays.chips import Chip
    from engine.cosmicrays.cleaning import ChipSummary, Prepare

Method = Literal["vi", "unet", "stis", "ensemble", "deepcr", "lacosmic"]


@dataclass(frozen=True)
class CleanChoices:
    """What the options of `clean` say, apart from the files."""

    method: Method
    samples: int
    views: int
    threshold: float
    miss_rate: float | None
    fill: FillName
    precision: Precision
    model: str
    seed: int


def clean(
    file: Annotated[Path, typer.Argument(help="FITS file; every chip in it is cleaned.")],
    out: Annotated[Path, typer.Option(help="FITS file to write.")],
    method: Annotated[Method, typer.Option(help="deepcr needs the package deepCR.")] = "unet",
    samples: Annotated[int, typer.Option(min=1, help="Weight samples of the method vi.")] = 16,
    views: Annotated[
        int | None,
        typer.Option(help="1, or 8: the mean over all flips and turns; 8 for one net, else 1."),
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0.0, max=0.999999, help="Probability above which to mask.")
    ] = 0.5,
    miss_rate: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Instead of a threshold: share of a hit's pixels to miss."
        ),
    ] = None,
    fill: Annotated[FillName, typer.Option(help="What replaces masked pixels.")] = DEFAULT_FILL,
    precision: Annotated[Precision, typer.Option(help="Of the convolutions.")] = "float32",
    model: Annotated[
        str, typer.Option(help="Mask model of the method deepcr: its name, or a .pth file.")
    ] = "ACS-WFC",
    bad_flags: Annotated[
        int | None, typer.Option(min=0, help="DQ bits of unusable pixels, summed.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the weight samples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Find and remove cosmic rays: writes SCI, MASK, PROB, ENTROPY, MI and DQ for every chip."""
    from engine.cosmicrays.chips import open_chips

    if out.resolve() == file.resolve():
        raise UsageError(f"{out} is the input itself: choose another --out")
    choices = CleanChoices(
        method,
        samples,
        views or fitting_views(method),
        threshold,
        miss_rate,
        fill,
        precision,
        model,
        seed,
    )
    prepare, digest = _prepared(choices)
    out.parent.mkdir(parents=True, exist_ok=True)
    with open_chips(file, bad_flags=bad_flags) as opened:
        cleaned, skipped = _clean_chips(opened.chips, prepare, out, _cards(choices, digest), file)
    report({**_facts(cleaned), "skipped": skipped, "out": str(out)}, as_json=as_json)


def _clean_chips(
    chips: tuple[Chip, ...],
    prepare: Prepare,
    out: Path,
    cards: Mapping[str, str | int | float],
    file: Path,
) -> tuple[list[ChipSummary], dict[str, str]]:
    """Clean all chips into one file, and name those that cannot be."""
    from engine.cosmicrays.cleaning import clean_chip
    from engine.cosmicrays.products import products_file
    from engine.errors import NotApplicable

    cleaned: list[ChipSummary] = []
    skipped: dict[str, str] = {}
    with products_file(out) as products:
        products.write_primary(chips[0].first_header if chips else "", cards)
        for chip in chips:
            try:
                cleaned.append(clean_chip(chip, prepare, partial(products.chip, chip)))
            except NotApplicable as error:
                skipped[chip.part] = str(error)
        if not cleaned:
            raise UsageError(f"nothing in {file} can be cleaned: {'; '.join(skipped.values())}")
    return cleaned, skipped


def _prepared(choices: CleanChoices) -> tuple[Prepare, str]:
    """The chosen method, ready to measure a chip, and the digest or name of what it runs."""
    if choices.method == "lacosmic":
        return _prepare_lacosmic(choices), "astroscrappy"
    if choices.method == "deepcr":
        return _prepare_deepcr(choices), f"deepCR {choices.model}"
    from engine.cosmicrays.cleaning import prepare_networks
    from engine.cosmicrays.pipeline import CosmicRayPipeline
    from engine.cosmicrays.policy import CosmicRayPolicy

    try:
        policy = CosmicRayPolicy(
            method=choices.method,
            samples=choices.samples,
            threshold=choices.threshold,
            seed=choices.seed,
            views=choices.views,
            precision=choices.precision,
            fill=choices.fill,
            miss_rate=choices.miss_rate,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    pipeline = CosmicRayPipeline(policy)
    return prepare_networks(pipeline), pipeline.model_digest


def _prepare_lacosmic(choices: CleanChoices) -> Prepare:
    from engine.cosmicrays.baselines import gain_of, lacosmic_on
    from engine.cosmicrays.lacosmic import read_noise_of
    from engine.cosmicrays.scaling import NoiseScale

    def prepare(chip: Chip) -> Detect:
        gain, scale = gain_of(chip.unit, chip.origin), chip.scale()
        in_electrons = NoiseScale(scale.median * gain, scale.sigma * gain)
        return lacosmic_on(gain, read_noise_of(chip.origin, in_electrons), choices.fill)

    return prepare


def _prepare_deepcr(choices: CleanChoices) -> Prepare:
    from engine.cosmicrays.baselines import deepcr_on, gain_of
    from engine.cosmicrays.deepcr import find_deepcr, load_deepcr

    net = load_deepcr(find_deepcr(choices.model))
    return lambda chip: deepcr_on(
        net, gain_of(chip.unit, chip.origin), choices.threshold, choices.fill
    )


def _cards(choices: CleanChoices, digest: str) -> dict[str, str | int | float]:
    """What the primary header says of the run."""
    cards: dict[str, str | int | float] = {
        "CRMETHOD": choices.method,
        "CRMODEL": digest[:64],
        "CRSEED": choices.seed,
        "CRVIEWS": choices.views,
        "CRFILL": choices.fill,
        "CRPREC": choices.precision,
    }
    if choices.miss_rate is not None:
        cards["CRMISS"] = choices.miss_rate
    return cards


def _facts(cleaned: list[ChipSummary]) -> dict[str, Any]:
    masked = sum(chip.masked for chip in cleaned)
    return {
        "chips": len(cleaned),
        "method": cleaned[0].method,
        "samples": cleaned[0].samples,
        "threshold": cleaned[0].threshold,
        "masked_pixels": masked,
        "masked_share": masked / sum(chip.pixels for chip in cleaned),
    }
