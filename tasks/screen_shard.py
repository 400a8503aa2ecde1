"""Screen one shard: read, take into custody, submit, inspect, classify, check rights, route, record. Safe to repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from classifiers.classifier import Content
from ledger.reader import Unscreened, unscreened
from ledger.screen import record_clearances, record_inspections, record_screenings, record_verdicts
from ledger.submit import refuse, submit
from policies.document import PolicyDocument
from tasks.check_rights import RightsSubject, check_clearances, load_grants, machine_processing_forbidden
from tasks.classify_contents import classify_contents
from tasks.fetch_objects import fetch_objects, fetch_versions
from tasks.inspect_contents import Inspected, ToInspect, inspect_contents, not_inspected
from tasks.list_intake import Shard
from tasks.resources import PinnedPolicy, Resources
from tasks.route_contents import Screening, route_contents
from tasks.spool_folders import spool_folder

ACTOR = "system:ingest_assets"
NOT_ALLOWED_TO_LOOK = "the rights forbid machine processing"


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """What became of a shard: how many objects were new versions, known, refused, vanished, and where versions went."""

    number: int
    submitted: int = 0
    known: int = 0
    refused: int = 0
    vanished: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """outcome (quarantine, automatic, review) → versions"""


def screen(resources: Resources, shard: Shard, flow_run_id: str | None = None) -> ShardSummary:
    """Bring the objects of a shard into the ledger and every submitted version of it through screening.

    Objects become versions first, in one transaction, with their bytes in custody: whatever happens afterwards, the
    next run finds them as `submitted` and goes on. What screening found and the step that follows are recorded in a
    second one. Raises `TransientError` or `LedgerBusy`, which may pass, and permanent errors.
    """
    active = resources.active_policy()
    with spool_folder("shard") as folder:
        spool = Path(folder)
        looks = resources.settings.looks_into_contents
        fetched = fetch_objects(resources.storage, shard.objects, active.document, spool if looks else None)
        with resources.ledger.writing(resources.origin(ACTOR, flow_run_id)) as tx:
            refuse(tx, fetched.refused, active.sha256)
            submissions = submit(tx, [one.arrival for one in fetched.fetched], active.sha256)
        paths = {one.arrival.sha256: one.path for one in fetched.fetched if one.path}
        moved = [one.version_id for one in submissions if one.outcome != "known"]
        with resources.ledger.reading() as connection:
            versions = unscreened(connection, [*moved, *shard.version_ids])
        unread = _too_large(resources, versions)
        missing = [one for one in versions if looks and one.sha256 not in paths and one.version_id not in unread]
        read = fetch_versions(resources.storage, missing, spool)
        paths.update({one.sha256: read.paths[one.version_id] for one in missing if one.version_id in read.paths})
        contents = _Contents(paths, {**unread, **read.lost})
        outcomes = _screen_versions(resources, versions, contents, active, flow_run_id)
    return ShardSummary(
        number=shard.number,
        submitted=len(moved),
        known=len(submissions) - len(moved),
        refused=len(fetched.refused),
        vanished=len(fetched.vanished),
        outcomes=outcomes,
    )


@dataclass(frozen=True, slots=True)
class _Contents:
    """The bytes of a shard: local path by SHA-256, and version id → why its bytes are not looked into."""

    paths: Mapping[str, Path]
    unread: Mapping[int, str]


def _too_large(resources: Resources, versions: Sequence[Unscreened]) -> dict[int, str]:
    """Version id → why it is not looked into, of those that are larger than their policy accepts."""
    allowed = {
        sha256: resources.policy(sha256).screening.max_size for sha256 in {one.policy_sha256 for one in versions}
    }
    return {
        one.version_id: f"not looked into: {one.size_bytes} bytes, the policy accepts {allowed[one.policy_sha256]}"
        for one in versions
        if one.size_bytes > allowed[one.policy_sha256]
    }


def _screen_versions(
    resources: Resources,
    versions: Sequence[Unscreened],
    contents: _Contents,
    active: PinnedPolicy,
    flow_run_id: str | None,
) -> Mapping[str, int]:
    """Screen by the policy that each version is pinned to: nearly always the active one, in one batch."""
    outcomes: Counter[str] = Counter()
    found = inspect_contents(
        resources, {one.sha256: _to_inspect(one, contents) for one in versions if one.version_id not in contents.unread}
    )
    with resources.ledger.writing(resources.origin(ACTOR, flow_run_id)) as tx:
        record_inspections(tx, (one.record for one in found.values() if one.record))
    inspected = {
        one.version_id: not_inspected(_to_inspect(one, contents), contents.unread[one.version_id])
        if one.version_id in contents.unread
        else found[one.sha256]
        for one in versions
    }
    for policy_sha256 in dict.fromkeys(one.policy_sha256 for one in versions):
        pinned = active.document if policy_sha256 == active.sha256 else resources.policy(policy_sha256)
        batch = [one for one in versions if one.policy_sha256 == policy_sha256]
        outcomes.update(_screen_batch(resources, batch, pinned, inspected, contents.paths, flow_run_id))
    return dict(outcomes)


def _to_inspect(version: Unscreened, contents: _Contents) -> ToInspect:
    return ToInspect(version.sha256, version.size_bytes, contents.paths.get(version.sha256, Path()), version.key)


def _screen_batch(
    resources: Resources,
    versions: Sequence[Unscreened],
    policy: PolicyDocument,
    inspected: Mapping[int, Inspected],
    paths: Mapping[str, Path],
    flow_run_id: str | None,
) -> Counter[str]:
    now = resources.clock.now()
    grants = load_grants(resources)
    subjects = [_subject(one, inspected[one.version_id]) for one in versions]
    clearances = check_clearances(subjects, policy, grants, now)
    models = resources.settings.models.enabled
    forbidden = machine_processing_forbidden(subjects, grants, now) if models else frozenset()
    readable = [
        one for one in versions if one.version_id not in forbidden and not inspected[one.version_id].inspection.failure
    ]
    contents = [_content(one, inspected[one.version_id], paths.get(one.sha256, Path())) for one in readable]
    verdicts = classify_contents(resources, contents, policy.classification.labels)
    allowed = {one.version_id for one in readable}
    screenings = [
        Screening(
            version=one,
            inspection=inspected[one.version_id].inspection,
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
