"""Bundle open gates into reviews; each review's first round is noted in the ledger before Prefect hears of it."""

from __future__ import annotations

from ledger.reviews import count_gates_without_review, gates_without_review, open_reviews
from policies.review_bundles import bundle_gates
from tasks.resources import Resources


def bundle_reviews(
    resources: Resources, actor: str, flow_run_id: str | None = None, *, only_full: bool = False
) -> list[int]:
    """Open reviews for all gates that have none; returns their ids. Run twice, it opens nothing the second time.

    With `only_full`, for as many of them as fill reviews: the others may still get company.
    """
    with resources.ledger.reading() as connection:
        if count_gates_without_review(connection) == 0:
            return []
    with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
        gates = gates_without_review(tx.connection)  # under the lock: two sweeps may run at once
        pinned = {one.policy_sha256 for one in gates}
        sizes = {sha256: resources.policy(sha256).approval.review_size for sha256 in pinned}
        return open_reviews(tx, bundle_gates(gates, sizes, only_full=only_full))
