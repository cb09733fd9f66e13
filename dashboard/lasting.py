"""What lasts as long as the process, out of the garbage collector's sight.

Streamlit collects all garbage after every run of a page. Loaded modules are some 280,000 objects
that never become garbage; looking through them held every thread for 0.2 s after each click.
"""

from __future__ import annotations

import gc
import sys
import threading

_lock = threading.Lock()
_frozen = 0


def freeze_modules() -> None:
    """Freeze what is alive when modules were loaded since the last time, and else do nothing."""
    global _frozen
    with _lock:
        if len(sys.modules) == _frozen:
            return
        gc.collect()
        gc.freeze()
        _frozen = len(sys.modules)
