"""What comes out of a file: its frames, and the parts that are not frames with the reason."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import FrameTooLarge
from engine.frame import Frame


@dataclass(frozen=True)
class IgnoredPart:
    """A part of a file that did not become a frame, and why."""

    part: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """All frames of one file, in its order, and what was left out."""

    frames: tuple[Frame, ...]
    ignored: tuple[IgnoredPart, ...] = ()


@dataclass(frozen=True)
class Limits:
    """How much one file may hold.

    `max_pixels` is per image plane; `max_bytes` bounds the file itself, what it unpacks to, and
    any one array in it.
    """

    max_pixels: int = 100_000_000
    max_bytes: int = 600_000_000

    def check_pixels(self, pixels: int, where: str) -> None:
        """Raise FrameTooLarge when an image declares more pixels than allowed."""
        if pixels > self.max_pixels:
            raise FrameTooLarge(
                f"{where} declares {pixels:,} pixels, at most {self.max_pixels:,} are allowed: "
                "cut it into smaller images, or raise the limit"
            )

    def check_bytes(self, size: int, where: str) -> None:
        """Raise FrameTooLarge when something holds more bytes than allowed."""
        if size > self.max_bytes:
            raise FrameTooLarge(
                f"{where} holds {size:,} bytes or more, at most {self.max_bytes:,} are allowed: "
                "cut it into smaller files, or raise the limit"
            )
