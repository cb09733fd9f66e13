"""`skysieve compress`, `skysieve decompress` and `skysieve train codec`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.cli.options import Resume, WeightsFolder
from jobs.cli.output import AsJson, progress, report
from jobs.errors import UsageError

if TYPE_CHECKING:
    from engine.cards import ModelCard
    from engine.codec.decoding import Decoded
    from engine.codec.errormaps import ErrorMap
    from engine.codec.model import CodecModel
    from engine.codec.rate import RateTarget
    from engine.codec.training import Progress
    from engine.frame import Frame, Mask

SUFFIX = ".cosmic"
HELD_OUT_FRAMES = 6


def compress(
    files: Annotated[list[Path], typer.Argument(help="Images: FITS, PNG, TIFF or JPEG.")],
    out: Annotated[Path, typer.Option(help="Folder for the .cosmic files.")],
    bpp: Annotated[float | None, typer.Option(help="Bits per pixel and plane, at most.")] = None,
    bytes_: Annotated[int | None, typer.Option("--bytes", help="Bytes a frame, at most.")] = None,
    psnr: Annotated[float | None, typer.Option(help="PSNR in dB, at least.")] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="Lose nothing.")] = False,
    near: Annotated[int | None, typer.Option(help="Largest error of an integer sample.")] = None,
    protect_hits: Annotated[
        bool,
        typer.Option(
            "--protect-hits",
            help="Code the image without its cosmic rays, and their samples exactly beside it.",
        ),
    ] = False,
    stream: Annotated[
        bool,
        typer.Option("--stream", help="Read a large .fits or .npy image by rows, as needed."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compress images, one .cosmic file for each frame in them; 0.5 bpp unless told otherwise."""
    from engine.codec.encoding import encode
    from engine.writing import write_whole

    target = _target(bpp, bytes_, psnr, near, lossless)
    model = _model() if target.largest_error is None else None
    out.mkdir(parents=True, exist_ok=True)
    written: list[dict[str, Any]] = []
    if stream:
        from jobs.cli.codec_stream import compress_by_rows

        if target.largest_error is not None or psnr is not None or protect_hits:
            raise UsageError("--stream goes with --bpp or --bytes alone")
        written = [compress_by_rows(file, out, bpp, bytes_) for file in files]
        report({"frames": len(written), "files": written, "out": str(out)}, as_json=as_json)
        return
    for frame, path in _frames_with_names(files, out):
        progress(f"compressing {frame.origin.uri} {frame.origin.part}".rstrip())
        hits = _hits_of(frame) if protect_hits and model is not None else None
        write_whole(path, encode(frame, target, model, hits=hits))
        row = _sizes(frame, path)
        written.append(row if hits is None else {**row, "hit_pixels": int(hits.sum())})
    pixels = sum(row["samples"] for row in written)
    total = sum(row["bytes"] for row in written)
    facts = {"frames": len(written), "bytes": total, "bpp": 8 * total / pixels, "out": str(out)}
    report(
        {**facts, "files": written} if as_json else {**facts, **_lines(written)}, as_json=as_json
    )


