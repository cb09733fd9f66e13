"""The most memory that this process has held."""

from __future__ import annotations

import re
import resource
from pathlib import Path

STATUS = Path("/proc/self/status")
KIB = 1024


def peak_rss_bytes() -> int:
    """Peak resident memory of the running program, in bytes.

    Linux's `VmHWM` begins anew with the program; `ru_maxrss`, the fallback elsewhere, would
    hold what the parent held when it started this process (getrusage(2), proc(5)).
    """
    if STATUS.exists():
        peak_kib = re.search(r"^VmHWM:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
        if peak_kib:
            return int(peak_kib[1]) * KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
