"""`skysieve bench ...`: measure side by side in one run, and write the figures down."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.cli.output import AsJson, report

app = typer.Typer(no_args_is_help=True, help="Measure; every published number comes from here.")

Out = Annotated[Path, typer.Option("--out", help="Where the JSON goes.")]
Seed = Annotated[int, typer.Option(min=0)]


def _finish(figures: Any, out: Path, as_json: bool) -> None:
    facts = figures if as_json and isinstance(figures, dict) else {}
    report({**facts, "written": str(out)}, as_json=as_json)


def _with_data(bench: Callable[..., Any], out: Path, seed: int, as_json: bool) -> None:
    from jobs.settings import load_settings

    data = load_settings().data
    _finish(bench(out, data=data, seed=seed, now=datetime.now(UTC)), out, as_json)


@app.command("codec")
def codec(
    out: Out = Path("docs/results/codec.json"),
    seed: Seed = 0,
    sections: Annotated[
        str, typer.Option(help="Which parts, joined by commas; all but folds where not given.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Rate, quality and uncertainty beside classic codecs on the held-out images."""
    from functools import partial

    from jobs.bench.codec import LONG_SECTIONS, SECTIONS, bench_codec
    from jobs.errors import UsageError

    chosen = tuple(part for part in sections.split(",") if part) or SECTIONS
    known = (*SECTIONS, *LONG_SECTIONS)
    if unknown := set(chosen) - set(known):
        raise UsageError(f"no section {sorted(unknown)}: choose from {', '.join(known)}")
    _with_data(partial(bench_codec, sections=chosen), out, seed, as_json)


@app.command("cosmicrays")
def cosmicrays(
    out: Out = Path("docs/results/cosmicrays.json"), seed: Seed = 0, as_json: AsJson = False
) -> None:
    """Detection and calibration beside L.A.Cosmic and deepCR on the held-out frames."""
    from jobs.bench.cosmicrays import bench_cosmicrays

    _with_data(bench_cosmicrays, out, seed, as_json)


@app.command("cosmicrays-speed")
def cosmicrays_speed(
    out: Out = Path("docs/results/cosmicrays-speed.json"),
    seed: Seed = 0,
    side: Annotated[int, typer.Option(min=64, help="Side of the frame, in pixels.")] = 4096,
    threads: Annotated[int, typer.Option(min=1, help="Threads of every detector.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Time and memory beside deepCR and L.A.Cosmic, each in a process of its own."""
    from jobs.bench.cosmicrays_speed import bench_cosmicrays_speed

    now = datetime.now(UTC)
    _finish(bench_cosmicrays_speed(out, seed, now, side=side, threads=threads), out, as_json)


@app.command("anomaly")
def anomaly(
    out: Out = Path("docs/results/anomaly.json"),
    seed: Seed = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps embeddings from one run to the next.")
    ] = None,
    sections: Annotated[
        str, typer.Option(help="Which parts, joined by commas; all where not given.")
    ] = "",
    eight_views: Annotated[
        bool, typer.Option("--eight-views", help="Embed the mean of all turned and mirrored views.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ranking, kept rates, learning from labels, probes and speed on held-out images."""
    from jobs.bench.anomaly import SECTIONS, bench_anomaly
    from jobs.cli.output import progress
    from jobs.errors import UsageError
    from jobs.settings import load_settings

    chosen = tuple(part for part in sections.split(",") if part) or SECTIONS
    if unknown := set(chosen) - set(SECTIONS):
        raise UsageError(f"no section {sorted(unknown)}: choose from {', '.join(SECTIONS)}")
    figures = bench_anomaly(
        out,
        data=load_settings().data,
        seed=seed,
        now=datetime.now(UTC),
        cache=cache,
        sections=chosen,
        eight_views=eight_views,
        say=progress,
    )
    _finish(figures, out, as_json)


@app.command("scan")
def scan(
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the JSON goes (docs/results/...).")
    ] = None,
    seed: Seed = 0,
    soak: Annotated[
        bool, typer.Option("--soak", help="Kill owners over one store instead, for many cycles.")
    ] = False,
    cycles: Annotated[int, typer.Option(min=1, help="Cycles of a soak.")] = 300,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Finish a soak after so long, whatever it has.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Frames per second of a whole cycle by stage; with --soak, whether anything is ever lost."""
    from jobs.bench.scan import bench_scan
    from jobs.bench.soak import bench_soak
    from jobs.cli.output import progress

    now = datetime.now(UTC)
    where = out or Path("docs/results") / ("soak.json" if soak else "scan.json")
    if not soak:
        _finish(bench_scan(where, seed=seed, now=now), where, as_json)
        return
    figures = bench_soak(
        where, seed=seed, now=now, cycles=cycles, minutes=minutes, say=progress
    )  # fmt: skip
    _finish(figures, where, as_json)
    if figures["faults"]:
        raise typer.Exit(1)


@app.command("store")
def store(
    out: Out = Path("docs/results/store.json"), seed: Seed = 0, as_json: AsJson = False
) -> None:
    """Writes per second, page queries, and what a kill -9 loses."""
    from jobs.bench.store import bench_store

    _finish(bench_store(out, seed=seed, now=datetime.now(UTC)), out, as_json)


@app.command("dashboard")
def dashboard(
    out: Out = Path("docs/results/dashboard.json"), seed: Seed = 0, as_json: AsJson = False
) -> None:
    """How fast pages come, in headless Chromium."""
    from jobs.bench.dashboard import bench_dashboard

    _finish(bench_dashboard(out, seed=seed, now=datetime.now(UTC)), out, as_json)


@app.command("artefacts")
def artefacts(
    out: Out = Path("docs/results/artefacts.json"),
    seed: Seed = 0,
    frames: Annotated[int, typer.Option(min=1, help="Simulated frames.")] = 130,
    as_json: AsJson = False,
) -> None:
    """Artefacts among the top 100 with and without what is known of them, anomalies lost for it."""
    from jobs.bench.artefacts import bench_artefacts

    _finish(bench_artefacts(out, seed=seed, frames=frames, now=datetime.now(UTC)), out, as_json)


@app.command("search")
def search(
    out: Out = Path("docs/results/search.json"),
    seed: Seed = 0,
    vectors: Annotated[int, typer.Option(min=100, help="Stored search vectors.")] = 100_000,
    as_json: AsJson = False,
) -> None:
    """How fast similar detections are found among many."""
    from jobs.bench.search import bench_search

    _finish(bench_search(out, seed=seed, vectors=vectors, now=datetime.now(UTC)), out, as_json)
