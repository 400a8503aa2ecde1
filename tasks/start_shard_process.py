"""Starts a process that screens shards: `python -m tasks.start_shard_process FD`, which `ShardProcesses` calls.

Cycles of objects are seldom looked for in it: while modules are loaded there are none to find, and a shard's thousands
of rows are gone with the shard.
"""

from __future__ import annotations

import gc
import os
import sys

if __name__ == "__main__":
    gc.set_threshold(50_000, 20, 20)
    from tasks.shard_processes import serve

    serve(os.fdopen(int(sys.argv[1]), "wb"))
