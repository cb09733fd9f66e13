"""`skysieve downlink`: plan a pass over many frames, write it in order, and read what arrived."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from jobs.cli.oddities import Oddities
from jobs.cli.output import AsJson, progress, report
from jobs.errors import UsageError

if TYPE_CHECKING:
    from engine.codec.downlink import Link, Pass
    from engine.codec.progressive import ProgressiveFrame
    from engine.codec.worth import Region
    from engine.frame import Frame, Pixels

STREAM, PLAN = "pass.stream", "plan.json"
MOST_REQUESTS = 50

Source = Annotated[
    str, typer.Option(help="Where the images come from: picks the reference of --anomalies.")
]


def downlink(
    files: Annotated[list[Path], typer.Argument(help="Images to send: FITS, PNG, TIFF, JPEG.")],
    out: Annotated[Path, typer.Option(help=f"Folder for {STREAM} and {PLAN}.")],
    budget: Annotated[int | None, typer.Option(min=0, help="Bytes that the pass carries.")] = None,
    rate_mbps: Annotated[float | None, typer.Option(help="Rate of the link in Mbit/s.")] = None,
    pass_s: Annotated[float | None, typer.Option(help="Length of the pass in seconds.")] = None,
    light_time_s: Annotated[float, typer.Option(min=0, help="Light time in seconds.")] = 0.0,
    bpp: Annotated[float, typer.Option(help="Rate of everything, in bits per pixel.")] = 1.0,
    base_bpp: Annotated[float, typer.Option(help="Rate of the base, in bits per pixel.")] = 0.05,
    side: Annotated[int, typer.Option(help="Side of a refined part: 32, 64, 128, 256.")] = 64,
    roi: Annotated[
        list[str] | None,
        typer.Option(help="NAME:Y0:X0:HEIGHT:WIDTH:VALUE, a region worth VALUE; repeatable."),
    ] = None,
    worth: Annotated[
        list[str] | None, typer.Option(help="NAME:VALUE for a whole frame; repeatable.")
    ] = None,
    anomalies: Annotated[
        bool, typer.Option("--anomalies", help="Odd cutouts go first and whole, by 1 / p.")
    ] = False,
    source: Source = "file",
    order: Annotated[
        Literal["priority", "raster"], typer.Option(help="Raster is there to compare with.")
    ] = "priority",
    as_json: AsJson = False,
) -> None:
    """Order the packets of many frames by what they are worth, and write what a pass carries."""
    from engine.codec.downlink import plan, timetable
    from engine.writing import write_whole

    link = _link(rate_mbps, light_time_s)
    limit = _budget(budget, link, pass_s)
    regions, whole = _regions(roi or []), _worths(worth or [])
    oddities = Oddities(source) if anomalies else None
    frames = _in_pieces(files, source, (bpp, base_bpp, side), (regions, whole), oddities)
    planned = plan(frames, budget=limit, order=order)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / STREAM, planned.stream())
    arrived = [asdict(row) for row in timetable(planned, frames, link)]
    facts = {
        "frames": list(planned.frames),
        "order": order,
        "budget": limit,
        "bytes": planned.sent_bytes,
        "bytes_of_everything": planned.total_bytes,
        "records_left": len(planned.unsent),
        "arrived": arrived,
        "left_behind": _left_behind(planned),
    }
    write_whole(out / PLAN, (json.dumps(facts, indent=2) + "\n").encode())
    report(facts if as_json else _readable(facts), as_json=as_json)


def receive(
    stream: Annotated[Path, typer.Argument(help="What came over the link, cut or damaged.")],
    out: Annotated[Path, typer.Option(help="Folder for one .cosmic file a frame.")],
    requests: Annotated[int, typer.Option(min=0, help="Parts to ask for again, at most.")] = 20,
    side: Annotated[int, typer.Option(help="Side of a part, in pixels.")] = 64,
    roi: Annotated[
        list[str] | None, typer.Option(help="NAME:Y0:X0:HEIGHT:WIDTH:VALUE, as when sending.")
    ] = None,
    anomalies: Annotated[
        bool, typer.Option("--anomalies", help="Look for anomalies in what arrived refined.")
    ] = False,
    source: Source = "file",
    as_json: AsJson = False,
) -> None:
    """Sort what arrived into .cosmic files, and list what to ask for again."""
    from engine.codec.decoding import decode
    from engine.codec.downlink import received
    from engine.codec.model import CodecModel
    from engine.codec.requesting import requests_of
    from engine.codec.worth import value_map
    from engine.errors import BitstreamError
    from engine.writing import write_whole

    files = received(_read(stream))
    if not files:
        raise UsageError(f"no frame begins in {stream}: it is no pass, or its heads are lost")
    regions = _regions(roi or [])
    oddities = Oddities(source) if anomalies else None
    out.mkdir(parents=True, exist_ok=True)
    rows, wanted = [], []
    for number, (name, content) in sorted(files.items()):
        path = out / f"{number:04d}-{_plain(name)}.cosmic"
        write_whole(path, content)
        row: dict[str, Any] = {"file": str(path), "frame": name, "bytes": len(content)}
        try:
            decoded = decode(content, CodecModel.load())
        except BitstreamError as error:
            rows.append({**row, "decodes": False, "reason": str(error)})
            continue
        value = value_map(decoded.valid.shape, regions.get(name, []))
        wanted += [{"frame": name, **asdict(r)} for r in requests_of(decoded, value, side=side)]
        finer = float(decoded.refined.mean()) if decoded.refined is not None else 0.0
        row |= {"decodes": True, "lost_tiles": list(decoded.lost_tiles), "refined_share": finer}
        rows.append(row | (oddities.found(decoded, name) if oddities else {}))
    wanted.sort(key=lambda request: -request["worth"])
    for request in wanted:  # JSON knows no infinity; a lost part comes first anyway
        request["worth"] = request["worth"] if request["reason"] != "lost" else None
    facts = {"frames": rows, "requests": wanted[:requests], "out": str(out)}
    report(facts if as_json else _received_lines(facts), as_json=as_json)


def _in_pieces(
    files: Sequence[Path],
    source: str,
    rates: tuple[float, float, int],
    values: tuple[dict[str, list[Region]], dict[str, float]],
    oddities: Oddities | None,
) -> list[ProgressiveFrame]:
    from engine.codec.model import CodecModel
    from engine.codec.progressive import in_pieces
    from engine.reading import read_frames

    model = CodecModel.load()
    bpp, base_bpp, side = rates
    frames = [frame for file in files for frame in read_frames(file, source=source).frames]
    names = {_name(frame) for frame in frames}
    if unknown := (set(values[0]) | set(values[1])) - names:
        raise UsageError(f"no frame is called {sorted(unknown)}: there are {sorted(names)}")
    pieces = []
    for frame in frames:
        name = _name(frame)
        progress(f"coding {name}")
        odd, first = oddities.worth_sending(frame) if oddities else ((), ())
        value = _value(frame, [*values[0].get(name, []), *odd], values[1].get(name))
        try:
            pieces.append(
                in_pieces(
                    frame,
                    model,
                    value=value,
                    first=first,
                    base_bpp=base_bpp,
                    full_bpp=bpp,
                    side=side,
                    name=name,
                )
            )
        except ValueError as error:
            raise UsageError(str(error)) from error
    return pieces


def _value(frame: Frame, regions: Sequence[Region], whole: float | None) -> Pixels:
    from engine.codec.worth import value_map

    return value_map(frame.mask.shape, regions, 1.0 if whole is None else whole)


def _name(frame: Frame) -> str:
    part = frame.origin.part.replace("/", "_")
    return f"{frame.origin.object_id}.{part}" if part else frame.origin.object_id


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:80]


def _link(rate_mbps: float | None, light_time_s: float) -> Link | None:
    from engine.codec.downlink import Link

    if rate_mbps is None:
        return None
    try:
        return Link(rate_mbps * 1e6, light_time_s)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _budget(budget: int | None, link: Link | None, pass_s: float | None) -> int | None:
    if budget is not None and pass_s is not None:
        raise UsageError("give --budget, or --rate-mbps with --pass-s, not both")
    if pass_s is not None:
        if link is None or pass_s <= 0:
            raise UsageError("--pass-s needs a --rate-mbps and a length above 0")
        return link.budget(pass_s)
    if budget is None:
        raise UsageError("say what the pass carries: --budget BYTES, or --rate-mbps and --pass-s")
    return budget


def _regions(texts: Sequence[str]) -> dict[str, list[Region]]:
    from engine.codec.worth import Region

    found: dict[str, list[Region]] = {}
    for text in texts:
        try:
            name, y0, x0, height, width, value = text.rsplit(":", 5)
            region = Region(int(y0), int(x0), int(height), int(width), float(value))
        except ValueError as error:
            raise UsageError(
                f"a region is NAME:Y0:X0:HEIGHT:WIDTH:VALUE, got {text!r} ({error})"
            ) from error
        found.setdefault(name, []).append(region)
    return found


def _worths(texts: Sequence[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        name, _, value = text.rpartition(":")
        try:
            found[name] = float(value)
        except ValueError as error:
            raise UsageError(f"a frame's worth is NAME:VALUE, got {text!r}") from error
    return found


def _left_behind(planned: Pass) -> list[dict[str, Any]]:
    """The most valuable parts that the pass does not carry: the first to send next time."""
    return [
        {
            "frame": planned.frames[item.frame],
            "y0": item.piece.rows.start,
            "x0": item.piece.columns.start,
            "height": item.piece.rows.stop - item.piece.rows.start,
            "width": item.piece.columns.stop - item.piece.columns.start,
            "layer": item.piece.layer,
            "bytes": item.end - item.begin,
            "saved": item.piece.saved,
        }
        for item in planned.unsent
        if item.piece is not None
    ][:MOST_REQUESTS]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): check its name") from error


def _readable(facts: dict[str, Any]) -> dict[str, Any]:
    lines: dict[str, Any] = {
        "frames": len(facts["frames"]),
        "bytes": f"{facts['bytes']} of {facts['bytes_of_everything']}",
        "records left behind": facts["records_left"],
    }
    for row in facts["arrived"]:
        when = "" if row["seconds"] is None else f" after {row['seconds']:.1f} s"
        lines[f"{100 * row['share']:.0f} % of the bytes{when}"] = (
            f"{row['frames']} frames, {row['base_tiles']} base tiles, {row['refined']} refined, "
            f"{100 * row['gain']:.1f} % of the gain, error {row['rmse_255']:.2f} / 255"
        )
    return lines


def _received_lines(facts: dict[str, Any]) -> dict[str, Any]:
    lines = {
        row["frame"]: f"{row['bytes']} bytes"
        + (f", {100 * row['refined_share']:.0f} % refined" if row["decodes"] else ", not yet")
        + (f", {len(row['anomalies'])} anomalies" if "anomalies" in row else "")
        for row in facts["frames"]
    }
    for number, row in enumerate(facts["requests"], start=1):
        lines[f"request {number}"] = (
            f"{row['frame']} rows {row['y0']}+{row['height']} columns {row['x0']}+{row['width']} "
            f"({row['reason']})"
        )
    return {**lines, "out": facts["out"]}
