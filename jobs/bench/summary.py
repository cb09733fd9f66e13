"""The measured part of README, made from docs/results/ so that no figure stands there alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- measured: made by `make bench` -->", "<!-- end of measured -->"
CODEC_GROUPS = {
    "landmarks": "HiRISE tiles",
    "rover": "Navcam",
    "raw_mars": "Mars, never compressed before",
    "other_body": "other bodies (never trained on)",
    "simulated_ground": "simulated ground",
    "simulated_sky": "simulated sky",
}
CURVE_GROUPS = {
    "hirise_tiles": "HiRISE tiles",
    "rover_12_bit": "12-bit rover frames",
    "rover_8_bit": "8-bit Navcam",
    "raw_hirise": "HiRISE crops",
    "other_body": "other bodies",
}
DETECTORS = {
    "unet_8_views": "skysieve, eight views (default)",
    "unet": "skysieve, one pass",
    "vi_16_samples": "skysieve, variational, 16 samples",
    "ensemble": "skysieve, five members",
    "folds_8_views": "skysieve, trained on the pair's other rows",
    "deepcr_acs_wfc": "deepCR ACS-WFC",
    "cosmic_conn_hst_acs_wfc": "Cosmic-CoNN HST ACS-WFC",
}
HIT_SETS = {"hrc": "47 Tuc", "wfpc2": "omega Cen", "crowded-cr": "crowded, simulated"}
ANOMALY_SETS = {
    "simulated": "simulated nights",
    "first_extended": "FIRST, extended",
    "first_bent": "FIRST, bent",
    "gz2_spirals": "Galaxy Zoo 2, spirals",
    "hirise_craters": "HiRISE, craters",
    "hirise_dunes": "HiRISE, dunes",
    "odd_gama": "Galaxy Zoo examples, odd (GAMA, fitted on the pool)",
    "odd_sloan": "Galaxy Zoo examples, odd (SDSS, fitted on the pool)",
    "ztf_drb": "ZTF stamps, drb below .5 (no target)",
}


def summary(results: Path) -> str:
    """The Markdown of every result that is there."""
    parts = (("codec", codec), ("cosmicrays", cosmicrays), ("cosmicrays-speed", cosmicrays_speed),
             ("anomaly", anomaly), ("artefacts", artefacts), ("scan", scan), ("soak", soak),
             ("store", store), ("dashboard", dashboard))  # fmt: skip
    sections = []
    for name, section in parts:
        path = results / f"{name}.json"
        if path.is_file():
            document = json.loads(path.read_text(encoding="utf-8"))
            where = f"`{document['command']}`, {document['date'][:10]}, [{name}.json]"
            lines = "\n".join(section(document["figures"]))
            sections.append(f"{lines}\n\n<sub>{where}(docs/results/{name}.json)</sub>")
    return "\n\n".join(sections)


def codec(figures: dict[str, Any]) -> Iterator[str]:
    """Quality at half a bit a pixel beside the classic codecs, and the error that was foretold."""
    yield (
        "**Codec**: PSNR in dB (peak 255) at 0.5 bits per pixel on held-out 8-bit frames, whole "
        "files counted; mean over frames, one training seed.\n"
    )
    yield "| set (frames) | skysieve | JPEG 2000 | JPEG XL | JPEG | predicted / true error |"
    yield "|---|---|---|---|---|---|"
    for key, title in CODEC_GROUPS.items():
        if key in figures["0.5_bpp"]:
            group = figures["0.5_bpp"][key]
            ours = group["skysieve"]
            others = " | ".join(
                f"{group[name]['psnr_db']:.2f}" for name in ("jpeg2000", "jpegxl", "jpeg")
            )
            ratio = ours["predicted_over_true_rmse"]
            yield f"| {title} ({ours['frames']}) | {ours['psnr_db']:.2f} | {others} | {ratio:.2f} |"
    if "rates" in figures:
        yield ""
        yield (
            "Bytes at equal PSNR against JPEG 2000, 0.1 to 1 bit per pixel (BD-rate, mean over "
            "frames): " + ", ".join(_saved(figures["rates"])) + "."
        )


def _saved(rates: dict[str, Any]) -> Iterator[str]:
    for name, group in rates.items():
        percent = group["bd_rate_percent_against_jpeg2000"]["skysieve"]
        yield f"{CURVE_GROUPS.get(name, name)} {percent:+.1f} %"


def cosmicrays(figures: dict[str, Any]) -> Iterator[str]:
    """Recall at fixed false-positive rates, and how far the probabilities hold."""
    yield (
        "**Cosmic rays**: share of hit pixels found at two false-positive rates and mean surprise "
        "of the probabilities on a real Hubble pair, an instrument that only the net marked so has "
        "seen (labels from the difference of its two exposures); share found at 0.1 % where "
        "held-out hits fell on real and simulated crowded fields; and star cores of 47 Tuc wrongly "
        "masked. One training seed.\n"
    )
    found = " | ".join(f"{title}, 0.1 %" for title in HIT_SETS.values())
    yield f"| | STIS pair, 0.01 % | 0.1 % | NLL | {found} | cores masked |"
    yield "|---|---|---|---|---|---|---|---|"
    for key, title in DETECTORS.items():
        pair = figures.get("stis_pair", {}).get(key)
        if pair is None:
            continue
        sets = [figures.get(name, {}).get(key) for name in HIT_SETS]
        cores = (figures.get("hrc", {}).get(key) or {}).get("core_share_masked")
        cells = [
            title,
            *(_percent(pair, rate) for rate in ("0.0001", "0.001")),
            f"{pair['nll']:.5f}",
            *(_percent(row, "0.001") for row in sets),
            "-" if cores is None else f"{100 * cores:.2f} %",
        ]
        yield f"| {' | '.join(cells)} |"


def cosmicrays_speed(figures: dict[str, Any]) -> Iterator[str]:
    """Time of one large frame beside deepCR's."""
    ratios = figures["ratios"]
    yield (
        f"A frame of {figures['side_px']} x {figures['side_px']} pixels takes one pass "
        f"{figures['unet']['seconds']:.1f} s on {figures['threads']} threads, "
        f"{ratios['unet_over_deepcr_default_patch']:.2f} of deepCR's time at its default patch and "
        f"{ratios['unet_over_deepcr_best_patch']:.2f} at its best; in bfloat16 "
        f"{figures['unet_bfloat16']['seconds']:.1f} s, eight views "
        f"{ratios['unet_8_views_over_unet']:.1f} and 16 variational samples "
        f"{ratios['vi_16_samples_over_unet']:.1f} times as long."
    )


