"""PayloadWriter and PayloadReader: symbols to bytes and back with a range coder.

Symbols are grouped by table, lowest level first, each group in raster order; escaped values follow
their group. The coder is constriction's 32-bit range coder (Bamler, 2022).
"""

from __future__ import annotations

from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from engine.codec.tables import ESCAPE_RANGE, LEVELS, SymbolTables
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
        self.reach = np.array([tables.largest(level) for level in range(LEVELS)], np.int32)


class PayloadWriter:
    """Collects symbols into one payload."""

    def __init__(self, models: EntropyModels) -> None:
        self._models = models
        self._coder: Any = constriction.stream.queue.RangeEncoder()

    def write(
        self, symbols: Symbols, levels: Levels, stages: NDArray[np.uint16] | None = None
    ) -> None:
        """Append `symbols`, each coded with the table of its level (same shape).

        With `stages`, of the same shape too, those of a lower stage go first.
        """
        flat = levels.ravel()
        keys = flat if stages is None else stages.ravel() * np.uint16(LEVELS) + flat
        order, present, counts = _order(keys)
        reach = np.repeat(self._models.reach[present % LEVELS], counts)
        sorted_symbols = symbols.ravel()[order]
        escapes = np.abs(sorted_symbols) > reach
        coded = np.asarray(sorted_symbols + reach, np.int32)
        escaped = bool(escapes.any())
        if escaped:
            coded[escapes] = 2 * reach[escapes] + 1
        begin = 0
        for key, end in zip(present.tolist(), np.cumsum(counts).tolist(), strict=True):
            self._coder.encode(coded[begin:end], self._models.categorical[key % LEVELS])
            if escaped and escapes[begin:end].any():
                raw = sorted_symbols[begin:end][escapes[begin:end]]
                raw = np.clip(raw, -ESCAPE_RANGE, ESCAPE_RANGE - 1) + ESCAPE_RANGE
                self._coder.encode(raw.astype(np.int32), self._models.escaped)
            begin = end

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
        order, present, counts = _order(levels.ravel())
        found = np.empty(levels.size, np.int32)
        begin = 0
        for level, end in zip(present.tolist(), np.cumsum(counts).tolist(), strict=True):
            largest = int(self._models.reach[level])
            group = self._decode(self._models.categorical[level], end - begin)
            escapes = group > 2 * largest
            group -= largest
            if escapes.any():
                group[escapes] = self._decode(self._models.escaped, int(escapes.sum()))
                group[escapes] -= ESCAPE_RANGE
            found[begin:end] = group
            begin = end
        flat = np.empty_like(found)
        flat[order] = found
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


def _order(
    keys: Levels,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The stable order by key, the keys present, lowest first, and how often each is."""
    order = np.argsort(keys, kind="stable")
    counts = np.bincount(keys)
    present = np.flatnonzero(counts)
    return order, present, counts[present]
