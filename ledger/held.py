"""What waits by itself, held in quarantine or sent back for changes: put before people, and decided."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.decide import UNSIGNED, Ballot, Decided, signature_details, write_note
from ledger.delegations import stands_in
from ledger.review import Review
from ledger.review_items import CHANGES, QUARANTINE, ReviewedItem
from ledger.rounds import first_round
from ledger.transaction import Draft, Transaction, batches
from ledger.transitions import Move, cancel_open_effects, move
from policies.lifecycle import Action, State


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a review of versions asks: of which state, verdict → (outcome, action), and what is refused in which words.

    Who withdraws a version rejects it: `reject` is what is recorded.
    """

    state: State
    ends: Mapping[str, tuple[str, Action]]
    by: str
    allowed: str
    explained: str


_REJECTED: Final = ("rejected", Action.REJECT)
_ASKED: Final[Mapping[str, _Asked]] = {
    QUARANTINE: _Asked(
        State.QUARANTINED,
        {"release": ("released", Action.RELEASE), "reject": _REJECTED},
        "by a person of the owner group",
        "what is held is released or rejected",
        "a reason is needed to release and to reject",
    ),
    CHANGES: _Asked(
        State.CHANGES_REQUESTED,
        {"reopen": ("reopened", Action.REOPEN), "withdraw": _REJECTED},
        "by a person of the group that was asked for changes",
        "what was sent back is reopened or withdrawn",
        "a reason is needed to reopen and to withdraw",
    ),
}
_RECORDED: Final = {"withdraw": "reject"}


@dataclass(frozen=True, slots=True)
class _Signer:
    """Who decides, whose part it is if not their own, and the time step of the code that signs it, if any."""

    person_id: int
    on_behalf_of: int | None
    step: int | None


@dataclass(frozen=True, slots=True)
class HeldVersion:
    """A version in quarantine, or sent back for changes, that no review carries yet."""

    version_id: int
    state: str
    key: str
    collection: str
    submitter: str | None
    policy_sha256: str
    round: int
    since_seq: int
    since_at: datetime


def held_without_review(connection: sa.Connection) -> list[HeldVersion]:
    """Versions that wait to be put before people by themselves, oldest first; not those on their way elsewhere."""
    versions, assets, carried, effects = tables.versions, tables.assets, tables.review_versions, tables.effects
    query = (
        sa.select(
            versions.c.version_id,
            versions.c.state,
            assets.c.key,
            versions.c.collection,
            versions.c.submitter,
            versions.c.policy_sha256,
            versions.c.round,
            versions.c.state_seq.label("since_seq"),
            versions.c.state_since.label("since_at"),
        )
        .join(assets, assets.c.asset_id == versions.c.asset_id)
        .outerjoin(
            carried,
            sa.and_(carried.c.version_id == versions.c.version_id, carried.c.since_seq == versions.c.state_seq),
        )
        .where(
            versions.c.state.in_([str(one.state) for one in _ASKED.values()]),
            carried.c.version_id.is_(None),
            ~sa.exists().where(effects.c.version_id == versions.c.version_id, effects.c.status == "open"),
        )
        .order_by(versions.c.version_id)
    )
    return [HeldVersion(**row._mapping) for row in connection.execute(query)]


def open_held_reviews(tx: Transaction, groups: Sequence[tuple[str, datetime, Sequence[HeldVersion]]]) -> list[int]:
    """Open a review for each (group asked, due time, versions), its first round noted as `to park`; returns their ids.

    The versions of a review have one state, one collection and one policy.
    """
    ids = tx.number(tables.reviews, len(groups))
    for review_id, (owner, due_at, versions) in zip(ids, groups, strict=True):
        purpose = next(name for name, asked in _ASKED.items() if asked.state == versions[0].state)
        review = {"review_id": review_id, "purpose": purpose, "stage": purpose, "due_at": due_at}
        of_first = {"collection": versions[0].collection, "policy_sha256": versions[0].policy_sha256}
        tx.insert(tables.reviews, [{**review, **of_first, "opened_at": tx.origin.at}])
        tx.insert(
            tables.review_versions,
            [
                {
                    "review_id": review_id,
                    "position": place,
                    "version_id": one.version_id,
                    "since_seq": one.since_seq,
                    "owner": owner,
                }
                for place, one in enumerate(versions, 1)
            ],
        )
        tx.insert(tables.parkings, [first_round(review_id, tx.origin.at)])
        tx.append(
            Draft(
                "open_review",
                version_id=one.version_id,
                round=one.round,
                policy_sha256=one.policy_sha256,
                details={"review": review_id, "stage": purpose, "position": place, "owner": owner},
            )
            for place, one in enumerate(versions, 1)
        )
    return list(ids)


