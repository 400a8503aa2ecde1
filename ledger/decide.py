"""Decide: record what people say at their gates, and move the versions whose gates are settled by it."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.delegations import stands_in
from ledger.doubts import doubted_versions
from ledger.effects import open_effects
from ledger.gates import open_next_step
from ledger.review import Review, load_review
from ledger.review_again import review_again
from ledger.review_items import ReviewedItem
from ledger.review_people import eligible_pairs
from ledger.rounds import policy_of_review
from ledger.transaction import Draft, Transaction
from ledger.transitions import Move, move, void_open_gates
from policies.lifecycle import Action, State

UNSIGNED = "this stage wants a signature, which the answer does not carry"
_OUTCOME = {"approve": "passed", "request_changes": "changes_requested", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class Ballot:
    """One person's verdict at one gate: `approve`, `waive`, `request_changes` or `reject`, with a comment where needed.

    To waive is to approve where rights block, taking upon oneself the findings that were shown; it is recorded so.
    """

    gate_id: int
    verdict: str
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """What a round of ballots came to, by gate id and version id."""

    counted: tuple[int, ...] = ()
    opinions: tuple[int, ...] = ()
    refused: Mapping[int, str] = field(default_factory=dict)
    """Gate id → why this ballot was not taken; these gates are parked again."""
    approved: tuple[int, ...] = ()
    turned_down: tuple[int, ...] = ()
    """Versions rejected or sent back for changes."""


def decide(
    tx: Transaction,
    review_id: int,
    round_number: int,
    person_id: int,
    on_behalf_of: int,
    ballots: Sequence[Ballot],
    *,
    signed_step: int | None = None,
) -> Decided:
    """Record one person's ballots of one parked round and take the steps they lead to, in this transaction.

    `on_behalf_of` is whose part it is: the person's own, or that of somebody who delegated it. `signed_step` is the
    time step of the code that `ledger.signatures.sign` used up for this review in this transaction (the database looks
    for it); None: declared, not authenticated, which is refused where the stage wants a signature.

    A ballot counts if the gate is open, the person is eligible, and what was shown (the basis) is still so; on a gate
    that closed meanwhile it is kept as an opinion; otherwise it is refused with the reason. A negative verdict closes
    the gate and voids the version's others. A version whose gates have all passed is approved and its publish effect
    opened.
    """
    review = load_review(tx.connection, review_id, round_number)
    items = {item.gate_id: item for item in review.items}
    barred = _barred(tx.connection, list(items), {person_id, on_behalf_of}, (person_id, on_behalf_of))
    if signed_step is None:
        barred |= {item.gate_id: UNSIGNED for item in review.items if item.signature != "none"}
    if on_behalf_of != person_id and not stands_in(tx.connection, person_id, on_behalf_of, tx.origin.at):
        barred |= dict.fromkeys(items, "this person does not stand in for the other now")
    counted: list[Ballot] = []
    opinions: list[Ballot] = []
    refused: dict[int, str] = {}
    for ballot in ballots:
        refusal = _refusal(ballot, items.get(ballot.gate_id), review, barred.get(ballot.gate_id))
        if ballot.gate_id in {one.gate_id for one in (*counted, *opinions)}:
            refusal = "the answer decides twice on this asset; only the first counts"
        if refusal:
            refused[ballot.gate_id] = refusal
        elif items[ballot.gate_id].is_open:
            counted.append(ballot)
        else:
            opinions.append(ballot)
    signer = (person_id, on_behalf_of, signed_step)
    waived = {one.gate_id: list(items[one.gate_id].waives) for one in (*counted, *opinions) if one.verdict == "waive"}
    counted, opinions = [_plain(one) for one in counted], [_plain(one) for one in opinions]
    _record(tx, review, signer, items, counted, waived, counted_now=True)
    _record(tx, review, signer, items, opinions, waived, counted_now=False)
    approved, turned_down = _settle(tx, items, counted, review.policy_sha256)
    return Decided(
        counted=tuple(one.gate_id for one in counted),
        opinions=tuple(one.gate_id for one in opinions),
        refused=refused,
        approved=tuple(approved),
        turned_down=tuple(turned_down),
    )


def note_attempt(
    tx: Transaction, review_id: int, round_number: int, reason: str, *, person_id: int | None = None
) -> None:
    """Audit a resume that decided nothing: no form, a wrong one, a stale round, a code of `person_id` that is wrong."""
    details = {"review": review_id, "round": round_number}
    if person_id is not None:
        details["person"] = person_id
    policy = policy_of_review(tx.connection, review_id)
    tx.append([Draft("refuse_answer", policy_sha256=policy, reason=reason, details=details)])


def note_stranger(tx: Transaction) -> None:
    """Audit a run of `decide_review` that belongs to no review of this ledger."""
    tx.append([Draft("refuse_answer", reason="the run belongs to no review")])


def note_lost_run(tx: Transaction, review_id: int, round_number: int, flow_run_id: str | None, reason: str) -> None:
    """Audit that the run of a round can bring no answer any more; `reason` says what became of it, naming nobody."""
    details = {"review": review_id, "round": round_number, "flow_run": flow_run_id}
    policy = policy_of_review(tx.connection, review_id)
    tx.append([Draft("lose_run", policy_sha256=policy, reason=reason, details=details)])


def mark_answered(tx: Transaction, review_id: int, round_number: int) -> bool:
    """Note that the answer to a round that had ended without one is recorded now; False if it was answered before."""
    parkings = tables.parkings
    this = sa.and_(parkings.c.review_id == review_id, parkings.c.round == round_number)
    ended = parkings.c.status.in_(("replaced", "closed"))
    return tx.connection.execute(parkings.update().where(this, ended).values(status="answered")).rowcount == 1


def _refusal(ballot: Ballot, item: ReviewedItem | None, review: Review, barred: str | None) -> str | None:
    if item is None:
        return "this asset is not part of the review"
    if barred:
        return barred
    if item.is_open and review.basis.get(str(item.gate_id)) != item.basis:
        return "what the form showed has changed meanwhile"
    if ballot.verdict != "approve" and not (ballot.comment or "").strip():
        return "a comment is needed to waive, to reject and to request changes"
    if ballot.verdict == "approve" and item.blocked:
        return "its rights block here: it is waived, if that may be, and not approved"
    if ballot.verdict == "waive" and not item.waives:
        return "its rights cannot be waived" if item.blocked else "nothing blocks here that could be waived"
    return None


def _plain(ballot: Ballot) -> Ballot:
    """What a waiver comes to at its gate: an approval."""
    return replace(ballot, verdict="approve") if ballot.verdict == "waive" else ballot


def _barred(
    connection: sa.Connection, gate_ids: Collection[int], acting: Collection[int], pair: tuple[int, int]
) -> dict[int, str]:
    """Gate id → why this (person, principal) may not decide there; the triggers would refuse the whole answer."""
    decisions = tables.decisions
    eligible = eligible_pairs(connection, gate_ids)
    barred = {gate: "this person may not decide here" for gate in gate_ids if pair not in eligible.get(gate, ())}
    for gate_id in _submitted_by(connection, gate_ids, acting):
        barred[gate_id] = "four eyes: who submitted an asset does not decide on it"
    counted = sa.select(decisions).where(decisions.c.gate_id.in_(gate_ids), decisions.c.counted)
    for row in connection.execute(counted):
        if not {row.person_id, row.on_behalf_of}.isdisjoint(acting):
            barred[row.gate_id] = "this person, or whom they stand for, has decided here already"
    return barred


def _submitted_by(connection: sa.Connection, gate_ids: Collection[int], people: Collection[int]) -> list[int]:
    """Gates with four eyes on whose versions one of these people was, or has become, a submitter."""
    gates, versions, memberships, events = tables.gates, tables.versions, tables.memberships, tables.events
    submitted_at = (
        sa.select(events.c.at)
        .where(events.c.version_id == versions.c.version_id, events.c.action == "submit")
        .scalar_subquery()
    )
    query = (
        sa.select(gates.c.gate_id)
        .join(versions, versions.c.version_id == gates.c.version_id)
        .join(memberships, memberships.c.group_name == versions.c.submitter)
        .where(
            gates.c.gate_id.in_(gate_ids),
            gates.c.four_eyes,
            memberships.c.person_id.in_(people),
            memberships.c.removed_at.is_(None) | (memberships.c.removed_at > submitted_at),
        )
    )
    return list(connection.scalars(query))


def _record(
    tx: Transaction,
    review: Review,
    signer: tuple[int, int, int | None],
    items: Mapping[int, ReviewedItem],
    ballots: Sequence[Ballot],
    waived: Mapping[int, Sequence[str]],
    *,
    counted_now: bool,
) -> None:
    person_id, on_behalf_of, signed_step = signer
    notes = {one.gate_id: write_note(tx, one.comment) for one in ballots if one.comment}
    decision_ids = tx.number(tables.decisions, len(ballots))
    tx.insert(
        tables.decisions,
        [
            {
                "decision_id": decision_id,
                "gate_id": one.gate_id,
                "person_id": person_id,
                "on_behalf_of": on_behalf_of,
                "verdict": one.verdict,
                "counted": counted_now,
                "signature": "none" if signed_step is None else "totp",
                "sha256": items[one.gate_id].sha256,
                "basis": review.basis.get(str(one.gate_id), items[one.gate_id].basis),
                "note_id": notes[one.gate_id][0] if one.gate_id in notes else None,
                "decided_at": tx.origin.at,
            }
            for decision_id, one in zip(decision_ids, ballots, strict=True)
        ],
    )
    tx.insert(
        tables.waivers,
        [
            {"decision_id": decision_id, "codes": json.dumps(waived[one.gate_id])}
            for decision_id, one in zip(decision_ids, ballots, strict=True)
            if one.gate_id in waived
        ],
    )
    tx.append(
        Draft(
            "decide",
            version_id=items[one.gate_id].version_id,
            round=items[one.gate_id].round,
            policy_sha256=review.policy_sha256,
            actor=f"person:{person_id}",
            details={
                "review": review.review_id,
                "review_round": review.round,
                "stage": review.stage,
                "verdict": one.verdict,
                "counted": counted_now,
                "on_behalf_of": on_behalf_of,
                "sha256": items[one.gate_id].sha256,
                **({"waives": waived[one.gate_id]} if one.gate_id in waived else {}),
                **signature_details(signed_step),
                "comment_hash": notes[one.gate_id][1] if one.gate_id in notes else None,
            },
        )
        for one in ballots
    )


def signature_details(signed_step: int | None) -> dict[str, Any]:
    """What an event tells of how a decision was signed: by the code of a time step, or not at all."""
    if signed_step is None:
        return {"signature": "none: declared, not authenticated"}
    return {"signature": "totp: authenticated by a code", "signed_step": signed_step}


def write_note(tx: Transaction, comment: str) -> tuple[int, str]:
    """Keep a person's words beside the chain; returns their id, and the salted hash that the chain holds."""
    (note_id,) = tx.number(tables.notes)
    salt = secrets.token_hex(16)
    tx.insert(tables.notes, [{"note_id": note_id, "salt": salt, "body": comment}])
    return note_id, hashlib.sha256((salt + comment).encode()).hexdigest()


