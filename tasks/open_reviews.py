"""Bundle open gates, what is held and what was sent back into reviews, noted in the ledger before Prefect hears."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from ledger.delegations import stand_in_at_new_gates
from ledger.eligibility import group_members
from ledger.held import HeldVersion, held_without_review, open_held_reviews
from ledger.reviews import count_gates_without_review, gates_without_review, open_reviews
from policies.calendars import due_at
from policies.document import PolicyDocument
from policies.errors import PolicyInvalid
from policies.lifecycle import State
from policies.review_bundles import bundle_gates
from tasks.resources import Resources


def bundle_reviews(
    resources: Resources, actor: str, flow_run_id: str | None = None, *, only_full: bool = False
) -> list[int]:
    """Open reviews for all gates, and versions that wait by themselves, that have none; returns their ids.

    Run twice, it opens nothing more. With `only_full`, for as many gates as fill reviews: the others, what is held and
    what was sent back may still get company.
    """
    with resources.ledger.reading() as connection:
        if count_gates_without_review(connection) == 0 and (only_full or not held_without_review(connection)):
            return []
    with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
        stand_in_at_new_gates(tx)
        gates = gates_without_review(tx.connection)  # under the lock: two sweeps may run at once
        sizes = _review_sizes(resources, {one.policy_sha256 for one in gates})
        opened = open_reviews(
            tx, bundle_gates([one for one in gates if one.policy_sha256 in sizes], sizes, only_full=only_full)
        )
        if not only_full:
            held = held_without_review(tx.connection)
            present = group_members(tx.connection)[0] if held else {}
            opened += open_held_reviews(tx, _bundled_held(resources, held, present))
        return opened


def left_behind(resources: Resources) -> list[tuple[str, str]]:
    """(SHA-256, why) of policies that are refused today and have open gates, which therefore no review carries."""
    with resources.ledger.reading() as connection:
        if count_gates_without_review(connection) == 0:
            return []
        pinned = {one.policy_sha256 for one in gates_without_review(connection)}
    found: list[tuple[str, str]] = []
    for sha256 in sorted(pinned):
        try:
            resources.policy(sha256)
        except PolicyInvalid as error:
            found.append((sha256, str(error)))
    return found


def _review_sizes(resources: Resources, pinned: Collection[str]) -> dict[str, int]:
    """By policy, how many assets a review may hold; without policies that are refused today, whose gates are left."""
    sizes: dict[str, int] = {}
    for sha256 in pinned:
        with suppress(PolicyInvalid):  # `left_behind` tells which
            sizes[sha256] = resources.policy(sha256).approval.review_size
    return sizes


def _bundled_held(
    resources: Resources, held: Sequence[HeldVersion], present: Mapping[str, frozenset[int]]
) -> list[tuple[str, datetime, Sequence[HeldVersion]]]:
    """What waits by itself, by state, collection, policy and whom to ask: who, when the first one's time is over.

    Versions of a policy that is refused today are left for when it is not.
    """
    bundles: dict[tuple[str, str, str, str], list[HeldVersion]] = {}
    for one in held:
        try:
            policy = resources.policy(one.policy_sha256)
        except PolicyInvalid:
            continue  # `fire_rungs` tells which
        bundles.setdefault((one.state, one.collection, one.policy_sha256, _asked(policy, one, present)), []).append(one)
    groups: list[tuple[str, datetime, Sequence[HeldVersion]]] = []
    for (state, _, policy_sha256, asked), versions in bundles.items():
        policy = resources.policy(policy_sha256)
        rules = policy.approval
        deadline = policy.screening.quarantine.deadline if state == State.QUARANTINED else rules.changes_requested
        for start in range(0, len(versions), rules.review_size):
            together = versions[start : start + rules.review_size]
            due = due_at(policy.calendar, min(one.since_at for one in together), deadline.within)
            groups.append((asked, due, together))
    return groups


def _asked(policy: PolicyDocument, one: HeldVersion, present: Mapping[str, frozenset[int]]) -> str:
    """Whose people decide: the owner of the quarantine; who submitted what was sent back, or owns its collection.

    The owner stands in for a submitter who is not known, and for a group that has nobody now.
    """
    if one.state == State.QUARANTINED:
        return policy.screening.quarantine.owner
    if one.submitter is not None and present.get(one.submitter):
        return one.submitter
    from tasks.check_rights import collection_of  # brings polars along, which no review's process waits for

    return collection_of(policy, one.collection, one.key).owner
