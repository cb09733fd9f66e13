"""PayloadWriter and PayloadReader: symbols to bytes and back with a range coder.

Symbols are grouped by table, lowest level first, each group in raster order; escaped values follow
their group. The coder is constriction's 32-bit range coder (Bamler, 2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from engine.codec.tables import ESCAPE_RANGE, SymbolTables
from engine.errors import BitstreamError

Symbols = NDArray[np.int32]
Levels = NDArray[np.integer]


class EntropyModels:
    """The coder's form of the symbol tables."""

    def __init__(self, tables: SymbolTables) -> None:
        self.tables = tables
        categorical = constriction.stream.model.Categorical
        self.categorical = [
            categorical(tables.probabilities(level), perfect=False)
            for level in range(len(tables.halves))
        ]
        self.escaped = constriction.stream.model.Uniform(2 * ESCAPE_RANGE)


class PayloadWriter:
    """Collects symbols into one payload."""

    def __init__(self, models: EntropyModels) -> None:
        self._models = models
        self._coder: Any = constriction.stream.queue.RangeEncoder()

    def write(self, symbols: Symbols, levels: Levels) -> None:
        """Append `symbols`, each coded with the table of its level (same shape)."""
        flat = symbols.ravel()
        for level, members in _groups(levels):
            largest = self._models.tables.largest(level)
            group = flat[members]
            escapes = np.abs(group) > largest
            coded = np.where(escapes, largest + 1, group) + largest
            self._coder.encode(coded.astype(np.int32), self._models.categorical[level])
            if escapes.any():
                raw = np.clip(group[escapes], -ESCAPE_RANGE, ESCAPE_RANGE - 1) + ESCAPE_RANGE
                self._coder.encode(raw.astype(np.int32), self._models.escaped)

    def write_group(self, indices: NDArray[np.integer], model: object) -> None:
        """Append table indices that share one categorical model."""
        self._coder.encode(indices.astype(np.int32), model)

    def finish(self) -> bytes:
        """The payload."""
        return bytes(self._coder.get_compressed().astype("<u4").tobytes())


class PayloadReader:
    """Reads symbols in the order in which they were written.

    Raises BitstreamError when the payload cannot have come from a PayloadWriter.
    """

    def __init__(self, models: EntropyModels, payload: bytes) -> None:
        if len(payload) % 4:
            raise BitstreamError(f"a payload must hold whole words, got {len(payload)} bytes")
        self._models = models
        words = np.frombuffer(payload, "<u4").astype(np.uint32)
        self._coder: Any = constriction.stream.queue.RangeDecoder(words)

    def read(self, levels: Levels) -> Symbols:
        """Decode one symbol for every entry of `levels`, in its shape."""
        flat = np.empty(levels.size, np.int32)
        for level, members in _groups(levels):
            largest = self._models.tables.largest(level)
            group = self._decode(self._models.categorical[level], len(members)) - largest
            escapes = group > largest
            if escapes.any():
                raw = self._decode(self._models.escaped, int(escapes.sum()))
                group[escapes] = raw - ESCAPE_RANGE
            flat[members] = group
        return flat.reshape(levels.shape)

    def read_group(self, model: object, count: int) -> Symbols:
        """Decode `count` table indices that share one categorical model."""
        return self._decode(model, count)

    def _decode(self, model: object, count: int) -> Symbols:
        try:
            decoded: Symbols = self._coder.decode(model, count)
        except (AssertionError, ValueError) as error:
            raise BitstreamError(f"the payload does not decode: {error}") from error
        return decoded


def _groups(levels: Levels) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each level present, lowest first, with the flat positions that use it."""
    flat = levels.ravel()
    if not flat.size:
        return
    order = np.argsort(flat, kind="stable")
    present, starts = np.unique(flat[order], return_index=True)
    for level, members in zip(present, np.split(order, starts[1:]), strict=True):
        yield int(level), members
