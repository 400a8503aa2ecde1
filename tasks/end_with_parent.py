"""Let the processes that screen shards end with the run that started them, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import threading
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def end_with_parent() -> None:
    """End this process when the one that started it is gone; without a parent of that kind nothing happens.

    A pool's processes wait for work that a killed parent never sends: they would keep their models in memory for ever.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), name="end-with-parent", daemon=True).start()


def _follow(parent: Any) -> None:
    parent.join()
    os._exit(1)  # nobody is left to hear of it, and what was under way is safe to repeat
