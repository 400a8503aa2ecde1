"""`signoff people delegate`, `undelegate`, `away`, `load`: what they print, warn of and write, without the stack."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.roster import RosterPerson, import_roster
from tasks.follow_absences import follow_absences
from tasks.prepare_ledger import prepare_ledger
from tasks.resources import Resources
from tasks.settings import load_settings
from tests.cli.test_json_contract import offences
from tests.ledger.approval_world import BRAND, ApprovalWorld
from tests.policies.policy_catalogue import ROSTER, SOUND
from tests.running_stack import Said, say

NOW = "2026-03-02T09:00:00Z"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a ledger with a sound policy and its people, on the first Monday of March 2026 at ten in Berlin."""
    (tmp_path / "policy.yaml").write_text(SOUND, encoding="utf-8")
    (tmp_path / "roster.yaml").write_text(ROSTER, encoding="utf-8")
    path = tmp_path / "signoff.toml"
    path.write_text(f'home = "home"\npolicy = "policy.yaml"\nroster = "roster.yaml"\nclock = "{NOW}"\n', "utf-8")
    (tmp_path / "home").mkdir()
    prepare_ledger(load_settings(path))
    return path


def people(config: Path, *arguments: str) -> Said:
    """What `signoff people` says."""
    return say(config, "people", *arguments)


def read(config: Path, *arguments: str) -> Any:
    """What `signoff people` says in JSON."""
    said = people(config, *arguments, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_an_absence_from_beginning_to_end(config: Path) -> None:
    """Days are those of the calendar; the dry run writes nothing; away lists it; taken back, nobody is away."""
    days = ("ben", "ada", "--from", "2026-03-09", "--until", "2026-03-13")
    foreseen = read(config, "delegate", *days, "--dry-run")
    assert (foreseen["number"], foreseen["written"], foreseen["broken"]) == (None, False, [])
    assert read(config, "away") == []
    written = read(config, "delegate", *days)
    assert offences("people delegate", foreseen) + offences("people delegate", written) == []
    (row,) = read(config, "away")
    assert offences("people away", row) == []
    assert row == {
        "number": 1,
        "principal": "ben",
        "delegate": "ada",
        "from": "2026-03-08T23:00:00Z",
        "until": "2026-03-13T23:00:00Z",
        "now": False,
    }
    assert "2026-03-09 00:00 CET" in people(config, "away").out
    refused = people(config, "delegate", "cem", "ben", "--until", "2026-03-10")
    assert (refused.code, refused.out) == (1, "")
    assert "ben is away from 2026-03-08 23:00 UTC" in refused.err
    assert people(config, "delegate", "cem", "ben", "--until", "soon").code == 2
    (ended,) = read(config, "undelegate", "ben")
    assert ended == {name: value for name, value in row.items() if name != "now"}
    assert people(config, "away").out == "Nobody is away, and nobody will be.\n"
    assert people(config, "undelegate", "ben").code == 1


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (("--from", "0001-01-01", "--until", "2026-12-24"), "'0001-01-01' is not a moment of the years 1970 to 9997"),
        (("--until", "9999-12-31"), "'9999-12-31' is not a moment of the years 1970 to 9997"),
        (("--until", "20261224"), "'20261224' is no moment; allowed is a day (2026-12-24: all of it)"),
    ],
)
def test_moments_outside_the_calendar_are_refused(config: Path, given: tuple[str, ...], problem: str) -> None:
    """The first day of the year 1, in Berlin, lies before it: once written, no reader of absences would get past it."""
    said = people(config, "delegate", "ben", "ada", *given)
    assert (said.code, said.out) == (2, "")
    assert problem in " ".join(said.err.replace("│", " ").split())
    assert read(config, "away") == []


def test_what_breaks_is_told_before_and_recorded_after(config: Path) -> None:
    """Two of three editors in one hand: one more absence leaves one approval of two. It is a warning, and an event."""
    said = people(config, "delegate", "ben", "cem", "--until", "2026-03-13", "--dry-run")
    assert said.out.endswith("; nothing was written.\n")
    assert "warning: " in said.err
    assert "1 of 2 approvals can be had" in said.err
    ledger = Resources(load_settings(config)).ledger
    world = ApprovalWorld(ledger, furnish=False)
    checks = "SELECT COUNT(*) FROM events WHERE action = 'policy_check_failed' OR action LIKE '%check%'"
    before = world.ask(checks)
    done = people(config, "delegate", "ben", "cem", "--until", "2026-03-13")
    assert done.out == "cem decides for ben from 2026-03-02 10:00 CET until 2026-03-14 00:00 CET.\n"
    assert "warning: " in done.err
    assert world.ask(checks)[0][0] == before[0][0] + 1


def test_open_gates_follow_and_the_load_is_counted(config: Path) -> None:
    """At once if it has begun; by the sweep when its time comes and when it is over."""
    resources = Resources(load_settings(config))
    world = ApprovalWorld(resources.ledger, furnish=False)
    world.policy = resources.active_policy().sha256
    with world.writing() as tx:
        handles = [one for (one,) in world.ask("SELECT handle FROM people")]
        groups: dict[str, list[str]] = {}
        for group, handle in world.ask("SELECT group_name, handle FROM memberships JOIN people USING (person_id)"):
            groups.setdefault(group, []).append(handle)
        groups["owners"] = ["dia"]
        import_roster(tx, [RosterPerson(one, one.title()) for one in handles], groups)
    version_id = world.in_review("spring/a.jpg", "one", BRAND)
    assert read(config, "delegate", "ada", "gus", "--until", "2026-03-04")["gates"] == 1
    assert world.ask("SELECT round, status, reason FROM parkings ORDER BY round")[1] == (
        2, "to_park", "Somebody who may decide here is away, and another person stands in."
    )  # fmt: skip
    assert follow_absences(resources, "system:test") == 0
    world.now = datetime(2026, 3, 2, 9, 1, tzinfo=UTC)
    world.park()
    rows = read(config, "load")
    assert [one for row in rows for one in offences("people load", row)] == []
    counted = {row["handle"]: row["open_reviews"] for row in rows}
    assert rows[0]["open_reviews"] == 1
    assert counted == dict.fromkeys(handles, 0) | dict.fromkeys(("ada", "ben", "cem", "gus"), 1)
    world.vote(world.review_of(version_id), "gus", "reject", on_behalf_of="ada")
    (row,) = (one for one in read(config, "load") if one["handle"] == "gus")
    assert (row["open_reviews"], row["decided_7_days"], row["decided_30_days"]) == (0, 1, 1)

    second = world.in_review("spring/b.jpg", "two", BRAND)
    later = Resources(load_settings(config, {"clock": "2026-03-03T09:00:00Z"}))
    assert follow_absences(later, "system:test") == 1
    over = Resources(load_settings(config, {"clock": "2026-03-05T00:00:00Z"}))
    assert [follow_absences(over, "system:test") for _ in range(2)] == [1, 0]
    gate = world.gate_of(second)
    left = "SELECT handle FROM gate_eligible JOIN people USING (person_id) WHERE gate_id = ? AND revoked_at IS NULL"
    assert sorted(world.ask(left, gate)) == [("ada",), ("ben",), ("cem",)]
