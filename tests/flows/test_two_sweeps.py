"""Two sweeps that park the same reviews at once leave one run a round, with one whole form, recorded as it is shown."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest

from ledger.review import load_review
from ledger.rounds import close_round
from tasks.park_reviews import park_reviews
from tasks.park_run import DESCRIPTION, SCHEMA, read_schema
from tasks.resources import Resources
from tests.workplace import MakeWorkplace

pytestmark = pytest.mark.stack

COUNT = 10


def test_two_sweeps_at_once_park_each_review_once(make_workplace: MakeWorkplace) -> None:
    """Both see every round waiting and begin together: whoever comes second finds the run, the form and the mark."""
    workplace = make_workplace(review_size=1)
    for number in range(COUNT):
        workplace.put(f"text/{number}.txt", f"The slogan with number {number} waits for somebody.")
    workplace.ingest()
    resources = workplace.resources
    with resources.ledger.writing(resources.origin("system:test")) as tx:
        for row in workplace.reviews():
            assert close_round(tx, row["review"], 1, "replaced", "asked again") == 2
    together = Barrier(2)

    def sweep(actor: str) -> list[int]:
        with closing(Resources(resources.settings)) as own:
            together.wait(timeout=30)
            return [one.review_id for one in park_reviews(own, actor)]

    with ThreadPoolExecutor(2) as pool:
        told = [one for ones in pool.map(sweep, ("system:one", "system:other")) for one in ones]
    waiting = workplace.reviews()
    assert [(row["round"], row["status"]) for row in waiting] == [(2, "parked")] * COUNT
    assert len({row["flow_run_id"] for row in waiting}) == COUNT
    assert set(told) == {row["review"] for row in waiting}
    marks = "SELECT count(*) FROM events WHERE action = 'park_review'"
    assert workplace.rows(marks) == [(2 * COUNT,)]
    api = resources.prefect
    for row in waiting:
        with resources.ledger.reading() as connection:
            review = load_review(connection, row["review"])
        shown = read_schema(api, row["flow_run_id"]) or {}
        assert shown["x-signoff"]["basis"] == review.basis
        assert review.items[0].key.rpartition("/")[2] in (api.read_input(row["flow_run_id"], DESCRIPTION) or "")
        assert api.read_input(row["flow_run_id"], SCHEMA)
    workplace.decide_all()
    assert set(workplace.states().values()) == {"published"}
