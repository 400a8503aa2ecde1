"""Park reviews: a suspended flow run each, made without a process, and marked in the ledger afterwards."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ledger.errors import StaleVersion
from ledger.reviews import Review, close_emptied_reviews, close_round, load_review, mark_parked, parkings_to_do
from policies.review_form import form_description, form_schema
from tasks.draw_review import draw_review, due_of
from tasks.errors import ReviewRunLost
from tasks.park_run import close_run, park_run
from tasks.resources import Resources

DEPLOYMENT: Final = "decide-review/signoff"
_ATTEMPTS: Final = 3
_AT_ONCE: Final = 2
"""One review is drawn while another one's calls are under way; more at once only wait for the server's database."""


@dataclass(frozen=True, slots=True)
class ParkedReview:
    """A round that now waits for its reviewers in Prefect."""

    review_id: int
    round: int
    stage: str
    collection: str
    assets: int
    due_at: datetime
    flow_run_id: str
    url: str


def park_reviews(resources: Resources, actor: str, flow_run_id: str | None = None) -> list[ParkedReview]:
    """Park every round that the ledger notes as `to park`, after closing the reviews that have become empty.

    Three calls to Prefect's API a review, however many assets it holds. A crash anywhere is mended by the next call:
    the run's idempotency key is (review, round). Raises `PrefectAway` (transient) with the rest still to park.
    """
    close_emptied(resources, actor, flow_run_id)
    with resources.ledger.reading() as connection:
        waiting = parkings_to_do(connection)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="park") as pool:
        futures = [pool.submit(_park_until_held, resources, *one, actor, flow_run_id) for one in waiting]
        parked = [future.result() for future in futures]
    return [one for one in parked if one is not None]


def close_emptied(resources: Resources, actor: str, flow_run_id: str | None = None) -> Sequence[str]:
    """Close reviews none of whose gates is open (superseded, voided), here and in Prefect; returns their run ids."""
    with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
        runs = close_emptied_reviews(tx)
    for run in runs:
        close_run(resources.prefect, run, "Nothing is left to decide in this review: its assets moved on.")
    return runs


def _park_until_held(
    resources: Resources, review_id: int, round_number: int, actor: str, flow_run_id: str | None
) -> ParkedReview | None:
    """Park one round; if its run was ended in Prefect before it was marked, park the next round instead."""
    for _ in range(_ATTEMPTS):
        with resources.ledger.reading() as connection:
            review = load_review(connection, review_id, round_number)
        if review.status != "to_park" or not review.open_items:
            return None
        try:
            return _park(resources, review, actor, flow_run_id)
        except ReviewRunLost as lost:
            with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
                following = close_round(tx, review_id, round_number, "replaced", f"The run before was {lost.state}.")
            if following is None:
                return None
            round_number = following
        except StaleVersion:
            return None  # somebody else parked or closed it meanwhile
    return None


def _park(resources: Resources, review: Review, actor: str, flow_run_id: str | None) -> ParkedReview:
    due = due_of(resources, review, resources.policy(review.policy_sha256))
    sheet = draw_review(resources, review)
    run = park_run(
        resources.prefect,
        DEPLOYMENT,
        idempotency_key=idempotency_key(review),
        name=run_name(review),
        tags=["signoff", f"stage:{review.stage}", f"collection:{review.collection}"],
        schema=form_schema(sheet),
        description=form_description(sheet),
    )
    basis = shown_basis(run.schema) or {item.gate_id: item.basis for item in review.open_items}
    with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
        mark_parked(tx, review.review_id, review.round, run.flow_run_id, basis, due)
    return ParkedReview(
        review_id=review.review_id,
        round=review.round,
        stage=review.stage,
        collection=review.collection,
        assets=len(review.open_items),
        due_at=due,
        flow_run_id=run.flow_run_id,
        url=run.url,
    )


def idempotency_key(review: Review) -> str:
    """Names this round of this review in this ledger for Prefect.

    The opening time is part of it: a ledger that was begun anew must not find the runs of the one before.
    """
    return f"signoff-review-{review.review_id}-{review.opened_at:%Y%m%dT%H%M%S.%f}-round-{review.round}"


def parse_idempotency_key(key: str) -> tuple[int, int] | None:
    """(review, round) that a key names, None if it is not one of ours.

    >>> parse_idempotency_key("signoff-review-12-20261124T080000.000000-round-3")
    (12, 3)
    """
    found = re.fullmatch(r"signoff-review-(\d+)-[\dT.]+-round-(\d+)", key)
    return None if found is None else (int(found[1]), int(found[2]))


def run_name(review: Review) -> str:
    """What the run list shows."""
    again = f" · round {review.round}" if review.round > 1 else ""
    return f"review {review.review_id} · {review.stage} · {review.collection}{again}"


def shown_basis(schema: Mapping[str, Any] | None) -> dict[int, str]:
    """Gate id → basis, of what a form in Prefect shows; an earlier attempt than the present one may have written it."""
    shown = (schema or {}).get("x-signoff", {}).get("basis", {})
    return {int(gate_id): str(basis) for gate_id, basis in shown.items()}
