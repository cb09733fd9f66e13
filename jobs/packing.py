"""Arrays as bytes for the content-addressed files: the same array gives the same bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import UnreadableFile
from engine.frame import Frame, Origin


def pack_arrays(**arrays: NDArray[Any]) -> bytes:
    """Pack arrays into one compressed .npz."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def unpack_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Unpack what pack_arrays made. Raises UnreadableFile when it is something else."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as packed:
            return {name: packed[name] for name in packed.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UnreadableFile(f"expected packed arrays, got something else ({error})") from error


def pack_frame(frame: Frame) -> bytes:
    """Pack a frame's pixels and mask."""
    return pack_arrays(pixels=frame.pixels, mask=frame.mask)


def unpack_frame(content: bytes, row: Mapping[str, Any]) -> Frame:
    """Make a frame again from its packed pixels and its row of frames joined to observations."""
    arrays = unpack_arrays(content)
    fields = ("source", "object_id", "uri", "part", "ra_deg", "dec_deg", "mjd", "band",
              "exposure_s", "instrument", "gain_e_per_adu", "read_noise_e")  # fmt: skip
    origin = Origin(**{name: row[name] for name in fields})
    return Frame(
        arrays["pixels"], arrays["mask"], row["unit"], origin, row["sample_type"], row["header"]
    )
