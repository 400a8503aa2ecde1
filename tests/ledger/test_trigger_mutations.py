"""Every trigger is needed: with one of them gone, the tests that try to break the rules by raw SQL notice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ledger.conftest import DROPPED

ROOT = Path(__file__).parents[2]
TRIGGERS = ROOT / "ledger" / "migrations" / "triggers"
SUITE = sorted(str(one.relative_to(ROOT)) for one in Path(__file__).parent.glob("test_rules_*.py"))
ALSO = ("tests/ledger/test_forget.py", "tests/ledger/test_ladder.py")


def triggers(database: str) -> list[str]:
    """Names of the triggers that the migrations write out for a database, and two of those that they make in a loop."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(TRIGGERS.glob(f"*_{database}.sql")))
    found = set(re.findall(r"^CREATE (?:CONSTRAINT )?TRIGGER (\w+)", text, re.MULTILINE))
    return sorted(found | ({"events_no_truncate", "events_isolation"} if database == "postgresql" else set()))


def test_the_triggers_are_found() -> None:
    """The list that is tried is not empty by mistake."""
    assert {"events_check", "notes_are_only_erased"} < set(triggers("sqlite")) & set(triggers("postgresql"))


@pytest.mark.soak
@pytest.mark.parametrize(
    ("database", "trigger"), [(database, name) for database in ("sqlite", "postgresql") for name in triggers(database)]
)
def test_a_missing_trigger_is_noticed(database: str, trigger: str) -> None:
    """Some test of the rules fails without it."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-k", database, "-m", "not soak"]
    told = subprocess.run(
        [*command, *SUITE, *ALSO],
        cwd=ROOT,
        env={**os.environ, DROPPED: trigger},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, "1 failed" in told.stdout or "error" in told.stdout) == (1, True), told.stdout[-2_000:]
