"""The whole store as one archive of Parquet tables."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

from db.store import Store
from db.transfer import export


def export_archive(store: Store) -> bytes:
    """Export into a zip held in memory; images are not in it, a backup has them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "export"
        export(store, folder)
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder))
        return stream.getvalue()