def _settle(
    tx: Transaction, items: Mapping[int, ReviewedItem], ballots: Sequence[Ballot], policy_sha256: str
) -> tuple[list[int], list[int]]:
    gates = tables.gates
    turned_down: list[int] = []
    touched: list[int] = []
    for one in ballots:
        item = items[one.gate_id]
        if one.verdict == "approve" and item.approvals + 1 < item.quorum:
            continue
        tx.connection.execute(
            gates.update()
            .where(gates.c.gate_id == one.gate_id)
            .values(outcome=_OUTCOME[one.verdict], closed_at=tx.origin.at)
        )
        touched.append(item.version_id)
        if one.verdict != "approve":
            turned_down.append(item.version_id)
    _turn_down(tx, items, ballots)
    passed = [version_id for version_id in touched if version_id not in set(turned_down)]
    opened = open_next_step(tx, passed)
    approved = _all_passed(tx.connection, passed) if passed else []
    move(tx, [Move(version_id, Action.APPROVE, State.IN_REVIEW) for version_id in approved])
    doubted = doubted_versions(tx.connection, approved)
    sure = [version_id for version_id in approved if version_id not in doubted]
    if sure:
        open_effects(tx, "publish", sure)
    if doubted:
        review_again(tx, sorted(doubted), "a decision of this round was disowned")
    tx.append([Draft("open_step", policy_sha256=policy_sha256, details={"gates": opened})] if opened else [])
    return sure, turned_down


def _turn_down(tx: Transaction, items: Mapping[int, ReviewedItem], ballots: Sequence[Ballot]) -> None:
    negative = [one for one in ballots if one.verdict != "approve"]
    action = {"reject": Action.REJECT, "request_changes": Action.REQUEST_CHANGES}
    void_open_gates(tx, [items[one.gate_id].version_id for one in negative])
    move(tx, [Move(items[one.gate_id].version_id, action[one.verdict], State.IN_REVIEW) for one in negative])


def _all_passed(connection: sa.Connection, version_ids: Sequence[int]) -> list[int]:
    gates, versions = tables.gates, tables.versions
    query: sa.Select[Any] = (
        sa.select(gates.c.version_id)
        .join(versions, sa.and_(versions.c.version_id == gates.c.version_id, versions.c.round == gates.c.round))
        .where(gates.c.version_id.in_(version_ids))
        .group_by(gates.c.version_id)
        .having(sa.func.sum(sa.case((gates.c.outcome == "passed", 0), else_=1)) == 0)
    )
    return list(connection.scalars(query))
