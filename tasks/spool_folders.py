"""Folders for what is looked into, and the removal of those that a killed process left behind."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

ABANDONED_AFTER: Final = timedelta(hours=1)
"""In another container's namespace a process may live under a number that is free here: its folder is younger."""

_OURS: Final = re.compile(r"signoff-shards?-(\d+)-\w+")


def spool_folder(kind: str) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder that names its process; `kind` is `shard`, or `shards` for what holds several."""
    return tempfile.TemporaryDirectory(prefix=f"signoff-{kind}-{os.getpid()}-")


def remove_abandoned(now_s: float) -> list[Path]:
    """Remove spool folders of this user whose process is gone and that nobody wrote to for an hour; returns them.

    `now_s` is the machine's time (seconds since 1970), as files have it. What cannot be removed stays.
    """
    import psutil

    removed = []
    for folder in Path(tempfile.gettempdir()).glob("signoff-shard*"):
        named = _OURS.fullmatch(folder.name)
        with suppress(OSError):  # somebody else was faster
            found = folder.lstat()
            if named is None or folder.is_symlink() or not folder.is_dir() or found.st_uid != os.getuid():
                continue
            if now_s - found.st_mtime < ABANDONED_AFTER.total_seconds() or psutil.pid_exists(int(named[1])):
                continue
            shutil.rmtree(folder)
            removed.append(folder)
    return removed
