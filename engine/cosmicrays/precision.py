"""In which number format the convolutions of a pass are computed."""

from __future__ import annotations

import torch

from engine.cosmicrays.choices import Precision
from engine.errors import ModelError

BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")


def bfloat16_is_native() -> bool:
    """Whether this processor multiplies bfloat16 itself; emulated it is slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(flag)) for flag in BFLOAT16_FLAGS)


def check_precision(precision: Precision, device: str = "cpu") -> None:
    """Raise ModelError where a precision would be slower than float32 and less exact."""
    if precision == "bfloat16" and device == "cpu" and not bfloat16_is_native():
        raise ModelError(
            "this processor has no bfloat16 arithmetic (avx512_bf16, amx_bf16): "
            "use --precision float32"
        )
