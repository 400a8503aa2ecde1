"""Runs that die anywhere (kill -9): the next one ends where it would have ended, once, and nothing leaks on the way."""

from __future__ import annotations

import os
from contextlib import suppress

import psutil
import pytest

from flows.carry_out_effects import carry_out_effects
from flows.ingest_assets import ingest_assets
from ledger.review import load_review
from ledger.rounds import tokens_of_rounds
from tasks.park_reviews import idempotency_key
from tasks.settings import CONFIG_VARIABLE
from tests.flows.killed_run import Point, run_until_killed
from tests.flows.library_watch import LibraryWatch
from tests.flows.pictures import broken_picture
from tests.workplace import MakeWorkplace, Workplace

pytestmark = pytest.mark.stack

ENDED_WITHIN_S = 15.0

SCREENING = (
    Point("bytes in custody, before the submit", "tasks.screen_shard:submit"),
    Point("submitted, before the screening", "tasks.screen_shard:inspect_contents"),
    Point("in the transaction of the screening", "tasks.screen_shard:record_screenings", after=True),
    Point("between two shards", "flows.shard_runner:screen", call=2),
)
PARKING = (
    Point("routed, before the reviews are opened", "flows.ingest_assets:bundle_reviews"),
    Point("noted, before the first call of parking", "tasks.park_reviews:park_runs"),
    Point("run made, before its description", "tasks.prefect_api:PrefectApi.create_runs", after=True),
    Point("description written, before the form", "tasks.prefect_api:PrefectApi.write_input", after=True),
    Point("form written, before the mark", "tasks.park_reviews:mark_parked"),
    Point("one review marked, in the transaction of all", "tasks.park_reviews:mark_parked", after=True),
)
PUBLISHING = (
    Point("attempt counted, before the copy", "tasks.storage:Storage.copy"),
    Point("copied, before it is read back", "tasks.storage:Storage.copy", after=True),
    Point("copied and read back, before the mark", "tasks.carry_out_effects:_complete"),
    Point("in the transaction of the mark", "ledger.effects:move", call=2, after=True),
)


@pytest.mark.parametrize(("points", "review_size"), [(SCREENING, 5), (PARKING, 1)], ids=["screening", "parking"])
def test_an_ingest_that_is_killed_is_finished_by_the_next(
    points: tuple[Point, ...], review_size: int, make_workplace: MakeWorkplace
) -> None:
    """Killed at one point after the other: every asset ends where it would have, none twice, and can be decided."""
    workplace = make_workplace(shard_size=4, review_size=review_size)
    texts = [f"text/{number}.txt" for number in range(5)]
    sha256s = {key: workplace.put(key, f"Plain words of {key}, long enough to be text.") for key in texts}
    sha256s["notes/one.txt"] = workplace.put("notes/one.txt", "A note that a rule approves, as its rights are clear.")
    sha256s["text/broken.jpg"] = workplace.put("text/broken.jpg", broken_picture())
    with LibraryWatch(workplace):
        for point in points:
            run_until_killed(workplace, ingest_assets, point)
        workplace.ingest()
    assert workplace.versions() == {
        **{(key, 1): "in_review" for key in texts},
        ("notes/one.txt", 1): "published",
        ("text/broken.jpg", 1): "quarantined",
    }
    assert workplace.library() == {"notes/one.txt": sha256s["notes/one.txt"]}
    life = "SELECT assets.key, action FROM events JOIN versions USING (version_id) JOIN assets USING (asset_id)"
    assert sorted(workplace.rows(f"{life} WHERE to_state IS NOT NULL")) == sorted(
        [(key, step) for key in texts for step in ("submit", "open_gates")]
        + [("notes/one.txt", step) for step in ("submit", "approve", "publish")]
        + [("text/broken.jpg", step) for step in ("submit", "quarantine")]
    )
    reviews = workplace.reviews()
    of_texts = [(row["assets"], row["status"]) for row in reviews if row["stage"] != "quarantine"]
    assert of_texts == [(review_size, "parked")] * (5 // review_size)
    assert runs_of_reviews(workplace) == sorted(row["flow_run_id"] for row in reviews)
    workplace.decide_all()
    assert workplace.library() == {key: sha256 for key, sha256 in sha256s.items() if key != "text/broken.jpg"}


def test_a_publication_that_is_killed_is_finished_by_the_next_sweep(workplace: Workplace) -> None:
    """What was approved is published once, with the approved bytes, whatever killed sweeps left in the library."""
    sha256 = workplace.put("notes/one.txt", "A note that a rule approves, as its rights are clear.")
    with LibraryWatch(workplace):
        run_until_killed(workplace, ingest_assets, Point("before publishing", "flows.ingest_assets:carry_out"))
        assert workplace.states() == {"notes/one.txt": "approved"}
        for point in PUBLISHING:
            run_until_killed(workplace, carry_out_effects, point)
        workplace.sweep()
    assert workplace.library() == {"notes/one.txt": sha256}
    assert workplace.actions("notes/one.txt") == ["submit", "approve", "open_effect", "publish"]
    assert workplace.rows("SELECT kind, status, attempts FROM effects") == [("publish", "done", 5)]


def test_a_killed_publication_that_may_not_go_on_is_taken_back(workplace: Workplace) -> None:
    """Copied, killed before the mark, and then the contract ends: the next sweep takes the bytes out of the library."""
    workplace.put("notes/one.txt", "A note that a rule approves, as its rights are clear.")
    copied = Point("copied and read back, before the mark", "tasks.carry_out_effects:_complete")
    run_until_killed(workplace, ingest_assets, copied)
    assert list(workplace.library()) == ["notes/one.txt"]
    workplace.put_contracts(*({"id": "C-STOP", "effect": "prohibit", "collection": "notes"},))
    workplace.ingest()
    assert workplace.library() == {}
    assert workplace.states() == {"notes/one.txt": "approved"}


def runs_of_reviews(workplace: Workplace) -> list[str]:
    """Ids of every run that Prefect has for the reviews of this ledger, whatever their state."""
    rounds = workplace.rows("SELECT review_id, round FROM parkings")
    with workplace.resources.ledger.reading() as connection:
        tokens = tokens_of_rounds(connection, [(review_id, number) for review_id, number in rounds])
        keys = [idempotency_key(load_review(connection, *one), tokens[one]) for one in tokens]
    wanted = {"flow_runs": {"idempotency_key": {"any_": keys}}, "limit": 200}
    return sorted(run["id"] for run in workplace.stack.api.post("flow_runs/filter", wanted))


def test_what_a_killed_run_had_started_ends_by_itself(make_workplace: MakeWorkplace) -> None:
    """The processes that screened shards for it, and their sandboxes, do not outlive a run that was killed."""
    workplace = make_workplace(shard_size=2, processes=2)
    for number in range(4):
        workplace.put(f"text/{number}.txt", f"Plain words, the {number}th of their kind, and long enough to be text.")
    run_until_killed(workplace, ingest_assets, Point("a shard is done", "flows.ingest_assets:bundle_reviews"))
    _, alive = psutil.wait_procs(processes_of(workplace), timeout=ENDED_WITHIN_S)
    assert alive == []
    workplace.ingest()
    assert set(workplace.states().values()) == {"in_review"}
    assert len(workplace.rows("SELECT 1 FROM events WHERE action = 'submit'")) == 4


def processes_of(workplace: Workplace) -> list[psutil.Process]:
    """Every other process that works with this workplace's settings."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # of another user, or gone
            if process.pid != os.getpid() and process.environ().get(CONFIG_VARIABLE) == str(workplace.config):
                found.append(process)
    return found
