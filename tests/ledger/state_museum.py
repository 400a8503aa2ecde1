"""One version in every state of the lifecycle, side by side in one ledger, for raw SQL to try its hand on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from ledger.engine import Ledger
from policies.lifecycle import State
from tests.ledger.approval_world import ApprovalWorld
from tests.ledger.raw_sql import RawSql

LATER = 1_900_000_000_000_000
"""An instant after everything that the world does."""


@dataclass(frozen=True, slots=True)
class StateMuseum:
    """The ledger, a plain connection to it, and a version by state; `""` is born and has none."""

    world: ApprovalWorld
    raw: RawSql
    versions: dict[str, int]

    def round_of(self, version_id: int) -> int:
        """The present round of a version."""
        return int(self.raw.execute("SELECT round FROM versions WHERE version_id = ?", version_id)[0][0])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def museum(request: pytest.FixtureRequest, new_ledger: Callable[[str], Ledger]) -> Iterator[StateMuseum]:
    """A museum of this module's own, on either database. Whoever tries something rolls it back."""
    world = ApprovalWorld(new_ledger(request.param))
    ways: dict[str, Callable[[str, str], int]] = {
        State.SUBMITTED: world.submitted,
        State.QUARANTINED: world.quarantined,
        State.IN_REVIEW: world.in_review,
        State.CHANGES_REQUESTED: lambda key, content: world.turned_down(key, content, "request_changes"),
        State.APPROVED: approved_without_effect(world),
        State.PUBLISHED: world.published,
        State.WITHDRAWN: world.withdrawn,
        State.REJECTED: lambda key, content: world.turned_down(key, content, "reject"),
        State.SUPERSEDED: lambda key, _: world.superseded(key),
        State.ARCHIVED: world.archived,
    }
    versions = {str(state): way(f"museum/{state}.jpg", str(state)) for state, way in ways.items()}
    with RawSql(world.ledger.url) as raw:
        versions[str(State.DISPOSED)] = dispose(world, raw)
        versions[""] = give_birth(world, raw)
        yield StateMuseum(world, raw, versions)


def approved_without_effect(world: ApprovalWorld) -> Callable[[str, str], int]:
    """Approved versions whose publish effect was cancelled: any step can be tried from there."""

    def make(key: str, content: str) -> int:
        version_id = world.approved(key, content)
        sql = "UPDATE effects SET status = 'cancelled', closed_at = ? WHERE version_id = ?"
        with RawSql(world.ledger.url) as raw:
            raw.execute(sql, LATER, version_id)
        return version_id

    return make


def dispose(world: ApprovalWorld, raw: RawSql) -> int:
    """A version that was rejected and disposed of."""
    version_id = world.turned_down("museum/disposed.jpg", "disposed", "reject")
    world.open_effect("dispose", version_id, "old rejects")
    ((effect_id,),) = raw.execute("SELECT effect_id FROM effects WHERE version_id = ?", version_id)
    raw.execute("UPDATE effects SET status = 'done', closed_at = ? WHERE effect_id = ?", LATER, effect_id)
    raw.event("dispose", version_id, from_state="rejected", to_state="disposed", effect_id=effect_id, at=LATER)
    return version_id


def give_birth(world: ApprovalWorld, raw: RawSql) -> int:
    """A version whose bytes are in custody and that was not submitted yet."""
    raw.insert("assets", asset_id=900, bucket="intake", key="museum/unborn.jpg", created_at=LATER)
    identity = {"version_id": 900, "asset_id": 900, "number": 1, "sha256": "90" * 32, "size_bytes": 1}
    raw.insert("versions", **identity, collection="spring", submitter="agency", policy_sha256=world.policy)
    place = {"custody_id": 900, "version_id": 900, "form": "copied", "bucket": "workspace", "key": "masters/900"}
    raw.insert("custody", **place, etag="e", verified_at=LATER)
    return 900
