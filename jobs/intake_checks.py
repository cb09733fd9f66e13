"""What is refused before it costs anything: uploads that are too large or no image by name."""

from __future__ import annotations

from pathlib import Path

from engine.reading import image_suffix
from jobs.errors import UsageError
from jobs.settings import Settings


def check_upload(name: str, content: bytes, settings: Settings) -> None:
    """Raise UsageError unless the upload is bounded, not empty, and named like an image.

    Its pixels are bounded when a worker reads it, before they are allocated.
    """
    if not content:
        raise UsageError(f"{name} is empty: choose the image file itself")
    if len(content) > settings.max_upload_bytes:
        raise UsageError(
            f"{name} has {len(content):,} bytes, more than the {settings.max_upload_bytes:,} that "
            "an upload may have: put it in a folder and scan that"
        )
    if image_suffix(Path(name)) is None:
        raise UsageError(f"{name} is not named like an image: expected FITS, PNG, TIFF or JPEG")
