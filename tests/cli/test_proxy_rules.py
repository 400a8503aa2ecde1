"""The proxy of docs/identity.md lets people read and answer, and nothing else that Prefect's server offers."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "identity.md"
RULES = [
    (re.compile(pattern), verdict == "1")
    for pattern, verdict in re.findall(r'^    "~(.+)" ([01]);$', GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
]
ID = UUID(int=0x5A5A5A5A5A5A4A5A8A5A5A5A5A5A5A5A)  # the same in each of several test processes
RUN = f"/api/flow_runs/{ID}"


def may(method: str, path: str) -> bool:
    """What nginx decides: the first expression of the map that matches, else its default, no."""
    return next((verdict for pattern, verdict in RULES if pattern.search(f"{method}:{path}")), False)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/runs"),
        ("GET", "/api/ui-settings"),
        ("GET", RUN),
        ("GET", f"{RUN}/input/schema"),
        ("GET", f"{RUN}/input/description"),
        ("GET", "/api/events/out"),
        ("POST", f"{RUN}/resume"),
        ("POST", "/api/flow_runs/filter"),
        ("POST", "/api/flow_runs/count"),
        ("POST", "/api/flow_runs/paginate"),
        ("POST", "/api/deployments/paginate"),
        ("POST", "/api/logs/filter"),
        ("POST", "/api/artifacts/latest/filter"),
        ("POST", "/api/ui/flow_runs/history"),
        ("POST", "/api/events/count-by/day"),
    ],
)
def test_what_people_need(method: str, path: str) -> None:
    """The pages, their lists, the form, and Resume."""
    assert may(method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{RUN}/input/response"),
        ("POST", f"{RUN}/input"),
        ("POST", f"{RUN}/input/filter"),
        ("DELETE", f"{RUN}/input/response"),
        ("POST", f"{RUN}/set_state"),
        ("POST", "/api/flow_runs/bulk_set_state"),
        ("POST", "/api/flow_runs/bulk_delete"),
        ("POST", "/api/flow_runs/"),
        ("PATCH", RUN),
        ("DELETE", RUN),
        ("POST", f"/api/deployments/{ID}/create_flow_run"),
        ("POST", f"/api/deployments/{ID}/create_flow_run/bulk"),
        ("POST", "/api/deployments/"),
        ("POST", "/api/automations/"),
        ("POST", "/api/variables/"),
        ("POST", "/api/block_documents/"),
        ("GET", "/api/events/in"),
        ("GET", "/api/logs/in"),
        ("POST", "/api/events"),
        ("POST", "/api/work_pools/signoff/get_scheduled_flow_runs"),
        ("DELETE", "/api/ui/anything"),
    ],
)
def test_what_nobody_does_through_it(method: str, path: str) -> None:
    """Inputs, states, runs, deployments, automations: theirs who reach the server itself."""
    assert not may(method, path)


def test_the_rules_were_found() -> None:
    """All lines of the map were read from the guide."""
    assert len(RULES) == 8
