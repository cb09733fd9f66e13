"""Reading image files as they come."""

from __future__ import annotations

from engine.reading.file import read_frames
from engine.reading.formats import image_suffix
from engine.reading.reading import IgnoredPart, Limits, Reading

__all__ = ["IgnoredPart", "Limits", "Reading", "image_suffix", "read_frames"]