def decide_held(
    tx: Transaction,
    review: Review,
    person_id: int,
    ballots: Sequence[Ballot],
    *,
    signed_step: int | None = None,
    on_behalf_of: int | None = None,
) -> Decided:
    """Record what a person says of versions that wait by themselves, each with its reason, and move them.

    What is held is `release`d or `reject`ed by its owner group: a release names the findings that it overrides, those
    that were shown, and screening goes on without them. What was sent back is `reopen`ed by who submitted it (it is
    right as it is: a new round) or `withdraw`n (rejected). What was decided meanwhile keeps the answer as an opinion;
    what somebody may not decide is refused with the reason. `on_behalf_of` is whose part it is (None: their own): that
    of somebody who handed it over for now.
    """
    items = {item.gate_id: item for item in review.items}
    principal = person_id if on_behalf_of is None else on_behalf_of
    barred = _barred(tx, review, person_id, principal, signed=signed_step is not None)
    newer = _overtaken(tx.connection, [item.version_id for item in review.items])
    counted: list[Ballot] = []
    opinions: list[Ballot] = []
    refused: dict[int, str] = {}
    for ballot in ballots:
        reason = _refusal(ballot, items.get(ballot.gate_id), review, barred=barred, newer=newer)
        if ballot.gate_id in {one.gate_id for one in (*counted, *opinions)}:
            reason = "the answer decides twice on this asset; only the first counts"
        if reason:
            refused[ballot.gate_id] = reason
        elif items[ballot.gate_id].is_open:
            counted.append(ballot)
        else:
            opinions.append(ballot)
    signer = _Signer(person_id, None if principal == person_id else principal, signed_step)
    _keep_opinions(tx, review, signer, [items[one.gate_id] for one in opinions], opinions)
    _carry_out(tx, review, signer, [items[one.gate_id] for one in counted], counted)
    return Decided(
        counted=tuple(one.gate_id for one in counted),
        opinions=tuple(one.gate_id for one in opinions),
        refused=refused,
        turned_down=tuple(
            items[one.gate_id].version_id
            for one in counted
            if _ASKED[review.purpose].ends[one.verdict][1] is Action.REJECT
        ),
    )


def overrides_of(connection: sa.Connection, version_ids: Iterable[int]) -> list[tuple[int, str]]:
    """(version, finding) of everything that people's releases of these versions have overridden, disowned ones not."""
    events = tables.events
    released: list[tuple[int, Mapping[str, Any]]] = []
    disowned: set[int] = set()
    for batch in batches(version_ids):
        query = sa.select(events.c.version_id, events.c.action, events.c.body).where(
            events.c.version_id.in_(batch), events.c.action.in_((str(Action.RELEASE), "disown"))
        )
        for row in connection.execute(query):
            details = json.loads(row.body)["details"]
            if row.action != "disown":
                released.append((row.version_id, details))
            elif details["of_versions"]:
                disowned.add(details["decision"])
    void = _said_in(connection, disowned)
    return sorted(
        {
            (version_id, finding)
            for version_id, details in released
            if (version_id, details.get("review")) not in void
            for finding in details.get("findings", [])
        }
    )


def _said_in(connection: sa.Connection, decision_ids: Iterable[int]) -> set[tuple[int, int]]:
    """(version, review) of decisions on what was held."""
    said, found = tables.held_decisions, set[tuple[int, int]]()
    for batch in batches(decision_ids):
        query = sa.select(said.c.version_id, said.c.review_id).where(said.c.decision_id.in_(batch))
        found.update((row.version_id, row.review_id) for row in connection.execute(query))
    return found


def _refusal(
    ballot: Ballot, item: ReviewedItem | None, review: Review, *, barred: Mapping[int, str], newer: frozenset[int]
) -> str | None:
    if item is None:
        return "this asset is not part of the review"
    if item.gate_id in barred:
        return barred[item.gate_id]
    asked = _ASKED[review.purpose]
    if ballot.verdict not in asked.ends:
        return asked.allowed
    if not (ballot.comment or "").strip():
        return asked.explained
    if item.is_open and review.basis.get(str(item.gate_id)) != item.basis:
        return "what the form showed has changed meanwhile"
    goes_on = asked.ends[ballot.verdict][1] is not Action.REJECT
    if item.is_open and goes_on and item.version_id in newer:
        return "a newer version of this asset has arrived: that one is looked at instead"
    return None


def _barred(tx: Transaction, review: Review, person_id: int, principal: int, *, signed: bool) -> dict[int, str]:
    """Item → why this person, standing for this principal, may not decide there."""
    everywhere = [item.gate_id for item in review.items]
    if principal != person_id and not stands_in(tx.connection, person_id, principal, tx.origin.at):
        return dict.fromkeys(everywhere, "this person does not stand in for the other now")
    if (person_id, principal) not in {(one.person_id, one.on_behalf_of) for one in review.people}:
        return dict.fromkeys(everywhere, "this person may not decide here")
    barred = {item.gate_id: UNSIGNED for item in review.items if item.signature != "none" and not signed}
    if principal != person_id and review.purpose == CHANGES:
        for item in review.items:
            if person_id in _sent_back_by(tx.connection, item):
                barred[item.gate_id] = "who sent an asset back does not answer for who submitted it"
    return barred