def _percent(row: dict[str, Any] | None, rate: str) -> str:
    return "-" if row is None else f"{100 * row[f'tpr_at_fpr_{rate}']:.1f} %"


def anomaly(figures: dict[str, Any]) -> Iterator[str]:
    """Ranking without labels, and whether the stated error rate was kept."""
    if "ranking" in figures:
        yield from anomaly_folds(figures)
        return
    yield (
        "**Anomalies**: area under the ROC curve of the combined score, no labels used; and the "
        "share of normal images beyond the 5 % threshold.\n"
    )
    yield "| set | ROC-AUC | source area alone | realised at 5 % |"
    yield "|---|---|---|---|"
    for key, title in ANOMALY_SETS.items():
        if key in figures:
            row = figures[key]
            realised = row["realised_false_positive_rate"]["at_0.05"]
            rate = realised["mean"] if isinstance(realised, dict) else realised
            alone = row.get("area_alone_roc_auc")
            auc = row["ranking"]["combined"]["roc_auc"]
            beside = "-" if alone is None else f"{alone:.3f}"
            yield f"| {title} | {auc:.3f} | {beside} | {100 * rate:.1f} % |"


def anomaly_folds(figures: dict[str, Any]) -> Iterator[str]:
    """Ranking over five folds by source, beside two baselines, and the realised rate."""
    chosen = figures["ranking"]["recipe"]
    recipes = ", ".join(f"for {group} {recipe}" for group, recipe in sorted(chosen.items()))
    yield (
        "**Anomalies**: area under the ROC curve, no labels used, mean and standard deviation over "
        f"five folds by source; the recipes, {recipes}, were chosen on other sources. "
        "Last: the share of normal images beyond the 5 % threshold, 200 draws.\n"
    )
    yield "| set | chosen recipe | pixel PCA | source area alone | realised at 5 % |"
    yield "|---|---|---|---|---|"
    for key, row in figures["ranking"]["tasks"].items():
        cells = [
            f"{row['roc_auc'][name]['mean']:.3f} ± {row['roc_auc'][name]['standard_deviation']:.3f}"
            for name in ("chosen_recipe", "pixel_pca_baseline", "area_alone")
        ]
        rates = figures.get("rates", {}).get(key, {}).get("calibration_200")
        cells.append(f"{100 * rates['mean']:.1f} %" if rates else "-")
        yield f"| {ANOMALY_SETS.get(key, key)} | {' | '.join(cells)} |"