def decompress(
    file: Annotated[Path, typer.Argument(help="A .cosmic file.")],
    out: Annotated[Path, typer.Option(help="The .png or .fits file to write.")],
    uncertainty: Annotated[
        Path | None,
        typer.Option(help="FITS file for PREDICTED, DROPOUT, EXPECTED and BOUND90 error maps."),
    ] = None,
    safe_map: Annotated[
        Path | None, typer.Option(help="FITS file of where the 90 % error bound is small enough.")
    ] = None,
    error_below: Annotated[
        float | None, typer.Option(help="The bound of --safe-map, in the image's unit.")
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Write a large .fits or .npy image by rows.")
    ] = False,
    samples: Annotated[int, typer.Option(min=2, help="Dropout passes of the map.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the dropout.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Decompress to PNG or FITS; tiles that were lost are reported and masked, not fatal."""
    from engine.codec.decoding import decode

    if stream:
        _decompress_by_rows(file, out, as_json=as_json)
        return
    if out.suffix not in (".png", ".fits"):
        raise UsageError(f"--out must end in .png or .fits, got {out.name}")
    data = _file_bytes(file)
    decoded = decode(data, _model() if _is_learned(data) else None)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".png":
        _write_png(out, decoded)
    else:
        _write_fits(out, decoded)
    if uncertainty is not None:
        _write_uncertainty(uncertainty, decoded, samples, seed)
    safe = _write_safe_map(safe_map, decoded, error_below, seed)
    report(
        {
            "shape": decoded.pixels.shape,
            "sample_type": decoded.sample_type,
            "bytes": len(data),
            "bpp": 8 * len(data) / decoded.pixels.size,
            "tiles": decoded.header.tiles,
            "lost_tiles": list(decoded.lost_tiles),
            "valid_share": float(decoded.valid.mean()),
            "mask_lost": decoded.mask_lost,
            "hits_lost": decoded.hits_lost,
            **safe,
            "fits_cards": _cards_kept(decoded),
            "out": str(out),
        },
        as_json=as_json,
    )


def _decompress_by_rows(file: Path, out: Path, *, as_json: bool) -> None:
    from jobs.cli.codec_stream import decompress_by_rows

    if out.suffix not in (".npy", ".fits"):
        raise UsageError(f"with --stream, --out must end in .npy or .fits, got {out.name}")
    out.parent.mkdir(parents=True, exist_ok=True)
    found = decompress_by_rows(file, out)
    report(
        {
            "shape": (found.header.height, found.header.width),
            "sample_type": found.header.sample_type,
            "bytes": found.bytes,
            "lost_tiles": list(found.lost_tiles),
            "out": str(out),
        },
        as_json=as_json,
    )


def train_codec(
    steps: Annotated[int, typer.Option(min=1, help="Steps of the schedule.")] = 30_000,
    minutes: Annotated[
        float | None, typer.Option(help="End the schedule by the clock; not repeatable then.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of crops, start and noise.")] = 0,
    out: WeightsFolder = None,
    resume: Resume = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Fit the error maps of the weights that are there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train the codec on simulations and, where SKYSIEVE_DATA points, on real images."""
    import torch

    from engine.cards import WEIGHTS
    from engine.codec.corpus import held_out_frames, training_groups
    from engine.codec.publishing import TrainingFacts, publish
    from engine.codec.training import TrainingPlan, train
    from jobs.settings import load_settings

    torch.set_num_threads(1)
    folder, data = out or WEIGHTS, load_settings().data
    if calibrate:
        report(_calibrated(folder, data, seed), as_json=as_json)
        return
    groups = training_groups(data)
    plan = TrainingPlan(steps=steps, seed=seed, minutes=minutes)
    checkpoint = Path(".checkpoints") / "codec.pt"
    trained = train(
        groups, plan, clock=time.monotonic, checkpoint=checkpoint, resume=resume, report=_say
    )
    progress("measuring on the held-out images")
    by_clock = "" if minutes is None else f" --minutes {minutes:g}"
    facts = TrainingFacts(
        steps=trained.steps,
        seconds=trained.elapsed_s,
        seed=seed,
        command=f"skysieve train codec --steps {steps}{by_clock} --seed {seed}",
        trained_at=datetime.now(UTC),
    )
    publish(trained.network, facts, groups, held_out_frames(data, HELD_OUT_FRAMES), folder)
    progress("calibrating the error maps on other held-out images")
    _calibrated(folder, data, seed)
    progress("measuring beside the classic codecs")
    card = _with_curves(folder, data)
    report(
        {"weights": str(folder / "codec.safetensors"), "digest": card.digest, **card.metrics},
        as_json=as_json,
    )


def _calibrated(folder: Path, data: Path | None, seed: int) -> dict[str, Any]:
    """Fit the error maps of the weights in `folder`; write them and how they fare into the card."""
    from dataclasses import replace

    from engine.cards import read_card, write_card
    from engine.codec.calibrating import calibrate
    from engine.codec.model import CodecModel
    from jobs.bench.codec import measured_groups
    from jobs.bench.codec_science import uncertainty_figures

    card, model = read_card("codec", folder), CodecModel.load(folder)
    calibration = calibrate(model, data, seed).as_dict()
    card = replace(card, calibration=calibration)
    write_card(folder, card)
    held_out = uncertainty_figures(measured_groups(data), model, seed, folder)["mean_over_mars"]
    write_card(folder, replace(card, metrics={**card.metrics, "error_maps": held_out}))
    return {
        "card": str(folder / "codec.json"),
        "best": calibration["best"],
        **calibration,
        "held_out": held_out,
    }


def _with_curves(folder: Path, data: Path | None) -> ModelCard:
    """Measure the weights in `folder` beside the classic codecs and write it into their card."""
    from dataclasses import replace

    from engine.cards import read_card, write_card
    from engine.codec.model import CodecModel
    from jobs.bench.codec_rates import card_curves, curve_groups, rate_figures

    card = read_card("codec", folder)
    curves = card_curves(rate_figures(curve_groups(data), CodecModel.load(folder)))
    card = replace(card, metrics={**card.metrics, "rate_distortion": curves})
    write_card(folder, card)
    return card


def _say(now: Progress) -> None:
    progress(f"step {now.step}: loss {now.loss:.3f}, {now.bpp:.3f} bpp, rmse {now.rmse:.2f}")


def _target(
    bpp: float | None, bytes_: int | None, psnr: float | None, near: int | None, lossless: bool
) -> RateTarget:
    from engine.codec.rate import RateTarget

    if (bpp, bytes_, psnr, near) == (None,) * 4 and not lossless:
        bpp = 0.5
    try:
        return RateTarget(bpp=bpp, bytes=bytes_, psnr_db=psnr, near=near, lossless=lossless)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _model() -> CodecModel:
    from engine.codec.model import CodecModel

    return CodecModel.load()


def _frames_with_names(files: list[Path], out: Path) -> list[tuple[Frame, Path]]:
    """Every frame with the file it will become; two that would share a name are refused."""
    from engine.reading import read_frames

    named = []
    for file in files:
        frames = read_frames(file, source="file").frames
        for index, frame in enumerate(frames):
            part = frame.origin.part.replace("/", "_") or str(index)
            suffix = f".{part}{SUFFIX}" if len(frames) > 1 else SUFFIX
            named.append((frame, out / f"{frame.origin.object_id}{suffix}"))
    path, uses = Counter(path for _, path in named).most_common(1)[0]
    if uses > 1:
        raise UsageError(f"{uses} frames would be written to {path}: use separate --out folders")
    return named


def _hits_of(frame: Frame) -> Mask | None:
    """Pixels that the shipped detector calls hit; None where cosmic rays make no sense."""
    from engine.cosmicrays.pipeline import CosmicRayPipeline
    from engine.errors import NotApplicable
    from engine.policy import generator_for

    try:
        return CosmicRayPipeline().run(frame, generator_for(frame.digest, 0)).mask
    except NotApplicable as reason:
        progress(f"no hits to protect in {frame.origin.object_id}: {reason}")
        return None


def _sizes(frame: Frame, path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    bpp = 8 * size / frame.pixels.size
    return {
        "file": str(path),
        "samples": frame.pixels.size,
        "bytes": size,
        "bpp": bpp,
        "sample_bits": frame.sample_bits,
        "compression_ratio": frame.sample_bits / bpp,
    }


def _lines(written: list[dict[str, Any]]) -> dict[str, str]:
    return {
        Path(row["file"]).name: f"{row['bytes']} bytes, {row['bpp']:.4f} bpp, "
        f"{row['compression_ratio']:.1f}:1 from {row['sample_bits']} bits"
        for row in written
    }


def _file_bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}): check its name") from error


def _is_learned(data: bytes) -> bool:
    from engine.codec.container import Mode, read_header

    return read_header(data)[0].mode is Mode.LEARNED


def _write_png(out: Path, decoded: Decoded) -> None:
    from engine.writing import write_png

    if decoded.sample_type not in ("uint8", "uint16"):
        raise UsageError(f"PNG cannot hold {decoded.sample_type} samples: write to .fits")
    write_png(out, decoded.pixels, 8 if decoded.sample_type == "uint8" else 16)


def _write_fits(out: Path, decoded: Decoded) -> None:
    from engine.writing import write_fits

    images: dict[str, Any] = {"SCI": decoded.samples()}
    unusable = decoded.bad | ~decoded.valid
    if unusable.any():
        images["MASK"] = unusable
    write_fits(out, images, header=decoded.cards, cards=_unit_card(decoded))


def _cards_kept(decoded: Decoded) -> str:
    if not decoded.header.essential_cards:
        return "all"
    return "essential" if decoded.cards else "none: no room"


def _unit_card(decoded: Decoded) -> Mapping[str, str] | None:
    return {"BUNIT": decoded.unit} if decoded.unit else None


def _write_uncertainty(path: Path, decoded: Decoded, samples: int, seed: int) -> None:
    import numpy as np

    from engine.codec.uncertainty import dropout_deviation, predicted_rmse
    from engine.writing import write_fits

    images = {
        "PREDICTED": predicted_rmse(decoded),
        "DROPOUT": dropout_deviation(decoded, samples, np.random.default_rng(seed)),
    }
    cards: dict[str, str | int] = {"DROPSAMP": samples, "DROPSEED": seed}
    best = _best_map(decoded, seed)
    if best is not None:
        images |= {"EXPECTED": best.rmse, "BOUND90": best.half_width}
        cards["ERRORMAP"] = best.name
    write_fits(path, images, header=decoded.cards, cards=cards)


def _best_map(decoded: Decoded, seed: int) -> ErrorMap | None:
    """The calibrated default map, None where the weights carry no calibration."""
    import numpy as np

    from engine.cards import read_card
    from engine.codec.errormaps import ErrorCalibration, error_maps

    stored = read_card("codec").calibration
    if not stored:
        return None
    calibration = ErrorCalibration.from_dict(stored)
    rng = np.random.default_rng(seed)
    return error_maps(decoded, calibration, rng, [calibration.best])[calibration.best]


def _write_safe_map(
    path: Path | None, decoded: Decoded, error_below: float | None, seed: int
) -> dict[str, float]:
    """Write where the error bound is below a level; return the share of the image that is."""
    from engine.writing import write_fits

    if (path is None) != (error_below is None):
        raise UsageError("--safe-map FILE and --error-below X go together")
    if path is None or error_below is None:
        return {}
    if decoded.header.mode.name != "LEARNED":
        bounded = decoded.valid if decoded.header.near < error_below else decoded.valid & False
    else:
        best = _best_map(decoded, seed)
        if best is None:
            raise UsageError(
                "the codec's weights carry no error calibration, so no area can be called safe: "
                "run `skysieve train codec --calibrate`"
            )
        bounded = best.safe(error_below) & decoded.valid
    write_fits(path, {"SAFE": bounded}, header=decoded.cards, cards={"ERRBELOW": error_below})
    return {"safe_share": float(bounded.mean())}
