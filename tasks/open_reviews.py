"""Bundle open gates into reviews; each review's first round is noted in the ledger before Prefect hears of it."""

from __future__ import annotations

from ledger.reviews import gates_without_review, open_reviews
from policies.review_bundles import bundle_gates
from tasks.resources import Resources


def bundle_reviews(resources: Resources, actor: str, flow_run_id: str | None = None) -> list[int]:
    """Open reviews for all gates that have none; returns their ids. Run twice, it opens nothing the second time."""
    with resources.ledger.reading() as connection:
        if not gates_without_review(connection):
            return []
    with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
        gates = gates_without_review(tx.connection)  # again, under the lock: two sweeps may run at once
        sizes = {sha256: resources.policy(sha256).approval.review_size for sha256 in {g.policy_sha256 for g in gates}}
        return open_reviews(tx, bundle_gates(gates, sizes))
