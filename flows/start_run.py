"""Starts the flow run that the environment names in this process: `python -m flows.start_run`, as workers call it.

It is Prefect's own engine, `python -m prefect.engine`, save that cycles of objects are seldom looked for: while modules
are loaded there are none to find, and looking is a tenth of what a start costs.
"""

from __future__ import annotations

import gc
import runpy

if __name__ == "__main__":
    gc.set_threshold(50_000, 20, 20)
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
