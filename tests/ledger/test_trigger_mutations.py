"""Every trigger is needed: with one of them gone, the tests that try to break the rules by raw SQL notice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ledger.conftest import DROPPED

ROOT = Path(__file__).parents[2]
TRIGGERS = ROOT / "ledger" / "migrations" / "triggers"
HERE = Path(__file__).parent
ALSO = [
    HERE / f"test_{name}.py"
    for name in ("forget", "held", "ladder", "sent_back", "delegations", "waivers", "signatures")
]
BEGAN = time.monotonic()
SUITE = [*sorted(HERE.glob("test_rules_*.py")), *ALSO]


def triggers(database: str) -> list[str]:
    """Names of the triggers that the migrations write out for a database, and two of those that they make in a loop."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(TRIGGERS.glob(f"*_{database}.sql")))
    found = set(re.findall(r"^CREATE (?:CONSTRAINT )?TRIGGER (\w+)", text, re.MULTILINE))
    return sorted(found | ({"events_no_truncate", "events_isolation"} if database == "postgresql" else set()))


def test_the_triggers_are_found() -> None:
    """The list that is tried is not empty by mistake."""
    assert {"events_check", "notes_are_only_erased"} < set(triggers("sqlite")) & set(triggers("postgresql"))


def promising_first(trigger: str) -> list[str]:
    """The files of the suite, those first that speak most of what the trigger is named after."""
    subject = trigger.rpartition("_")[0] or trigger
    while subject and not any(f" {subject}" in path.read_text(encoding="utf-8") for path in SUITE):
        subject = subject.rpartition("_")[0]
    ordered = sorted(SUITE, key=lambda path: -path.read_text(encoding="utf-8").count(f" {subject}"))
    return [str(path.relative_to(ROOT)) for path in ordered]


@pytest.mark.soak
@pytest.mark.parametrize(
    ("database", "trigger"), [(database, name) for database in ("sqlite", "postgresql") for name in triggers(database)]
)
def test_a_missing_trigger_is_noticed(database: str, trigger: str) -> None:
    """Some test of the rules fails without it. All of them take hours: `-k` names some, `SIGNOFF_SOAK_S` ends them."""
    if time.monotonic() - BEGAN > float(os.environ.get("SIGNOFF_SOAK_S", "inf")):
        pytest.skip("the seconds of SIGNOFF_SOAK_S are over")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-k", database, "-m", "not soak"]
    told = subprocess.run(
        [*command, *promising_first(trigger)],
        cwd=ROOT,
        env={**os.environ, DROPPED: trigger},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, "1 failed" in told.stdout or "error" in told.stdout) == (1, True), told.stdout[-2_000:]