def _sent_back_by(connection: sa.Connection, item: ReviewedItem) -> frozenset[int]:
    decisions, gates = tables.decisions, tables.gates
    query = (
        sa.select(decisions.c.person_id)
        .join(gates, gates.c.gate_id == decisions.c.gate_id)
        .where(gates.c.version_id == item.version_id, gates.c.round == item.round)
        .where(decisions.c.counted, decisions.c.verdict == "request_changes")
    )
    return frozenset(connection.scalars(query))


def _overtaken(connection: sa.Connection, version_ids: Sequence[int]) -> frozenset[int]:
    """Which of these versions have been followed by newer bytes of the same asset."""
    versions, newer = tables.versions, tables.versions.alias("newer")
    query = sa.select(versions.c.version_id).join(
        newer, sa.and_(newer.c.asset_id == versions.c.asset_id, newer.c.arrived_seq > versions.c.arrived_seq)
    )
    return frozenset(connection.scalars(query.where(versions.c.version_id.in_(version_ids))))


def _carry_out(
    tx: Transaction,
    review: Review,
    signer: _Signer,
    items: Sequence[ReviewedItem],
    ballots: Sequence[Ballot],
) -> None:
    held, asked = tables.review_versions, _ASKED[review.purpose]
    hashes = _record(tx, review, signer, items, ballots)
    cancel_open_effects(tx, (item.version_id for item in items), "decided by a person")  # one to archive it, at most
    moves = []
    for item, ballot, comment_hash in zip(items, ballots, hashes, strict=True):
        outcome, action = asked.ends[ballot.verdict]
        this = sa.and_(held.c.review_id == review.review_id, held.c.version_id == item.version_id)
        tx.connection.execute(
            held.update().where(this, held.c.outcome.is_(None)).values(outcome=outcome, closed_at=tx.origin.at)
        )
        overrides = {"findings": list(item.findings)} if action is Action.RELEASE else {}
        moves.append(
            Move(
                item.version_id,
                action,
                asked.state,
                round=item.round,
                reason=f"{'withdrawn' if ballot.verdict == 'withdraw' else outcome} {asked.by}",
                actor=f"person:{signer.person_id}",
                details={**_said(review, item, comment_hash, signer), **overrides},
            )
        )
    move(tx, moves)


def _keep_opinions(
    tx: Transaction,
    review: Review,
    signer: _Signer,
    items: Sequence[ReviewedItem],
    ballots: Sequence[Ballot],
) -> None:
    """Keep what was said after the outcome, with an event that changes nothing."""
    hashes = _record(tx, review, signer, items, ballots)
    tx.append(
        Draft(
            "say_of_held",
            version_id=item.version_id,
            round=item.round,
            policy_sha256=review.policy_sha256,
            actor=f"person:{signer.person_id}",
            details={
                **_said(review, item, comment_hash, signer),
                "verdict": _RECORDED.get(ballot.verdict, ballot.verdict),
            },
        )
        for item, ballot, comment_hash in zip(items, ballots, hashes, strict=True)
    )


def _record(
    tx: Transaction,
    review: Review,
    signer: _Signer,
    items: Sequence[ReviewedItem],
    ballots: Sequence[Ballot],
) -> list[str]:
    """Insert the decisions with their reasons; returns the salted hash of each reason."""
    notes = [write_note(tx, one.comment or "") for one in ballots]
    ids = tx.number(tables.held_decisions, len(ballots))
    tx.insert(
        tables.held_decisions,
        [
            {
                "decision_id": decision_id,
                "review_id": review.review_id,
                "version_id": item.version_id,
                "person_id": signer.person_id,
                "on_behalf_of": signer.on_behalf_of,
                "verdict": _RECORDED.get(ballot.verdict, ballot.verdict),
                "counted": item.is_open,
                "signature": "none" if signer.step is None else "totp",
                "sha256": item.sha256,
                "basis": review.basis.get(str(item.gate_id), item.basis),
                "note_id": note_id,
                "decided_at": tx.origin.at,
            }
            for decision_id, item, ballot, (note_id, _) in zip(ids, items, ballots, notes, strict=True)
        ],
    )
    return [comment_hash for _, comment_hash in notes]


def _said(review: Review, item: ReviewedItem, comment_hash: str, signer: _Signer) -> dict[str, Any]:
    return {
        "review": review.review_id,
        "review_round": review.round,
        "sha256": item.sha256,
        **({} if signer.on_behalf_of is None else {"on_behalf_of": signer.on_behalf_of}),
        **signature_details(signer.step),
        "comment_hash": comment_hash,
        "counted": item.is_open,
    }
