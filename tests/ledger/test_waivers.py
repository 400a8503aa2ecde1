"""At the gate that answers for rights, what blocks is waived with its findings named, or stays; a no never is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ledger.errors import RuleBroken
from ledger.reader import publication_basis
from ledger.review import load_review
from ledger.reviews import gates_without_review
from ledger.screen import (
    ClearanceRecord,
    InspectionRecord,
    Recheck,
    VerdictRecord,
    record_clearances,
    record_inspections,
    record_rechecks,
    record_screenings,
    record_verdicts,
)
from ledger.submit import Submission
from tests.ledger.approval_world import BRAND, LEGAL, ApprovalWorld
from tests.ledger.raw_sql import RawSql
from tests.ledger.test_ladder import is_sound

PUBLISHED = "signoff: rule 5: what its rights block is published only as far as it was waived"
NAMES = "signoff: rule 5: a waiver stands beside an approval and names what may be waived"
FINAL = "signoff: rule 4: a decision is final"


def blocked(world: ApprovalWorld, content: str, status: str, *codes: str, **changed: Any) -> int:
    """A version in review at brand and legal, whose rights block; legal answers for them."""
    submission = world.submit(f"spring/{content}.jpg", content)
    sha256 = submission.arrival.sha256
    with world.writing("system:ingest_assets") as tx:
        record_inspections(tx, [InspectionRecord(sha256, "i1", "image/jpeg", "image", None, None, None, "{}")])
        record_verdicts(
            tx, [VerdictRecord(*world.verdict(submission), "portrait", 0.75, 0.5, "other", None, None, None)]
        )
        cleared = record_clearances(tx, [clearance(submission, status, *codes)])
        found = world.screened(submission, "review", (BRAND, LEGAL))
        route = {"blocked": {"clearance": status, "result": True, "gate": "legal"}}
        record_screenings(tx, [replace(found, clearance=status, explanation=json.dumps(route), **changed)], cleared)
    return submission.version_id


def clearance(submission: Submission, status: str, *codes: str, digest: str = "digest") -> ClearanceRecord:
    """What a rights check says of a version."""
    reasons = json.dumps([{"code": one, "text": one} for one in codes])
    return ClearanceRecord(submission.version_id, "{}", status, reasons, "[]", digest, None)


def approved(world: ApprovalWorld, version_id: int) -> None:
    """Both gates of a version pass, with a waiver at legal."""
    world.vote(world.review_of(version_id, "brand"), "lea", "approve")
    world.vote(world.review_of(version_id, "legal"), "kim", "waive", "we know the photographer")


def test_what_blocks_is_waived_with_its_findings_named(world: ApprovalWorld) -> None:
    """An approval there says nothing of rights and is refused; a waiver needs a reason, and names what it takes on."""
    version_id = blocked(world, "a", "unknown", "no_licence", "licence_ending")
    world.park()
    legal, brand = world.review_of(version_id, "legal"), world.review_of(version_id, "brand")
    with world.ledger.reading() as connection:
        shown = {one: load_review(connection, one).items[0] for one in (legal, brand)}
    assert [(shown[one].blocked, shown[one].waives) for one in (legal, brand)] == [(True, ("no_licence",)), (False, ())]
    for verdict, comment, reason in (
        ("approve", None, "its rights block here: it is waived, if that may be, and not approved"),
        ("waive", " ", "a comment is needed to waive, to reject and to request changes"),
    ):
        assert world.vote(legal, "kim", verdict, comment).refused == {world.gate_of(version_id, "legal"): reason}
        world.park()
    assert world.vote(brand, "lea", "waive", "x").refused == {
        world.gate_of(version_id): "nothing blocks here that could be waived"
    }
    world.park()
    approved(world, version_id)
    assert world.state(version_id) == "approved"
    said = "SELECT verdict, codes FROM decisions LEFT JOIN waivers USING (decision_id) ORDER BY decision_id"
    assert world.ask(said) == [("approve", None), ("approve", '["no_licence"]')]
    ((body,),) = world.ask("SELECT body FROM events WHERE action = 'decide' AND body LIKE '%waives%'")
    assert json.loads(body)["details"]["waives"] == ["no_licence"]
    with world.ledger.reading() as connection:
        basis = publication_basis(connection, [version_id])[version_id]
    assert basis.waived == {"brand": frozenset(), "legal": frozenset({"no_licence"})}
    world.carry_out(version_id)
    assert world.state(version_id) == "published"
    is_sound(world)


@pytest.mark.parametrize(
    ("status", "codes"),
    [
        ("restricted", ("prohibited", "no_licence")),
        ("conflict", ("contradictory_grants",)),
        ("expired", ("licence_ended",)),
        ("embargoed", ("under_embargo", "no_licence")),
    ],
)
def test_a_no_is_not_waived(world: ApprovalWorld, status: str, codes: tuple[str, ...]) -> None:
    """A prohibition, a contradiction, an expiry, an embargo: only sent back or rejected, whoever forges what."""
    version_id = blocked(world, "a", status, *codes)
    world.park()
    legal = world.review_of(version_id, "legal")
    assert world.vote(legal, "kim", "waive", "please").refused == {
        world.gate_of(version_id, "legal"): "its rights cannot be waived"
    }
    world.park()
    assert world.vote(legal, "kim", "request_changes", "not like this").turned_down == (version_id,)


def test_an_embargo_alone_is_no_matter_of_waiving(world: ApprovalWorld) -> None:
    """Approved like anything else, it stays approved: the database too lets nothing out before its day."""
    version_id = blocked(world, "a", "embargoed", "under_embargo")
    world.park()
    world.vote(world.review_of(version_id, "brand"), "lea", "approve")
    world.vote(world.review_of(version_id, "legal"), "kim", "approve")
    assert world.state(version_id) == "approved"
    with pytest.raises(RuleBroken, match="published only as far as it was waived"):
        world.carry_out(version_id)
    with world.writing() as tx:
        row = ClearanceRecord(version_id, "{}", "cleared", "[]", "[]", "digest", None)
        record_rechecks(tx, [Recheck(row, 1, world.policy, "embargoed", "digest")])
    world.carry_out(version_id)
    assert world.state(version_id) == "published"
    is_sound(world)


def test_reviews_do_not_mix_what_is_waived_and_what_is_not(world: ApprovalWorld) -> None:
    """One answer fits a whole review: gates say what their rights ask of a decision."""
    blocked(world, "a", "unknown", "no_licence")
    blocked(world, "b", "restricted", "prohibited")
    with world.ledger.reading() as connection:
        gates = gates_without_review(connection)
    assert [(one.stage, one.rights) for one in gates] == [
        ("brand", ""), ("legal", "waive"), ("brand", ""), ("legal", "blocked")
    ]  # fmt: skip


def test_nothing_is_published_past_its_rights(world: ApprovalWorld, raw: RawSql) -> None:
    """By raw SQL: waivers of what may not be waived, and publishing what nobody waived, or what turned worse since."""
    version_id = blocked(world, "a", "unknown", "no_licence", "uses_not_counted")
    world.park()
    gate, kim = world.gate_of(version_id, "legal"), world.person("kim")
    world.vote(world.review_of(version_id, "brand"), "lea", "approve")
    ((sha256,),) = raw.execute("SELECT sha256 FROM versions WHERE version_id = ?", version_id)
    row: dict[str, Any] = {
        "decision_id": 9,
        "gate_id": gate,
        "person_id": kim,
        "on_behalf_of": kim,
        "verdict": "approve",
    }
    row |= {"counted": True, "signature": "none", "sha256": sha256, "basis": "b", "decided_at": 1}

    def decide(waives: str | None, **changed: Any) -> Any:
        def insert() -> None:
            raw.insert("decisions", **row | changed)
            if waives is not None:
                raw.insert("waivers", decision_id=9, codes=waives)

        return insert

    for wrong in ('["prohibited"]', '["no_licence", "licence_ended"]', "[]", "{}", '"no_licence"', "nonsense"):
        assert raw.attempt(decide(wrong)) == NAMES, wrong
    named = decide('["no_licence"]')
    assert raw.attempt(decide('["no_licence"]', verdict="reject")) == NAMES
    assert raw.attempt(named) == ""
    closed = [lambda: raw.execute("UPDATE gates SET outcome = 'passed', closed_at = 1 WHERE gate_id = ?", gate)]
    later = [decide(None), *closed, lambda: raw.insert("waivers", decision_id=9, codes='["no_licence"]')]
    assert raw.attempt(*later) == NAMES
    for statement in ("UPDATE waivers SET codes = '[]'", "DELETE FROM waivers"):
        assert raw.attempt(named, lambda statement=statement: raw.execute(statement)) == FINAL
    if raw.is_sqlite:
        replaced: dict[str, Any] = {"how": "INSERT OR REPLACE", "decision_id": 9, "codes": '["unknown_code"]'}
        assert raw.attempt(named, lambda: raw.insert("waivers", **replaced)) == NAMES

    def publish(waives: str | None, *before: Any) -> str:
        passed = [
            decide(waives),
            *closed,
            lambda: raw.event("approve", version_id, from_state="in_review", to_state="approved"),
            lambda: raw.insert(
                "effects", effect_id=1, version_id=version_id, kind="publish", sha256=sha256, status="open", opened_at=1
            ),
            lambda: raw.execute("UPDATE effects SET status = 'done', closed_at = 1 WHERE effect_id = 1"),
        ]
        out = {"from_state": "approved", "to_state": "published", "effect_id": 1}
        return raw.attempt(*passed, *before, lambda: raw.event("publish", version_id, **out))

    def found(status: str, *codes: str, digest: str = "digest") -> Any:
        reasons = json.dumps([{"code": one, "text": one} for one in codes])
        told: dict[str, Any] = {
            "clearance_id": 9,
            "version_id": version_id,
            "intent": "{}",
            "status": status,
            "reasons": reasons,
        }
        return lambda: raw.insert("clearances", **told, deciding="[]", digest=digest, checked_at=1)

    both = '["no_licence", "uses_not_counted"]'
    assert publish(both) == ""
    assert [publish(None), publish('["no_licence"]')] == [PUBLISHED] * 2
    assert publish(both, found("expired", "licence_ended")) == PUBLISHED
    assert publish(both, found("unknown", "no_licence", "uses_not_counted", digest="other")) == PUBLISHED
    assert publish(both, found("unknown", "no_licence", "unknown_code")) == PUBLISHED
    assert publish(None, found("cleared", "licensed", digest="other")) == ""
