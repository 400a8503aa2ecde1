"""What a killed process left in the folder for temporary files is removed; what anybody may still need is not."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tasks.shard_processes import ShardProcesses
from tasks.spool_folders import remove_abandoned, spool_folder

HOUR_S = 3600.0


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def leave(folder: Path, name: str, age_s: float) -> Path:
    """A spool folder with something in it, last written to some time ago."""
    made = folder / name
    made.mkdir()
    (made / "spooled").write_bytes(b"half an object")
    os.utime(made, (time.time() - age_s,) * 2)
    return made


def dead_pid() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_only_what_is_ours_old_and_nobodys_is_removed(temporary: Path) -> None:
    """Own prefix, a process that is gone, an hour without a write; a link leads nowhere."""
    gone = dead_pid()
    abandoned = [leave(temporary, f"signoff-{kind}-{gone}-abc", 2 * HOUR_S) for kind in ("shard", "shards")]
    kept = [
        leave(temporary, f"signoff-shards-{gone}-young", HOUR_S / 2),
        leave(temporary, f"signoff-shards-{os.getpid()}-alive", 2 * HOUR_S),
        leave(temporary, "signoff-shards-unnumbered", 2 * HOUR_S),
        leave(temporary, f"another-shards-{gone}-abc", 2 * HOUR_S),
    ]
    link = temporary / f"signoff-shards-{gone}-link"
    link.symlink_to(kept[0], target_is_directory=True)
    assert sorted(remove_abandoned(time.time())) == sorted(abandoned)
    assert sorted(temporary.iterdir()) == sorted([*kept, link])


def test_the_next_start_removes_it(temporary: Path) -> None:
    """Processes that screen shards begin with it, and end without a folder of their own."""
    abandoned = leave(temporary, f"signoff-shards-{dead_pid()}-abc", 2 * HOUR_S)
    with ShardProcesses(0), spool_folder("shard") as own:
        assert not abandoned.exists()
        assert f"signoff-shard-{os.getpid()}-" in own
    assert list(temporary.iterdir()) == []
