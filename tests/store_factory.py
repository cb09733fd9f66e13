"""Fill a store with a believable night: rows for every table and the picture files they name."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from db.clusters import Grouped, keep_clustering, kinds, vectors_of
from db.store import Store
from jobs.packing import pack_arrays

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
SIDE = 256
CUTOUT = 48
VERDICTS = ("candidate", "near_miss", "uncertain", "normal", "normal", "artefact")
METHODS = ("mahalanobis", "knn", "pca_residual")
SERVICES = ("simbad", "ned", "vizier")
CLASSES = ("star", "spiral", "elliptical")
HOSTILE = "<img src=x onerror=alert(1)> ![x](http://192.0.2.1/x.png)"

Rows = dict[str, list[dict[str, Any]]]
Picture = NDArray[np.float64]


def fill(store: Store, *, frames: int = 6, per_frame: int = 4, seed: int = 0) -> None:
    """Write `frames` frames with their runs, `per_frame` detections each, and all that surrounds.

    Frame 0 is an 8-bit colour picture (cosmic rays not applicable, a hostile file name); the
    anomaly run of the last frame failed.
    """
    night = Night(store, np.random.default_rng(seed))
    for number in range(frames):
        night.add_frame(number, per_frame, failed=number == frames - 1)
    night.add_models()
    night.add_calibration()
    night.add_history(frames)
    store.write({table: rows for table, rows in night.rows.items() if rows})


def group_in_two(store: Store) -> tuple[str, ...]:
    """Put the stored vectors' detections in two clusters, "g-0" the even ones; return their ids."""
    (kind,) = kinds(store)
    ids, vectors = vectors_of(store, kind, (), 100)
    found = Grouped(np.arange(len(ids)) % 2, np.full(len(ids), 0.9), vectors[:2], (0, 1))
    keep_clustering(
        store, kind, ids, found, clustering_id="g", close=0.5, fewest=2,
        verdicts=("candidate", "near_miss"), asked_by="t", now=NOW,
    )  # fmt: skip
    return tuple(ids)


