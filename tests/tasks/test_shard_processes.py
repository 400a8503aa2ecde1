"""Processes that screen shards: light, replaced when lost, gone with the run that started them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import psutil
import pytest

from tasks.draw_review import draw_review
from tasks.errors import ShardProcessLost, StackDown
from tasks.list_intake import Shard
from tasks.shard_processes import ShardProcesses, read_message, write_message
from tests.workplace import MakeWorkplace

WORDS = "Plain words, long enough to be text, of a note that waits for somebody."


def children() -> list[psutil.Process]:
    """The processes that screen shards for this one."""
    return [one for one in psutil.Process().children() if "tasks.start_shard_process" in one.cmdline()]


def test_a_process_that_screens_shards_holds_no_prefect_and_no_model() -> None:
    """What it imports before its first shard says nothing to Prefect and loads no weights."""
    code = "import sys, tasks.shard_processes, tasks.route_contents; print({'prefect', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"


def test_an_error_of_a_shard_is_raised_in_the_run_and_the_process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same error with its trace as a note; the next shard is screened by the same process."""
    for name in [name for name in os.environ if name.startswith("SIGNOFF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SIGNOFF_DATABASE__URL", "sqlite://")
    with ShardProcesses(1) as processes:
        (child,) = children()
        for _ in range(2):
            with pytest.raises(Exception, match="ledger") as failed:
                processes.screen(Shard(1), None)
            assert "in a process that screens shards" in failed.value.__notes__[0]
            assert not isinstance(failed.value, StackDown)
        assert children() == [child]
    assert children() == []


def zombie(process: psutil.Process) -> bool:
    """Whether it ended and nobody asked for its exit code yet."""
    return process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("waits", [True, False], ids=["before the request", "around the request"])
def test_a_process_that_is_lost_fails_its_shard_and_is_replaced(waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before it answers: the shard fails as one to be tried again, and another process is there for it."""
    monkeypatch.setenv("SIGNOFF_DATABASE__URL", "sqlite://")
    with ShardProcesses(1) as processes:
        (child,) = children()
        child.kill()
        while waits and not zombie(child):
            pass
        with pytest.raises(ShardProcessLost, match="exit code -9"):
            processes.screen(Shard(1), None)
        assert children() == []
        with pytest.raises(Exception, match="ledger") as failed:
            processes.screen(Shard(1), None)
        assert not isinstance(failed.value, ShardProcessLost)
        (another,) = children()
        assert another != child


def test_a_request_that_cannot_be_read_ends_the_process_and_not_the_wait() -> None:
    """A shard that the other side cannot unpickle is lost at once instead of waited for."""
    with ShardProcesses(1) as processes, pytest.raises(ShardProcessLost, match="exit code 1"):
        processes.screen(Unreadable(1), None)


class Unreadable(Shard):
    """A shard that can be pickled and not unpickled."""

    __slots__ = ()

    def __reduce__(self) -> Any:
        return (int, ("no number",))


def test_a_message_that_is_cut_off_is_the_end() -> None:
    """Whatever part of a message came before the other side went: it is no message."""
    message: Any = (Shard(7, version_ids=(1, 2)), "run")
    for kept in (0, 3, 8, 20):
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as there, os.fdopen(writing, "wb") as here:
            write_message(here, message)
            whole = there.read1()
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as there:
            with os.fdopen(writing, "wb") as here:
                here.write(whole[:kept])
            with pytest.raises(EOFError):
                read_message(there)


@pytest.mark.stack
def test_reviews_that_are_full_are_parked_while_shards_are_screened(make_workplace: MakeWorkplace) -> None:
    """Three shards, reviews of two: what is full after a shard is parked before the next, the rest at the end."""
    workplace = make_workplace(shard_size=2, review_size=2, processes=1)
    for number in range(5):
        workplace.put(f"text/{number}.txt", f"{WORDS} {number}")
    workplace.put("notes/one.txt", f"{WORDS} A rule approves it.")
    workplace.ingest()
    assert [row["assets"] for row in workplace.reviews()] == [2, 2, 1]
    steps = workplace.rows(
        "SELECT action FROM events WHERE action IN ('submit', 'park_review', 'publish') ORDER BY seq"
    )
    order = [action for (action,) in steps]
    assert order.index("publish") < len(order) - 1 - order[::-1].index("submit")
    assert order.count("park_review") == 3
    assert order.index("park_review") < len(order) - 1 - order[::-1].index("submit")


@pytest.mark.stack
def test_a_review_that_cannot_be_drawn_stops_neither_shards_nor_other_reviews(
    make_workplace: MakeWorkplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of three reviews cannot be drawn: all shards are screened, two are parked, the run fails."""
    workplace = make_workplace(shard_size=2, review_size=2, processes=1)
    for number in range(5):
        workplace.put(f"text/{number}.txt", f"{WORDS} {number}")
    with monkeypatch.context() as patched:
        patched.setattr("tasks.park_reviews.draw_review", _draw_all_but_the_first)
        with pytest.raises(LookupError, match="this review cannot be drawn"):
            workplace.ingest()
    assert list(workplace.states().values()) == ["in_review"] * 5
    assert {row["review"]: row["status"] for row in workplace.reviews()} == {1: "to_park", 2: "parked", 3: "parked"}
    workplace.ingest()
    assert [row["status"] for row in workplace.reviews()] == ["parked"] * 3


def _draw_all_but_the_first(resources: Any, review: Any) -> Any:
    if review.review_id == 1:
        raise LookupError("this review cannot be drawn")
    return draw_review(resources, review)
