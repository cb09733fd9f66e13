"""How well anomalies are ranked, learned and named, and whether stated rates are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from engine.anomalies.embedders import DEFAULT_EMBEDDER, Embedder, make_embedder
from engine.anomalies.evaluation import evaluate
from engine.anomalies.fitting import Normals, fit_on_rows
from engine.anomalies.pipeline import DEFAULT_REFERENCE
from engine.anomalies.reference import Reference
from engine.anomalies.simulated import (
    cleaned_by,
    cleaned_by_truth,
    collect,
    held_out_frames,
    injected_frames,
    normals_of,
    reference_frames,
)
from engine.cards import WEIGHTS, read_card
from engine.cosmicrays.pipeline import CosmicRayPipeline
from jobs.bench.anomalies.embedding import embedded, identity, plain_figures
from jobs.bench.anomalies.learning import learning
from jobs.bench.anomalies.pictures import Picture, Task, datasets, tasks
from jobs.bench.anomalies.probes import probes
from jobs.bench.anomalies.ranking import Material, ranking
from jobs.bench.anomalies.rates import nights, realised_rates
from jobs.bench.anomalies.speed import speed
from jobs.bench.anomalies.tuning import tuned
from jobs.bench.result import write_result

SECTIONS = ("ranking", "rates", "learning", "probes", "tuning", "simulated", "speed")
SIMULATED_FRAMES = 30
RATE_FRAMES = 800
CALIBRATIONS = (200, 1000)
SIMULATED_CALIBRATION = 5000
RATE_EMBEDDER = "morphology"
EIGHT_VIEWS = "efficientnet_lite0:8+morphology+fitted-efficientnet_lite0:8+fitted-morphology"

NOTES = (
    "Sources (objects, or the image that crops come from) are dealt into seven parts, anomalies "
    "evenly: parts 0 and 1 choose the recipe (the members and the rule with the best mean ROC-AUC "
    "over all tasks, models and tests within these parts; one for sets of objects in their "
    "surroundings, one for scenes), parts 2 to 6 are the five test folds. "
    "A model of a test fold sees normals of the other parts and no anomaly; only the sets named "
    "odd_ fit the rest of their own pool, anomalies included unlabelled, which serves ranking and "
    "gives no p-values. A fifth of the fit sources calibrates. Class names of normals exist for "
    "first_bent alone (Compact, FRI, FRII), so class-head scores exist there alone. area_alone is "
    "the share of pixels a tenth of full scale above the median, in the direction that serves it "
    "best: a ranking that does not beat it has learned size. ztf_drb is reported without a target: "
    "its labels are another classifier's. Realised rates draw calibration and test anew 200 times "
    "from normals outside the fit; in_sample_rule takes the 95 % point of the fit rows. Learning "
    "pools are as large as the study's where the data here allow it, else smaller, and say so."
)


def bench_anomaly(
    out: Path,
    *,
    data: Path | None,
    seed: int,
    now: datetime,
    cache: Path | None = None,
    sections: Sequence[str] = SECTIONS,
    eight_views: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure `sections` on simulated nights and, with `data`, on real sets; write `out`.

    `cache` is a folder that keeps embeddings from one run to the next. Sections that are not
    measured now stay as they are in `out`; "runs" says when and how each was measured.
    """
    embedder = make_embedder(EIGHT_VIEWS if eight_views else DEFAULT_EMBEDDER)
    sets = datasets(data) if data is not None else {}
    needs_images = set(sections) & {"ranking", "rates", "learning", "probes"}
    material = {
        name: material_of(pictures, embedder, cache, lambda text, name=name: say(f"{name}: {text}"))  # type: ignore[misc]
        for name, pictures in (sets.items() if needs_images else ())
    }
    figures: dict[str, Any] = {"embedder": embedder.name}
    figures |= real_sections(sets, material, sections, seed, say)
    if "rates" in sections:
        say("rates: simulated normals")
        figures.setdefault("rates", {})["simulated"] = simulated_rates(seed)
    if "simulated" in sections:
        say("simulated nights")
        figures["simulated"] = simulated_figures(seed)
    if "speed" in sections:
        say("speed")
        figures["speed"] = speed(seed)
    digests = {name: content_digest(pictures) for name, pictures in sets.items()}
    digests |= {embedder.name: identity(embedder)}
    digests[DEFAULT_REFERENCE] = read_card(DEFAULT_REFERENCE).digest
    chosen = "" if set(sections) == set(SECTIONS) else f" --sections {','.join(sections)}"
    command = f"skysieve bench anomaly --seed {seed} --out {out}"
    command += " --eight-views" if eight_views else ""
    figures["runs"] = {
        name: {"date": now.isoformat(timespec="seconds"), "command": command + chosen}
        for name in sections
    }
    kept = kept_sections(out, sections)
    figures = kept | figures | {"runs": kept.get("runs", {}) | figures["runs"]}
    write_result(
        out,
        bench="anomaly",
        command=command if set(SECTIONS) <= set(figures) else command + chosen,
        seed=seed,
        now=now,
        digests=digests,
        figures=figures,
        notes=NOTES,
    )
    return figures


def kept_sections(out: Path, measured: Sequence[str]) -> dict[str, Any]:
    """Figures in `out` of sections that were not measured now, with the runs they come from."""
    try:
        figures = json.loads(out.read_text(encoding="utf-8"))["figures"]
    except (OSError, ValueError, KeyError):
        return {}
    others = [name for name in SECTIONS if name in figures and name not in measured]
    runs = {name: run for name, run in figures.get("runs", {}).items() if name in others}
    return {name: figures[name] for name in others} | ({"runs": runs} if runs else {})