def digest(*parts: object) -> str:
    """Name something by what it is made of."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def png(picture: Picture) -> bytes:
    """Encode values in [0, 1], (H, W) or (H, W, 3), as an 8-bit PNG."""
    out = io.BytesIO()
    Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8)).save(out, format="PNG")
    return out.getvalue()


class Night:
    """The rows of one simulated night, gathered table by table."""

    def __init__(self, store: Store, rng: np.random.Generator) -> None:
        self.store = store
        self.rng = rng
        self.rows: Rows = {}

    def add(self, table: str, **row: Any) -> None:
        self.rows.setdefault(table, []).append(row)

    def keep(self, content: bytes) -> str:
        return self.store.files.put(content)

    def picture(self, picture: Picture) -> str:
        return self.keep(png(picture))

    # -- frames and runs -----------------------------------------------------------------------

    def add_frame(self, number: int, per_frame: int, *, failed: bool) -> None:
        name, colour = f"field-{number:03d}", number == 0
        frame_digest = digest("frame", name)
        seen_at = NOW - timedelta(minutes=10 * (number + 1))
        clean, mask = sky(self.rng)
        raw = np.clip(clean + mask * self.rng.uniform(0.4, 1, mask.shape), 0, 1)
        shown = np.stack([raw, clean, np.sqrt(clean)], axis=-1) if colour else np.sqrt(raw)
        self.add(
            "frames",
            frame_digest=frame_digest,
            height=SIDE,
            width=SIDE,
            planes=3 if colour else 1,
            sample_type="uint8" if colour else "int16",
            unit="" if colour else "electron",
            masked_pixels=int(7 * number),
            median=float(np.median(raw)),
            pixels_file=self.keep(
                pack_arrays(pixels=raw.astype(np.float32), mask=np.zeros(raw.shape, dtype=bool))
            ),
            preview_file=self.picture(shown),
            stored_at=seen_at,
        )
        self.add_observation(number, frame_digest, name, seen_at, colour=colour)
        self.add_codec_run(frame_digest, raw, seen_at)
        self.add_cosmic_ray_run(frame_digest, raw, clean, mask, seen_at, colour=colour)
        run_id = self.add_run(
            frame_digest,
            "anomaly",
            seen_at,
            status="failed" if failed else "ok",
            reason="the worker was killed twice on this frame" if failed else "",
            trace="Traceback (most recent call last):\n  MemoryError" if failed else "",
        )
        for index in range(0 if failed else per_frame):
            self.add_detection(frame_digest, run_id, number, index, clean, seen_at)

    def add_observation(
        self, number: int, frame_digest: str, name: str, seen_at: datetime, *, colour: bool
    ) -> None:
        object_id = f"{HOSTILE}.jpg" if colour else name
        source = "folder:/images" if colour else "sim:demo"
        self.add(
            "observations",
            observation_id=digest("observation", name),
            frame_digest=frame_digest,
            source=source,
            object_id=object_id,
            part="",
            uri=f"file:///images/{object_id}",
            ra_deg=None if colour else 83.6 + number / 10,
            dec_deg=None if colour else 22.0 + number / 10,
            mjd=None if colour else 61364.0 + number / 100,
            band=None if colour else "r",
            exposure_s=None if colour else 120.0,
            instrument=None if colour else "simulated CCD",
            gain_e_per_adu=None if colour else 1.5,
            read_noise_e=None if colour else 5.0,
            header="",
            seen_at=seen_at,
        )
        self.add(
            "intake",
            intake_id=digest("intake", name),
            source=source,
            uri=f"file:///images/{object_id}",
            part="",
            fingerprint=digest("bytes", name),
            outcome="stored",
            frame_digest=frame_digest,
            reason="",
            cycle_id="cycle-2",
            seen_at=seen_at,
        )

    def add_run(
        self,
        frame_digest: str,
        pipeline: str,
        finished_at: datetime,
        *,
        status: str = "ok",
        reason: str = "",
        trace: str = "",
    ) -> str:
        run_id = digest("run", pipeline, frame_digest)
        self.add(
            "runs",
            run_id=run_id,
            frame_digest=frame_digest,
            pipeline=pipeline,
            model_digest=digest("model", pipeline),
            policy_digest=digest("policy", pipeline),
            status=status,
            reason=reason,
            trace=trace,
            duration_s=float(self.rng.uniform(0.2, 1.5)),
            cycle_id="cycle-2",
            finished_at=finished_at + timedelta(seconds=5),
        )
        return run_id

    def add_codec_run(self, frame_digest: str, raw: Picture, at: datetime) -> None:
        run_id = self.add_run(frame_digest, "codec", at)
        error = 0.02 + 0.2 * blurred(raw)
        decoded = raw + self.rng.normal(0, 1, raw.shape) * error
        bpp = float(self.rng.uniform(0.3, 1.2))
        self.add(
            "codec_runs",
            run_id=run_id,
            bytes=int(bpp * SIDE * SIDE / 8),
            bpp=bpp,
            sample_bits=16,
            compression_ratio=16 / bpp,
            psnr_db=float(34 + 8 * bpp + self.rng.normal(0, 1)),
            peak=1.0,
            ms_ssim=float(0.9 + 0.08 * bpp),
            gradient_error=float(0.1 / bpp),
            rmse=float(np.sqrt(np.mean((decoded - raw) ** 2))),
            dropout_spearman=float(self.rng.uniform(0.3, 0.6)),
            predicted_spearman=float(self.rng.uniform(0.7, 0.95)),
            samples=8,
            bitstream_file=self.keep(f"bitstream {frame_digest}".encode()),
            reconstruction_file=self.picture(np.sqrt(np.clip(decoded, 0, 1))),
            confidence_file=self.picture(4 * error * self.rng.uniform(0.7, 1.3, raw.shape)),
            predicted_file=self.picture(4 * error),
            error_file=self.picture(4 * np.abs(decoded - raw)),
            arrays_file=self.keep(
                pack_arrays(
                    difference=(decoded - raw).astype(np.float16),
                    bound=(2 * error).astype(np.float16),
                )
            ),
            bound_map="combined",
        )
        for index in range(4):
            row, column, half = index // 2, index % 2, SIDE // 2
            self.add(
                "codec_tiles",
                run_id=run_id,
                tile_row=row,
                tile_column=column,
                y0=row * half,
                x0=column * half,
                height=half,
                width=half,
                bytes=100 + index,
                rmse=0.01 * (index + 1),
                predicted_rmse=0.011 * (index + 1),
                dropout_std=0.008 * (index + 1),
                flat_rmse=0.1 * (index + 1),
            )

    def add_cosmic_ray_run(
        self,
        frame_digest: str,
        raw: Picture,
        clean: Picture,
        mask: Picture,
        at: datetime,
        *,
        colour: bool,
    ) -> None:
        if colour:
            reason = "an 8-bit or colour picture has no cosmic rays to find"
            self.add_run(frame_digest, "cosmicrays", at, status="not_applicable", reason=reason)
            return
        run_id = self.add_run(frame_digest, "cosmicrays", at)
        probability = np.clip(0.9 * mask + self.rng.uniform(0, 0.2, mask.shape), 0, 1)
        entropy = -(probability * np.log(probability + 1e-6))
        half = probability.astype(np.float16)
        _, hits = ndimage.label(half > 0.5, structure=np.ones((3, 3)))
        flagged = np.flatnonzero(half > 0.5)
        self.add(
            "cosmic_ray_runs",
            run_id=run_id,
            method="vi",
            samples=8,
            threshold=0.5,
            pixels=SIDE * SIDE,
            flagged_pixels=int((half > 0.5).sum()),
            hits=int(hits),
            mean_entropy=float(entropy.mean()),
            mean_information=float(entropy.mean() / 3),
            probability_array=self.keep(pack_arrays(probability=half)),
            probability_file=self.picture(probability),
            entropy_file=self.picture(2 * entropy),
            information_file=self.picture(entropy),
            mask_file=self.picture(mask),
            cleaned_file=self.picture(np.sqrt(clean)),
            information_values_file=self.keep(
                pack_arrays(information=(entropy / 3).astype(np.float16))
            ),
            cleaned_values_file=self.keep(
                pack_arrays(index=flagged, value=clean.ravel()[flagged].astype(np.float32))
            ),
        )

    # -- detections ----------------------------------------------------------------------------

    def add_detection(
        self,
        frame_digest: str,
        run_id: str,
        number: int,
        index: int,
        clean: Picture,
        at: datetime,
    ) -> None:
        serial = number * 10 + index
        detection_id = digest("detection", frame_digest, index)
        verdict = VERDICTS[(number + index) % len(VERDICTS)]
        p_value = {"candidate": 0.002, "near_miss": 0.03, "uncertain": None}.get(verdict, 0.4)
        x, y = self.rng.uniform(CUTOUT, SIDE - CUTOUT, 2)
        top, left = int(y) - CUTOUT // 2, int(x) - CUTOUT // 2
        cut = np.sqrt(clean[top : top + CUTOUT, left : left + CUTOUT])
        self.add(
            "detections",
            detection_id=detection_id,
            run_id=run_id,
            frame_digest=frame_digest,
            kind="source",
            x=float(x),
            y=float(y),
            size_px=CUTOUT,
            ra_deg=83.6 + serial / 1000,
            dec_deg=22.0 + serial / 1000,
            flux=float(self.rng.uniform(100, 5000)),
            snr=float(self.rng.uniform(5, 80)),
            cosmic_ray_share=0.9 if verdict == "artefact" else 0.02,
            verdict=verdict,
            reason=f"{verdict.replace('_', ' ')}: p-value over the three methods, {serial}",
            p_value=None if p_value is None else p_value + serial / 1e5,
            rank_score=1.0 - serial / 100,
            class_name=CLASSES[serial % 3],
            class_probability=0.8,
            embedder="patches-32",
            reference="held-out sky",
            cutout_file=self.picture(cut),
            detected_at=at + timedelta(seconds=6),
        )
        for place, method in enumerate(METHODS):
            known = p_value is not None
            self.add(
                "scores",
                detection_id=detection_id,
                method=method,
                raw=float(self.rng.uniform(1, 9)),
                percentile=99.0 - place if known else None,
                p_value=0.01 * (place + 1) if known else None,
            )
        vector = self.rng.normal(serial % 3, 1, 16).astype(np.float32).tolist()
        self.add("embeddings", detection_id=detection_id, embedder="patches-32", vector=vector)
        self.add_catalogue_answers(detection_id, serial, at)

    def add_catalogue_answers(self, detection_id: str, serial: int, at: datetime) -> None:
        for place, service in enumerate(SERVICES):
            down = service == "vizier" and serial % 2 == 0
            found = place == 0 and serial % 3 == 0
            answer = "not_determined" if down else "match" if found else "no_match"
            query_id = digest("query", detection_id, service)
            self.add(
                "catalogue_queries",
                query_id=query_id,
                detection_id=detection_id,
                service=service,
                ra_deg=83.6,
                dec_deg=22.0,
                radius_arcsec=5.0,
                answer=answer,
                reason="no answer within 20 s" if down else "",
                asked_at=at + timedelta(seconds=8),
            )
            if found:
                self.add(
                    "catalogue_matches",
                    query_id=query_id,
                    rank=0,
                    object_name=f"M {serial}",
                    object_type="Galaxy",
                    ra_deg=83.6,
                    dec_deg=22.0,
                    separation_arcsec=1.2,
                )

    # -- what surrounds them -------------------------------------------------------------------

    def add_models(self) -> None:
        for pipeline, name in (
            ("codec", "codec-small"),
            ("cosmicrays", "rays-vi"),
            ("anomaly", "patches-32"),
        ):
            card = {
                "name": name,
                "description": f"the {pipeline} model of the tests",
                "seed": 0,
                "calibration": {
                    "temperature": 0.78,
                    "temperature_reason": "fitted on real exposures held out from training",
                    "temperature_fitted": {"47 Tuc": 0.82, "omega Cen": 0.75},
                },
            }
            self.add(
                "models",
                model_digest=digest("model", pipeline),
                name=name,
                pipeline=pipeline,
                card=json.dumps(card),
                registered_at=NOW - timedelta(days=1),
            )
            self.add(
                "policies",
                policy_digest=digest("policy", pipeline),
                pipeline=pipeline,
                policy=json.dumps({"pipeline": pipeline, "seed": 0}),
                registered_at=NOW - timedelta(days=1),
            )

    def add_calibration(self) -> None:
        """Two measurements on held-out sets of four reports each, and two older nights."""
        for dataset, gap in (("simulated sky, held out", 0.03), ("HST/STIS pair", 0.1)):
            for pixels in ("all", "p >= 0.01"):
                for stage in ("shipped", "untempered"):
                    self.add_report(dataset, gap, pixels, stage, NOW - timedelta(hours=20))
        for night in (1, 2):
            at = NOW - timedelta(days=night)
            self.add_report(f"sim:night-{night}, exact truth", 0.02 * night, "all", "shipped", at)

    def add_report(
        self, dataset: str, gap: float, pixels: str, stage: str, measured_at: datetime
    ) -> None:
        every = (pixels, stage) == ("all", "shipped")
        measurement_id = digest("report", dataset)
        report_id = measurement_id if every else digest("report", dataset, pixels, stage)
        gap *= (2 if pixels != "all" else 1) * (1.5 if stage == "untempered" else 1)
        self.add(
            "calibration_reports",
            report_id=report_id,
            measurement_id=measurement_id,
            series="simulated nights" if dataset.startswith("sim:") else dataset,
            frames=6,
            pixels=pixels,
            stage=stage,
            applied_temperature=0.78 if stage == "shipped" else 1.0,
            model_digest=digest("model", "cosmicrays"),
            pipeline="cosmicrays",
            dataset=dataset,
            n=100_000 if pixels == "all" else 3_000,
            positives=2_000 if pixels == "all" else 1_900,
            brier=0.01 + gap / 10,
            nll=0.04 + gap / 10,
            ece=gap,
            ece_equal_mass=0.9 * gap,
            ece_by_class=1.2 * gap,
            ece_bins=10,
            ece_norm="l1",
            aurc=0.002 + gap / 100,
            temperature=1.3,
            measured_at=measured_at,
        )
        for bin_number in range(10):
            mean = (bin_number + 0.5) / 10
            self.add(
                "reliability_bins",
                report_id=report_id,
                bin=bin_number,
                low=bin_number / 10,
                high=(bin_number + 1) / 10,
                n=90_000 if bin_number == 0 else 1_000 + 10 * bin_number,
                mean_probability=mean,
                observed_frequency=max(0.0, mean - gap * np.sin(3 * mean)),
            )
        for step in range(1, 21):
            self.add(
                "risk_coverage_points",
                report_id=report_id,
                coverage=step / 20,
                risk=(gap / 10) * (step / 20) ** 2,
            )

    def add_history(self, frames: int) -> None:
        for number, (state, error) in enumerate(
            (("done", ""), ("failed", "the folder /gone does not exist"), ("done", ""))
        ):
            stored, started_at = (frames if number == 2 else 0), NOW - timedelta(hours=3 - number)
            self.add(
                "cycles",
                cycle_id=f"cycle-{number}",
                request_id=f"request-{number}",
                schedule_id="schedule-1" if number == 2 else None,
                source="folder:/gone" if number == 1 else "sim:demo",
                state=state,
                asked=stored + 2 if number == 2 else 0,
                known=0,
                stored=stored,
                duplicates=1 if number == 2 else 0,
                failed=1 if number == 2 else 0,
                ignored=0,
                error=error,
                started_at=started_at,
                finished_at=started_at + timedelta(minutes=12),
            )
            self.add(
                "requests",
                request_id=f"request-{number}",
                kind="scan",
                payload=json.dumps({"source": "sim:demo", "limit": 8, "aggressive": False}),
                state=state,
                done=stored,
                total=stored,
                result=None,
                error=error,
                asked_by="tests",
                asked_at=started_at,
                started_at=started_at,
                finished_at=started_at + timedelta(minutes=12),
            )
            self.add(
                "run_events",
                event_number=number + 1,
                cycle_id=f"cycle-{number}",
                kind=state,
                message=error or f"{stored} frames stored",
                happened_at=started_at + timedelta(minutes=12),
            )
        self.add(
            "intake",
            intake_id=digest("intake", "broken"),
            source="sim:demo",
            uri="file:///images/broken.fits",
            part="",
            fingerprint=digest("bytes", "broken"),
            outcome="failed",
            frame_digest=None,
            reason="truncated: 2880 bytes announced, 100 there",
            cycle_id="cycle-2",
            seen_at=NOW - timedelta(minutes=58),
        )
        self.add(
            "schedules",
            schedule_id="schedule-1",
            source="sim:demo",
            every_s=3600.0,
            frame_limit=8,
            paused=True,
            created_at=NOW - timedelta(days=2),
            changed_at=NOW - timedelta(days=1),
        )


def sky(rng: np.random.Generator, stars: int = 60) -> tuple[Picture, Picture]:
    """Draw a star field in [0, 1] and a mask of cosmic-ray streaks, both (SIDE, SIDE)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    picture = 0.05 + 0.01 * rng.standard_normal((SIDE, SIDE))
    for _ in range(stars):
        y, x = rng.uniform(0, SIDE, 2)
        width, flux = rng.uniform(1.2, 4), rng.exponential(0.25)
        picture += flux * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * width**2))
    mask = np.zeros((SIDE, SIDE))
    for _ in range(12):
        y, x = rng.integers(10, SIDE - 20, 2)
        slope = rng.uniform(-1, 1)
        for step in range(rng.integers(3, 16)):
            mask[int(y + slope * step) % SIDE, (x + step) % SIDE] = 1.0
    return np.clip(picture, 0, 1), mask


def blurred(picture: Picture) -> Picture:
    """Smooth a picture by a few neighbours, as a stand-in for a local error level."""
    shifts = [np.roll(picture, (dy, dx), (0, 1)) for dy in (-2, 0, 2) for dx in (-2, 0, 2)]
    return np.mean(shifts, axis=0)
