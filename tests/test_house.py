"""The house keeps its shape: names that are its own, no tests in packages, no address that only one machine knows."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("cli", "flows", "tasks", "ledger", "analytics", "classifiers", "policies")
INDEX_ADDRESS = re.compile(r"https?://[^\s\"')>]*(?:simple|pythonhosted|registry)\b|--(?:index-url|find-links)\s+\S*:/")


@pytest.mark.parametrize("package", PACKAGES)
def test_the_top_level_names_are_this_applications_own(package: str) -> None:
    """No other installed distribution claims one of our package names."""
    claimed = set(packages_distributions().get(package, []))
    assert claimed <= {"signoff"}


@pytest.mark.parametrize("folder", ["flows", "tasks"])
def test_no_flow_or_task_bears_the_name_of_a_package(folder: str) -> None:
    """A module named as a top-level package would hide it where a folder gets onto the path."""
    assert {path.stem for path in (ROOT / folder).glob("*.py")} & set(PACKAGES) == set()


def test_tests_are_no_packages() -> None:
    """An `__init__.py` under tests would let `tests/policies` hide `policies`."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_test_files_have_names_of_their_own() -> None:
    """Two test files of one name cannot be told apart in a report."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_no_file_names_a_package_index() -> None:
    """The lock file, the configuration and the docs carry no address of a package index."""
    tracked = subprocess.run(
        ["git", "ls-files", "*.lock", "*.toml", "*.md", "*.yaml", "Makefile"],  # noqa: S607 (git of this machine)
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    found = [name for name in tracked if INDEX_ADDRESS.search((ROOT / name).read_text(encoding="utf-8"))]
    assert found == []


def test_the_lock_pins_what_installs_everywhere() -> None:
    """No local version part (`+cpu`) stands in the lock: such a wheel exists on some machines only."""
    pinned = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert [line for line in pinned if re.match(r"[A-Za-z0-9._-]+==\S*\+", line)] == []
