"""Screen one shard: read, take into custody, submit, inspect, classify, check rights, route, record. Safe to repeat."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from classifiers.classifier import Content
from ledger.reader import Unscreened, unscreened
from ledger.screen import record_clearances, record_inspections, record_screenings, record_verdicts
from ledger.submit import submit
from policies.document import PolicyDocument
from tasks.check_rights import RightsSubject, check_clearances, load_grants, machine_processing_forbidden
from tasks.classify_contents import classify_contents
from tasks.fetch_objects import fetch_objects, fetch_versions
from tasks.inspect_contents import Inspected, ToInspect, inspect_contents
from tasks.list_intake import Shard
from tasks.resources import PinnedPolicy, Resources, open_resources
from tasks.retries import RETRY_DELAYS_S, is_transient
from tasks.route_contents import Screening, route_contents

ACTOR = "system:ingest_assets"
NOT_ALLOWED_TO_LOOK = "the rights forbid machine processing"


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """What became of a shard: how many objects were new versions, known, vanished, and where the versions went."""

    number: int
    submitted: int = 0
    known: int = 0
    vanished: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """outcome (quarantine, automatic, review) → versions"""


@task(
    name="screen-shard",
    task_run_name="screen-shard-{shard.number}",
    retries=len(RETRY_DELAYS_S),
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=is_transient,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def screen_shard(shard: Shard, flow_run_id: str | None = None) -> ShardSummary:
    """Screen one shard in this process. Raises `TransientError` or `LedgerBusy` (retried) and permanent errors."""
    return screen(open_resources(), shard, flow_run_id)


def screen(resources: Resources, shard: Shard, flow_run_id: str | None = None) -> ShardSummary:
    """Bring the objects of a shard into the ledger and every submitted version of it through screening.

    Objects become versions first, in one transaction, with their bytes in custody: whatever happens afterwards, the
    next run finds them as `submitted` and goes on. What screening found and the step that follows are recorded in a
    second one.
    """
    active = resources.active_policy()
    with tempfile.TemporaryDirectory(prefix="signoff-shard-") as folder:
        spool = Path(folder)
        fetched = fetch_objects(resources.storage, shard.objects, active.document, spool)
        with resources.ledger.writing(resources.origin(ACTOR, flow_run_id)) as tx:
            submissions = submit(tx, [one.arrival for one in fetched.fetched], active.sha256)
        paths = {one.arrival.sha256: one.path for one in fetched.fetched}
        moved = [one.version_id for one in submissions if one.outcome != "known"]
        with resources.ledger.reading() as connection:
            versions = unscreened(connection, [*moved, *shard.version_ids])
        missing = [version for version in versions if version.sha256 not in paths]
        again = fetch_versions(resources.storage, missing, spool)
        paths.update({version.sha256: again[version.version_id] for version in missing})
        outcomes = _screen_versions(resources, versions, paths, active, flow_run_id)
    return ShardSummary(
        number=shard.number,
        submitted=len(moved),
        known=len(submissions) - len(moved),
        vanished=len(fetched.vanished),
        outcomes=outcomes,
    )


def _screen_versions(
    resources: Resources,
    versions: Sequence[Unscreened],
    paths: Mapping[str, Path],
    active: PinnedPolicy,
    flow_run_id: str | None,
) -> Mapping[str, int]:
    """Screen by the policy that each version is pinned to: nearly always the active one, in one batch."""
    outcomes: Counter[str] = Counter()
    inspected = inspect_contents(
        resources,
        {one.sha256: ToInspect(one.sha256, one.size_bytes, paths[one.sha256], one.key) for one in versions},
    )
    with resources.ledger.writing(resources.origin(ACTOR, flow_run_id)) as tx:
        record_inspections(tx, (one.record for one in inspected.values() if one.record))
    for policy_sha256 in dict.fromkeys(one.policy_sha256 for one in versions):
        pinned = active.document if policy_sha256 == active.sha256 else resources.policy(policy_sha256)
        batch = [one for one in versions if one.policy_sha256 == policy_sha256]
        outcomes.update(_screen_batch(resources, batch, pinned, inspected, paths, flow_run_id))
    return dict(outcomes)


def _screen_batch(
    resources: Resources,
    versions: Sequence[Unscreened],
    policy: PolicyDocument,
    inspected: Mapping[str, Inspected],
    paths: Mapping[str, Path],
    flow_run_id: str | None,
) -> Counter[str]:
    now = resources.clock.now()
    grants = load_grants(resources)
    subjects = [_subject(one, inspected[one.sha256]) for one in versions]
    clearances = check_clearances(subjects, policy, grants, now)
    forbidden = machine_processing_forbidden(subjects, grants, now)
    readable = [
        one for one in versions if one.version_id not in forbidden and not inspected[one.sha256].inspection.failure
    ]
    contents = [_content(one, inspected[one.sha256], paths[one.sha256]) for one in readable]
    verdicts = classify_contents(resources, contents, policy.classification.labels)
    allowed = {one.version_id for one in readable}
    screenings = [
        Screening(
            version=one,
            inspection=inspected[one.sha256].inspection,
            verdict=verdicts.get(one.sha256) if one.version_id in allowed else None,
            abstention=NOT_ALLOWED_TO_LOOK if one.version_id in forbidden else None,
            clearance=clearances[one.version_id],
        )
        for one in versions
    ]
    screened = route_contents(resources, screenings, policy)
    with resources.ledger.writing(resources.origin(ACTOR, flow_run_id)) as tx:
        record_verdicts(tx, verdicts.values())
        clearance_ids = record_clearances(tx, [clearances[one.version_id].record for one in versions])
        record_screenings(tx, screened, clearance_ids)
    return Counter(one.outcome for one in screened)


def _subject(version: Unscreened, inspected: Inspected) -> RightsSubject:
    return RightsSubject(
        version_id=version.version_id,
        key=version.key,
        collection=version.collection,
        kind=str(inspected.inspection.kind),
        embedded=inspected.inspection.embedded,
        people_detected=inspected.inspection.people_detected,
    )


def _content(version: Unscreened, inspected: Inspected, path: Path) -> Content:
    return Content(version.sha256, str(inspected.inspection.kind), path, inspected.inspection.text)
