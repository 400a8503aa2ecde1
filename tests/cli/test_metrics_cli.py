"""`signoff metrics`: what is printed, in the three forms, and what is said when it cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analytics.errors import QueryRefused, WarehouseMissing
from analytics.macros import MACROS
from cli.metrics import app
from tests.analytics.scripted_ledger import ScriptedLedger


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder whose ledger has one version in review, at a time that stands still."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGNOFF_HOME", str(tmp_path))
    monkeypatch.setenv("SIGNOFF_CLOCK", "2026-03-04T00:00:00Z")
    ledger = ScriptedLedger.at(tmp_path)
    ledger.born(1)
    ledger.walk(1, (0, "submit", "submitted"), (1.5, "open_gates", "in_review"))
    ledger.close()
    return tmp_path


def say(*arguments: str) -> str:
    """What the command prints; its own errors pass through, as `signoff` shows them."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_refresh_then_query(home: Path) -> None:
    """Built at first, continued afterwards, and asked in three forms."""
    path = home / "analytics.duckdb"
    built = f"{path}: built anew (there was no warehouse yet), 2 events added, up to event 2.\n"
    assert say("refresh") == built
    assert say("refresh") == f"{path}: continued, 0 events added, up to event 2.\n"
    sql = (
        "SELECT version_id, state, entered_at, length_us / 1e6 AS s, ['[b]'] AS l, NULL AS n FROM all_stays ORDER BY 2"
    )
    assert json.loads(say("query", sql, "--json")) == [
        {
            "version_id": 1,
            "state": "submitted",
            "entered_at": "2026-03-02T00:00:00Z",
            "s": 5400.0,
            "l": ["[b]"],
            "n": None,
        },
        {"version_id": 1, "state": "in_review", "entered_at": "2026-03-02T01:30:00Z", "s": 167400.0}
        | {"l": ["[b]"], "n": None},
    ]
    assert say("query", sql.replace("['[b]']", "1"), "--csv") == (
        "version_id,state,entered_at,s,l,n\n"
        "1,submitted,2026-03-02T00:00:00Z,5400.0,1,\n"
        "1,in_review,2026-03-02T01:30:00Z,167400.0,1,\n"
    )
    printed = say("query", sql)
    assert "2026-03-02T01:30:00Z" in printed
    assert "['[b]']" in printed


def test_macros_are_listed_with_a_sentence_each(home: Path) -> None:
    """Every macro with its parameters, without a warehouse."""
    printed = say("macros")
    assert all(f"{macro.call}\n    {macro.sentence}\n" in printed for macro in MACROS)


def test_a_query_before_the_first_refresh(home: Path) -> None:
    """The message names the command that makes the warehouse."""
    with pytest.raises(WarehouseMissing, match="signoff metrics refresh"):
        say("query", "FROM wip()")


def test_a_query_that_cannot_be_answered(home: Path) -> None:
    """DuckDB's own words, and where to look."""
    say("refresh")
    with pytest.raises(QueryRefused, match="signoff metrics macros"):
        say("query", "FROM wop()")


def test_two_forms_at_once_are_wrong_usage(home: Path) -> None:
    """Exit code 2, as for any wrong usage."""
    result = CliRunner().invoke(app, ["query", "FROM wip()", "--json", "--csv"])
    assert result.exit_code == 2
