"""RateTarget: what an encoder is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from engine.frame import Frame


@dataclass(frozen=True)
class RateTarget:
    """Exactly one wish.

    `bpp` bits per pixel and plane, or `bytes`: the file is never larger. `psnr_db`: the fewest
    bytes that reach it. `near`: no sample errs by more than that (integers); `lossless`: near 0.
    Raises ValueError when none, several or impossible wishes are given.
    """

    bpp: float | None = None
    bytes: int | None = None
    psnr_db: float | None = None
    near: int | None = None
    lossless: bool = False

    def __post_init__(self) -> None:
        wishes = {"bpp": self.bpp, "bytes": self.bytes, "psnr_db": self.psnr_db, "near": self.near}
        given = {name: value for name, value in wishes.items() if value is not None}
        if len(given) + self.lossless != 1:
            raise ValueError(
                f"ask for exactly one of bpp, bytes, psnr_db, near or lossless, got {given}"
                f"{' and lossless' if self.lossless else ''}"
            )
        if self.near is not None and not 0 <= self.near <= 255:
            raise ValueError(f"near must be within 0..255, got {self.near}")
        for name in ("bpp", "bytes", "psnr_db"):
            if name in given and not 0 < given[name] < float("inf"):
                raise ValueError(f"{name} must be positive and finite, got {given[name]}")

    @property
    def largest_error(self) -> int | None:
        """The bound on every sample's error, None for the learned codec."""
        return 0 if self.lossless else self.near

    def budget(self, frame: Frame) -> int | None:
        """The most bytes allowed, None when bytes are not what was asked for."""
        if self.bpp is not None:
            return int(self.bpp * frame.height * frame.width * frame.planes / 8)
        return self.bytes