def real_sections(
    sets: Mapping[str, Sequence[Picture]],
    material: dict[str, Material],
    sections: Sequence[str],
    seed: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """What is measured on real images."""
    made = {task.name: task for task in tasks({name: list(p) for name, p in sets.items()})}
    figures: dict[str, Any] = {}
    if "ranking" in sections and made:
        say("ranking")
        figures["ranking"] = ranking(list(made.values()), material)
    if "rates" in sections and made:
        say("rates: real sets")
        figures["rates"] = {
            name: real_rates(task, material[task.dataset], np.random.default_rng(seed))
            for name, task in made.items()
            if not task.is_pool and name != "ztf_drb"
        }
    if "learning" in sections and made:
        say("learning")
        figures["learning"] = learning(made, material, seed)
    if "probes" in sections and sets:
        say("probes")
        figures["probes"] = probes(sets, material, seed)
    if "tuning" in sections and sets:
        figures["tuning"] = tuned(sets, seed, say)
    return figures


def material_of(
    pictures: Sequence[Picture],
    embedder: Embedder,
    cache: Path | None,
    say: Callable[[str], None],
) -> Material:
    """Embeddings, plain pixels and labels of one set."""
    return Material(
        embedded(pictures, embedder, cache, say),
        plain_figures(pictures, cache, say),
        tuple(picture.label for picture in pictures),
        embedder.parts,
        embedder.name,
    )


def real_rates(task: Task, material: Material, rng: np.random.Generator) -> dict[str, Any]:
    """Realised rates of the combined score, by source image, fitted on a quarter of the sources."""
    keys = np.array(sorted(set(task.keys[~task.odd])))
    rng.shuffle(keys)
    fit_keys = set(keys[: max(8, len(keys) // 4)])
    known = np.array([key in fit_keys for key in task.keys]) & ~task.odd
    held = ~task.odd & ~known
    scores, fitted, odd = combined_scores(task, material, known, held)
    return {
        "fitted_on": int(known.sum()),
        **{f"calibration_{n}": realised_rates(scores, fitted, n, rng) for n in CALIBRATIONS},
        **{f"nights_calibration_{n}": nights(scores, odd, n, rng) for n in CALIBRATIONS},
    }


def combined_scores(
    task: Task, material: Material, known: np.ndarray, held: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The combined statistic of held-out normals, of fit rows and of anomalies.

    The combination's own percentiles come from a third of the known rows, so that all held-out
    rows are new to it.
    """
    rows = np.flatnonzero(known)
    third = np.arange(len(rows)) % 3 == 0
    normals = Normals(
        material.features[task.rows],
        [str(key) for key in task.keys],
        dict(material.parts),
        material.embedder,
        ("bench",),
        ("image",),
    )
    reference = fit_on_rows("bench", normals, rows[~third], rows[third])
    groups = (np.flatnonzero(held), rows[~third], np.flatnonzero(task.odd))
    held_out, fitted, odd = (reference.judge(normals.features[g]).statistic for g in groups)
    return held_out, fitted, odd


def simulated_rates(seed: int) -> dict[str, Any]:
    """Realised rates with 5,000 calibration images: sources of simulated frames, by morphology."""
    embedder = make_embedder(RATE_EMBEDDER)
    rng = np.random.default_rng(seed)
    normal = collect(reference_frames(RATE_FRAMES), embedder, clean=cleaned_by_truth)
    odd = collect(injected_frames(SIMULATED_FRAMES, 2000 + seed), embedder, clean=cleaned_by_truth)
    normals = normals_of(normal, embedder)
    order = rng.permutation(len(normals.features))
    reference = fit_on_rows("bench", normals, order[:600], order[600:800])
    held_out = reference.judge(normals.features[order[800:]]).statistic
    fitted = reference.judge(normals.features[order[:600]]).statistic
    strange = reference.judge(odd.features[odd.rows("anomaly")]).statistic
    sizes = (*CALIBRATIONS, SIMULATED_CALIBRATION)
    return {
        "normals": len(normals.features),
        **{f"calibration_{n}": realised_rates(held_out, fitted, n, rng) for n in sizes},
        **{f"nights_calibration_{n}": nights(held_out, strange, n, rng) for n in sizes},
    }


def simulated_figures(seed: int) -> dict[str, Any]:
    """The shipped reference on nights that neither fitting nor its card has seen."""
    reference = Reference.load(WEIGHTS / f"{DEFAULT_REFERENCE}.safetensors")
    embedder = make_embedder(reference.embedder)
    clean = cleaned_by(CosmicRayPipeline())
    first = 1000 + seed * SIMULATED_FRAMES
    plain = collect(held_out_frames(SIMULATED_FRAMES, first=first), embedder, clean=clean)
    odd = collect(injected_frames(SIMULATED_FRAMES, 1000 + seed), embedder, clean=clean)
    return evaluate(reference, plain, odd)


def content_digest(pictures: Sequence[Picture]) -> str:
    """Digest of a set's pictures and labels."""
    text = "\n".join(f"{p.key} {p.label} {p.content}" for p in pictures)
    return hashlib.sha256(text.encode()).hexdigest()
