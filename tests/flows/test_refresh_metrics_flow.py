"""The flow on a real Prefect server: a table artifact, retries for what may pass, none for what will not."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.refresh_metrics import refresh_metrics
from tests.analytics.scripted_ledger import ScriptedLedger

ROOT = Path(__file__).parents[2]

if TYPE_CHECKING:
    from tests.conftest import PrefectServer


@pytest.fixture
def home(prefect_server: PrefectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder whose ledger has one version, at a time that stands still; the API is the session's server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGNOFF_HOME", str(tmp_path))
    monkeypatch.setenv("SIGNOFF_CLOCK", "2026-03-04T00:00:00Z")
    ledger = ScriptedLedger.at(tmp_path)
    ledger.born(1)
    ledger.walk(1, (0, "submit", "submitted"), (1, "open_gates", "in_review"), (5, "reject", "rejected"))
    ledger.close()
    with temporary_settings({PREFECT_API_URL: prefect_server.api_url}):
        yield tmp_path


def call(server: PrefectServer, path: str, body: dict[str, Any]) -> Any:
    """One call of the API."""
    return httpx.post(f"{server.api_url}{path}", json=body, trust_env=False, timeout=30).raise_for_status().json()


def test_the_main_numbers_become_an_artifact(home: Path, prefect_server: PrefectServer) -> None:
    """One row a measure, in words for people."""
    assert refresh_metrics().watermark_seq == 3
    filters = {"artifacts": {"key": {"any_": ["signoff-metrics"]}}}
    (artifact,) = call(prefect_server, "/artifacts/latest/filter", filters)
    assert artifact["type"] == "table"
    assert artifact["description"] == "As of 2026-03-04T00:00:00Z, event 3. Open items count."
    row = {"items": 1, "open": 0}
    assert json.loads(artifact["data"]) == [
        {"what": "lead time: submission to outcome", **row, "p50": "5.0 h", "p85": "5.0 h", "p95": "5.0 h"},
        {"what": "time in state in_review", **row, "p50": "4.0 h", "p85": "4.0 h", "p95": "4.0 h"},
        {"what": "time in state submitted", **row, "p50": "1.0 h", "p85": "1.0 h", "p95": "1.0 h"},
    ]


def test_a_refresh_that_runs_already_is_waited_for(home: Path) -> None:
    """The lock of another refresh is transient: a later try succeeds."""
    with (home / "analytics.duckdb.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        release = threading.Timer(1.0, fcntl.flock, (lock, fcntl.LOCK_UN))
        release.start()
        assert refresh_metrics().events_added == 3
        release.join()


def test_a_missing_ledger_is_not_tried_again(home: Path, prefect_server: PrefectServer) -> None:
    """A permanent error ends the run at its first attempt, with the reason.

    In a process of its own, as a worker runs it: what a task run went through is told by a connection that a process
    makes once, to the server of its first run.
    """
    (home / "ledger.db").unlink()
    environment = os.environ | {"PREFECT_API_URL": prefect_server.api_url}
    code = "from flows.refresh_metrics import refresh_metrics; refresh_metrics()"
    run = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode != 0
    assert "There is no ledger at" in run.stderr
    assert "Retrying" not in run.stderr
    (flow_run,) = call(
        prefect_server,
        "/flow_runs/filter",
        {
            "sort": "END_TIME_DESC",
            "limit": 1,
            "flows": {"name": {"any_": ["refresh-metrics"]}},
            "flow_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}},
        },
    )
    assert flow_run["state_type"] == "FAILED"
    assert "There is no ledger at" in flow_run["state"]["message"]