def artefacts(figures: dict[str, Any]) -> Iterator[str]:
    """What the artefact knowledge takes from the top of a list, and what it costs."""
    before, after = figures["without"], figures["with"]
    lost = figures["anomalies_lost"]
    yield (
        f"On {figures['frames']} simulated frames with {figures['injected']['artefact']} artefacts "
        f"the top 100 hold {before['artefacts_in_top_100']} artefacts and "
        f"{before['anomalies_in_top_100']} anomalies without the artefact knowledge, "
        f"{after['artefacts_in_top_100']} and {after['anomalies_in_top_100']} with it; "
        f"{lost['lost']} of {lost['candidates']} anomalies are lost for it."
    )


def soak(figures: dict[str, Any]) -> Iterator[str]:
    """What hundreds of cycles under kills lost."""
    yield (
        f"**Soak**: {figures['cycles']} cycles under {figures['kills']} kill -9, "
        f"{figures['clock_jumps']} clock jumps, full disks and dead services: "
        f"{figures['lost']} frames lost, {figures['twice']} stored twice, "
        f"{figures['wrongly_unknown']} objects wrongly unknown."
    )


def scan(figures: dict[str, Any]) -> Iterator[str]:
    """Throughput of a whole cycle."""
    one, two = (figures[f"workers_{count}"]["frames_per_s"] for count in (1, 2))
    ratio = figures["speedup"]["ratio"]
    yield (
        f"**Scan**: {one:.2f} frames (256 x 256, all three pipelines) a second with one worker, "
        f"{two:.2f} with two, a ratio of {ratio:.2f}."
    )


def store(figures: dict[str, Any]) -> Iterator[str]:
    """What the store bears, and what a kill loses."""
    appends, pages, kills = figures["appends"], figures["pages"], figures["kills"]
    yield (
        f"**Store**: {appends['tx_per_s']:.0f} transactions of {appends['rows_per_batch']} rows a "
        f"second; a page of detections out of {pages['detections']:,} in "
        f"{pages['at_rest']['p95_ms']:.0f} ms (95 of 100 calls; "
        f"{pages['while_appending']['p95_ms']:.0f} ms while appending); after {kills['kills']} "
        f"kill -9 in the middle of writes {kills['lost_batches']} of "
        f"{kills['acknowledged_batches']} acknowledged batches lost."
    )


def dashboard(figures: dict[str, Any]) -> Iterator[str]:
    """How fast pages come."""
    pages = figures["pages"].values()
    first, again = (max(page[which] for page in pages) for which in ("first_s", "again_s"))
    yield (
        f"**Dashboard**: with {figures['detections']:,} detections the slowest page stands "
        f"{first:.1f} s after a first visit and {again:.1f} s after a later one, each in a new "
        "browser."
    )
    if clicks := figures.get("clicks"):
        rows, filters = clicks["first_row_ms"], clicks["filter_ms"]
        slowest = max((name for name in rows if name != "all"), key=lambda name: rows[name]["p95"])
        yield (
            f"In a warm browser a page's first row stands {rows['all']['p95']:.0f} ms after the "
            f"click on the menu (95 of 100 clicks; slowest: {slowest}, {rows[slowest]['p95']:.0f} "
            f"ms), and a filter is answered within {filters['all']['p95']:.0f} ms."
        )
    if labelling := figures.get("labelling"):
        yield (
            f"Labelling {labelling['objects']} objects by keyboard, {labelling['every_ms']} ms a "
            f"key: the next object stands {labelling['next_object_ms']['p95']:.0f} ms after the "
            f"key (95 of 100), {labelling['lost_or_wrong']} labels lost."
        )


def with_summary(readme: str, results: Path) -> str:
    """README with its measured part made anew. Raises ValueError when the part is not marked."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README lacks the lines {BEGIN!r} and {END!r}")
    return f"{before}{begin}\n\n{summary(results)}\n\n{end}{after}"


if __name__ == "__main__":
    readme = Path(sys.argv[1])
    text = with_summary(readme.read_text(encoding="utf-8"), readme.parent / "docs" / "results")
    readme.write_text(text, encoding="utf-8")
