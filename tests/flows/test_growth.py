"""What grows with the work and what does not: processes, and calls to Prefect's API."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.flows.counting_relay import relay_to
from tests.workplace import MakeWorkplace

pytestmark = pytest.mark.stack

REVIEWS = 13
SAMPLES = ((52, 4, 26), (520, 40, 260))
"""Assets, assets a review, assets a shard: thirteen reviews and two shards, whatever the number of assets."""

NOT_OF_THE_WORK = {"POST /api/logs/", "GET /api/admin/version", "GET /api/csrf-token", "GET /api/events/in"} | {
    "GET /api/flows/ID"
}
"""Calls that a process makes when it is new, and log lines, which are sent every so many seconds."""


def test_calls_grow_with_reviews_and_shards_and_processes_with_nothing(make_workplace: MakeWorkplace) -> None:
    """Ten times the assets in as many reviews and shards: the same calls to Prefect, and no process more."""
    counts: list[Counter[str]] = []
    processes: list[int] = []
    for assets, review_size, shard_size in SAMPLES:
        workplace = make_workplace(review_size=review_size, shard_size=shard_size)
        processes.append(len(workplace.stack.processes()))
        for number in range(assets):
            workplace.put(
                f"text/{number:03}.txt", f"Plain words, the {number}th of their kind, and all of them differ."
            )
        with relay_to(workplace.stack.settings.prefect_api) as relay:
            workplace.ingest(api_url=relay.url, PREFECT__API_URL=relay.url)
        assert set(workplace.states().values()) == {"in_review"}
        assert [(row["assets"], row["status"]) for row in workplace.reviews()] == [(review_size, "parked")] * REVIEWS
        counts.append(relay.counts)
        processes.append(len(workplace.stack.processes()))
    assert len(set(processes)) == 1, "two times thirteen reviews wait, and no process more than before runs"
    calls = [{what: number for what, number in count.items() if what not in NOT_OF_THE_WORK} for count in counts]
    assert calls[0] == calls[1]
    assert abs(counts[0].total() - counts[1].total()) <= 10
    parking = Counter({what: n for what, n in counts[0].items() if "/input" in what or "create_flow_run" in what})
    assert parking.pop("POST /api/flow_runs/ID/input") == 2 * REVIEWS
    assert parking.keys() == {"POST /api/deployments/ID/create_flow_run/bulk"}, "runs of reviews are made together"
    assert parking.total() <= 4, "at most one call after each shard"
    assert counts[0].total() < 4 * REVIEWS + 60
