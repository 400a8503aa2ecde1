"""The worker dies with its runs in the middle of an ingest: it comes back, and the ingest goes on where it was."""

from __future__ import annotations

import time
from uuid import uuid4

import psutil
import pytest

from cli.ingest import follow_ingest
from cli.stack.components import Part
from cli.stack.supervisor import STACK_PART, Supervisor
from tests.flows.library_watch import LibraryWatch
from tests.running_stack import RunningStack
from tests.workplace import Workplace

pytestmark = pytest.mark.stack

KEYS = [f"press/{uuid4().hex[:8]}/{number}.txt" for number in range(3)]
TAKEN_UP_WITHIN_S = 90.0


def test_a_worker_that_is_killed_with_its_run_loses_nothing(stack: RunningStack) -> None:
    """kill -9 of the worker and every process under it once versions are submitted; `up`, and the run is run again."""
    house = Workplace(stack, stack.config, stack.resources)
    house.put_contracts({"id": "C-PRESS", "collection": "press"})
    for key in KEYS:
        house.put(key, f"News about a company and its founder, as {key} has it, for the press.")
    with LibraryWatch(house), stack.worker_at_work():
        run_id = stack.api.start_run("ingest-assets/signoff")
        _await_submission(house)
        _kill_worker(stack)
        assert {house.states()[key] for key in KEYS} <= {"submitted", "in_review"}
        stack.start()
        follow_ingest(house.resources, run_id)
    assert {key: state for key, state in house.versions().items() if key[0] in KEYS} == {
        (key, 1): "in_review" for key in KEYS
    }
    for key in KEYS:
        assert [event["action"] for event in house.story(key)["events"] if event["to_state"]] == [
            "submit",
            "open_gates",
        ]


def _await_submission(house: Workplace) -> None:
    deadline = time.monotonic() + TAKEN_UP_WITHIN_S
    while not set(KEYS) <= set(house.states()):
        assert time.monotonic() < deadline, "the worker did not take the run up"
        time.sleep(0.05)  # between two looks at the ledger


def _kill_worker(stack: RunningStack) -> None:
    worker = psutil.Process(Supervisor(stack.home).running_pid(Part.WORKER) or 0)
    family = [worker, *worker.children(recursive=True)]
    assert len(family) > 1, "the run is a process of its own"
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=10)
    left = [one for one in stack.processes() if one.environ().get(STACK_PART) == Part.WORKER]
    _, alive = psutil.wait_procs(left, timeout=10)
    assert alive == [], "what a killed run had started ends by itself"
