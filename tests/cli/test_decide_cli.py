"""`signoff decide` says what became of the answer, and fails when nothing of it counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tasks.park_run import DESCRIPTION, resume_run
from tasks.prefect_api import PrefectApi
from tests.running_stack import Said
from tests.workplace import Workplace

pytestmark = pytest.mark.stack

KEY = "text/slogan.txt"


@pytest.fixture
def row(workplace: Workplace) -> dict[str, Any]:
    """The review of one asset, as it waits."""
    workplace.put(KEY, "The words of this slogan are plain and waiting.")
    workplace.ingest()
    return workplace.reviews()[0]


def decide(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], *options: str, first: Callable[[], Any]
) -> Said:
    """Answer from the terminal; `first` happens after the resume, and then the run is gone on with."""

    def resume(api: PrefectApi, run: str, answer: dict[str, Any]) -> Any:
        change = resume_run(api, run, answer)
        first()
        workplace.go_on(run)
        return change

    with monkeypatch.context() as patched:
        patched.setattr("tasks.park_run.resume_run", resume)
        return workplace.say("decide", str(row["review"]), "approve", "--as", "mei", *options)


def test_an_answer_that_is_refused_is_a_failure(
    workplace: Workplace, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stood above the form was exchanged while the answer was on its way: exit code 1, with the reason."""

    def exchange() -> None:
        run = workplace.reviews()[0]["flow_run_id"]
        workplace.stack.api.delete_input(run, DESCRIPTION)
        workplace.stack.api.write_input(run, DESCRIPTION, '"Only harmless pictures."')

    said = decide(workplace, monkeypatch, row, first=exchange)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(
        f"error: the answer to review {row['review']} was not taken: The last answer was not acc"
    )
    again = workplace.reviews()[0]
    said = decide(workplace, monkeypatch, again, "--json", first=exchange)
    found = json.loads(said.out)
    assert (said.code, found["counted"], found["closed"]) == (1, 0, False)
    assert found["refused"] == ["not acceptable: what stood above the form had been exchanged"]
    assert workplace.library() == {}


def test_an_answer_that_counts_says_how_often(
    workplace: Workplace, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One decision, which counted; the review is closed."""
    said = decide(workplace, monkeypatch, row, first=lambda: None)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[-2:] == ["1 of 1 decisions counted.", "The review is closed."]
    assert list(workplace.library()) == [KEY]
