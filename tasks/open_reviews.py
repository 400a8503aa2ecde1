"""Bundle open gates, and what is held in quarantine, into reviews, noted in the ledger before Prefect hears of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ledger.held import HeldVersion, held_without_review, open_held_reviews
from ledger.reviews import count_gates_without_review, gates_without_review, open_reviews
from policies.calendars import due_at
from policies.review_bundles import bundle_gates
from tasks.resources import Resources


def bundle_reviews(
    resources: Resources, actor: str, flow_run_id: str | None = None, *, only_full: bool = False
) -> list[int]:
    """Open reviews for all gates and held versions that have none; returns their ids. Run twice, it opens nothing more.

    With `only_full`, for as many gates as fill reviews: the others, and what is held, may still get company.
    """
    with resources.ledger.reading() as connection:
        if count_gates_without_review(connection) == 0 and (only_full or not held_without_review(connection)):
            return []
    with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
        gates = gates_without_review(tx.connection)  # under the lock: two sweeps may run at once
        pinned = {one.policy_sha256 for one in gates}
        sizes = {sha256: resources.policy(sha256).approval.review_size for sha256 in pinned}
        opened = open_reviews(tx, bundle_gates(gates, sizes, only_full=only_full))
        if not only_full:
            opened += open_held_reviews(tx, _bundled_held(resources, held_without_review(tx.connection)))
        return opened


def _bundled_held(
    resources: Resources, held: Sequence[HeldVersion]
) -> list[tuple[str, datetime, Sequence[HeldVersion]]]:
    """What is held, by collection and policy: its owner, when the time of the first one is over, and the versions."""
    bundles: dict[tuple[str, str], list[HeldVersion]] = {}
    for one in held:
        bundles.setdefault((one.collection, one.policy_sha256), []).append(one)
    groups: list[tuple[str, datetime, Sequence[HeldVersion]]] = []
    for (_, policy_sha256), versions in bundles.items():
        policy = resources.policy(policy_sha256)
        size, quarantine = policy.approval.review_size, policy.screening.quarantine
        for start in range(0, len(versions), size):
            together = versions[start : start + size]
            due = due_at(policy.calendar, min(one.since_at for one in together), quarantine.deadline.within)
            groups.append((quarantine.owner, due, together))
    return groups
