"""CodecPipeline: a frame coded at a stated rate, decoded, and compared with the original."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.cards import WEIGHTS, read_card
from engine.codec.decoding import Decoded, decode
from engine.codec.encoding import encode
from engine.codec.errormaps import ErrorCalibration, ErrorMap, error_maps
from engine.codec.model import NAME, CodecModel
from engine.codec.policy import CodecPolicy
from engine.codec.rate import RateTarget
from engine.codec.uncertainty import (
    deviation_of,
    drawn_variances,
    predicted_rmse,
    rank_correlation,
)
from engine.frame import Frame, Pixels
from engine.metrics.image import gradient_error, ms_ssim, peak_of, psnr_db, rmse
from engine.results import CodecResult, CodecTile


class CodecPipeline:
    """The learned codec with one policy.

    The calibration of the error maps is that of the card in `folder`, or the one given beside a
    `model`. Raises ModelError when the weights in `folder` are missing or do not fit.
    """

    name = "codec"

    def __init__(
        self,
        policy: CodecPolicy | None = None,
        folder: Path = WEIGHTS,
        *,
        model: CodecModel | None = None,
        calibration: ErrorCalibration | None = None,
    ) -> None:
        self.policy = policy or CodecPolicy()
        self._model = model or CodecModel.load(folder)
        if model is None and calibration is None:
            stored = read_card(NAME, folder).calibration
            calibration = ErrorCalibration.from_dict(stored) if stored else None
        self.calibration = calibration
        self.model_digest = self._model.digest

    def run(self, frame: Frame, rng: np.random.Generator) -> CodecResult:
        """Code, decode and compare one frame; `rng` draws the dropout.

        Every figure comes from decoding the bytes. Bad pixels count in no error. Raises
        NotApplicable for sides below 16 pixels or when the rate does not hold the frame's facts.
        """
        target = RateTarget(bpp=self.policy.bpp)
        bitstream = encode(frame, target, self._model, tile=self.policy.tile)
        decoded = decode(bitstream, self._model)
        variances = drawn_variances(decoded, self.policy.samples, rng)
        confidence = deviation_of(decoded, variances)
        bound = self._bound(decoded, variances, rng)
        predicted = predicted_rmse(decoded)
        error = _error_map(frame, decoded)
        peak, good = peak_of(frame), ~frame.mask
        similar = np.where(good, decoded.pixels, frame.filled())
        bpp = 8.0 * len(bitstream) / frame.pixels.size
        return CodecResult(
            bitstream=bitstream,
            reconstruction=decoded.pixels,
            confidence=confidence,
            predicted_rmse=predicted,
            bpp=bpp,
            compression_ratio=frame.sample_bits / bpp,
            sample_bits=frame.sample_bits,
            psnr_db=psnr_db(frame.pixels, decoded.pixels, peak, good=good),
            peak=peak,
            ms_ssim=ms_ssim(frame.filled(), similar, peak),
            gradient_error=gradient_error(frame.pixels, decoded.pixels, good=good),
            rmse=rmse(frame.pixels, decoded.pixels, good=good),
            dropout_spearman=rank_correlation(confidence, error),
            predicted_spearman=rank_correlation(predicted, error),
            samples=self.policy.samples,
            tiles=_tiles(decoded, error, _flat_error(frame), (predicted, confidence)),
            bound_90=None if bound is None else bound.half_width,
            bound_map="" if bound is None else bound.name,
        )

    def _bound(
        self, decoded: Decoded, variances: NDArray[np.float64], rng: np.random.Generator
    ) -> ErrorMap | None:
        """The calibrated default map, from the dropout passes that were made where they serve."""
        found = self.calibration
        if found is None:
            return None
        drawn = variances if found.samples == self.policy.samples else None
        return error_maps(decoded, found, rng, [found.best], drawn)[found.best]


def _error_map(frame: Frame, decoded: Decoded) -> Pixels:
    """Root mean square over planes of the error of each pixel, 0 on bad pixels."""
    error = np.where(frame.mask, 0.0, frame.filled() - decoded.pixels)
    planes = error.reshape(-1, *frame.mask.shape)
    return np.sqrt(np.asarray(np.square(planes).mean(axis=0), dtype=np.float32))


def _flat_error(frame: Frame) -> Pixels:
    """`_error_map` of a frame of which nothing arrived but each plane's median."""
    planes = frame.filled().reshape(-1, *frame.mask.shape)
    medians = np.median(planes[:, ~frame.mask], axis=1)[:, None, None]
    error = np.where(frame.mask, 0.0, planes - medians)
    return np.sqrt(np.asarray(np.square(error).mean(axis=0), dtype=np.float32))


def _tiles(
    decoded: Decoded, error: Pixels, flat: Pixels, expected: tuple[Pixels, Pixels]
) -> tuple[CodecTile, ...]:
    """Each tile with the bytes of all its planes."""
    header = decoded.header
    per_plane = header.tile_rows * header.tile_columns
    tiles = []
    for number in range(per_plane):
        _, rows, columns = header.place(number)
        size = sum(decoded.tile_bytes[n] for n in range(number, header.tiles, per_plane))
        row, column = divmod(number, header.tile_columns)
        tiles.append(
            CodecTile(
                row=row,
                column=column,
                y0=rows.start,
                x0=columns.start,
                height=rows.stop - rows.start,
                width=columns.stop - columns.start,
                bytes=size,
                rmse=_rms(error[rows, columns]),
                predicted_rmse=_rms(expected[0][rows, columns]),
                dropout_std=_rms(expected[1][rows, columns]),
                flat_rmse=_rms(flat[rows, columns]),
            )
        )
    return tuple(tiles)


def _rms(image: Pixels) -> float:
    return float(np.sqrt(np.square(image, dtype=np.float64).mean()))
