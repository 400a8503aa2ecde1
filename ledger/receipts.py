"""Receipts: each decision tells its person what was decided in their name, and “this was not me” takes it back."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.effects import open_effects
from ledger.enrolment import end_enrolment
from ledger.errors import LedgerError
from ledger.notices import write_notices
from ledger.review import Review
from ledger.review_again import review_again
from ledger.rounds import close_round
from ledger.secret_box import KeyRing, Sealed, open_secret, seal_secret
from ledger.transaction import Draft, Transaction, batches
from ledger.transitions import Move, cancel_open_effects, move, present_versions
from policies.lifecycle import Action, State

DISOWNED: Final = "person: a decision was not its person's"
_KEY: Final = "receipts"
_MOST_NAMED: Final = 3
_RELEASED: Final = (
    "Held in quarantine before, it came here by a release that is none: the person says it was not them. Nobody has "
    "overridden what was found in it"
)
_TAG_BYTES: Final = 16


class ReceiptUnknown(LedgerError):
    """What should be the token of a receipt is none of this ledger."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Decisions of one answer of one person: their first and last number, at gates or on versions that wait."""

    person_id: int
    of_versions: bool
    first: int
    last: int

    @property
    def text(self) -> str:
        """What its token names."""
        return f"{self.person_id}.{'v' if self.of_versions else 'g'}{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Disowned:
    """What became of decisions that were not their person's, by version."""

    decisions: int
    withdrawn: tuple[int, ...] = ()
    asked_again: tuple[int, ...] = ()
    reopened: tuple[int, ...] = ()
    doubted: tuple[int, ...] = ()
    """Still in review: when its gates have passed, they are opened once more instead of its being published."""
    held_again: tuple[int, ...] = ()
    """Released from quarantine, and not screened since: what was found there is found again."""
    unchanged: tuple[int, ...] = ()
    ended: bool = False
    """Whether an authenticator was taken out because of it."""

    @property
    def versions(self) -> tuple[int, ...]:
        """All of them."""
        what = (self.withdrawn, self.asked_again, self.reopened, self.doubted, self.held_again, self.unchanged)
        return tuple(sorted({one for ones in what for one in ones}))


def write_receipt(tx: Transaction, review: Review, person_id: int, keys: Mapping[int, str]) -> None:
    """Put a receipt into the outbox for what a person has just decided in this transaction; nothing without decisions.

    `keys`: asset by gate (or version, where the review is of versions). The body has no token: who sends it makes it.
    """
    decisions = tables.held_decisions if review.is_of_versions else tables.decisions
    place = decisions.c.version_id if review.is_of_versions else decisions.c.gate_id
    query = sa.select(decisions.c.decision_id, place.label("place"), decisions.c.verdict, decisions.c.counted).where(
        place.in_(list(keys)), decisions.c.person_id == person_id, decisions.c.decided_at == tx.origin.at
    )
    rows = tx.connection.execute(query.order_by(decisions.c.decision_id)).all()
    if not rows:
        return
    body = {
        "first": rows[0].decision_id,
        "last": rows[-1].decision_id,
        "of_versions": review.is_of_versions,
        "stage": review.stage,
        "verdicts": dict(Counter(row.verdict for row in rows)),
        "counted": sum(row.counted for row in rows),
        "assets": len(rows),
        "keys": [keys[row.place] for row in rows[:_MOST_NAMED]],
    }
    occasion = f"receipt {Receipt(person_id, review.is_of_versions, rows[0].decision_id, rows[-1].decision_id).text}"
    write_notices(tx, "receipt", occasion, [person_id], body, review_id=review.review_id)


def receipts_key(connection: sa.Connection, ring: KeyRing) -> bytes | None:
    """The key that tokens are made with, None before the first one. Raises `IdentityKeyUnknown`, `SecretUnreadable`."""
    own = tables.ledger_secrets
    row = connection.execute(sa.select(own).where(own.c.name == _KEY)).one_or_none()
    return None if row is None else bytes.fromhex(open_secret(ring, Sealed(row.key_id, row.sealed), _KEY))


def make_receipts_key(tx: Transaction, ring: KeyRing) -> bytes:
    """The key that tokens are made with, made now if there was none; it outlives exchanges of the identity key."""
    found = receipts_key(tx.connection, ring)
    if found is not None:
        return found
    made = secrets.token_bytes(32)
    sealed = seal_secret(ring, made.hex(), _KEY)
    row = {"name": _KEY, "key_id": sealed.key_id, "sealed": sealed.text, "made_at": tx.origin.at}
    tx.insert(tables.ledger_secrets, [row])
    return made


def token_of(receipt: Receipt, key: bytes) -> str:
    """What proves that somebody has read a receipt: its decisions, and a tag that only the key makes."""
    return f"{receipt.text}.{_tag(receipt, key)}"


def read_token(token: str, key: bytes | None) -> Receipt:
    """The receipt that a token is of. Raises `ReceiptUnknown` for anything else, and says no more."""
    try:
        person, named, tag = token.strip().split(".")
        first, last = named[1:].split("-")
        receipt = Receipt(int(person), {"v": True, "g": False}[named[:1]], int(first), int(last))
    except (ValueError, KeyError):
        receipt, tag = None, ""
    if receipt is None or key is None or not hmac.compare_digest(tag.encode(), _tag(receipt, key).encode()):
        raise ReceiptUnknown("this is the token of no receipt of this ledger; copy all of it from the message. "
                             "Nothing was changed")  # fmt: skip
    return receipt


def disown(tx: Transaction, receipt: Receipt) -> Disowned:
    """Take back what was decided in somebody's name, as far as it can be, and trust their authenticator no longer.

    What it published is withdrawn, what it approved is reviewed again, what it turned down is opened anew; what is
    still in review is marked, and asked again instead of being published. A release from quarantine overrides nothing
    any more (`ledger.held.overrides_of`): what was not screened since is held again, and reviewers who are asked by
    then are asked anew and told. The decisions themselves stay on record: they are final. Called again, it changes
    nothing. Raises `ReceiptUnknown` when its decisions are not there.
    """
    decided = _decided(tx.connection, receipt)
    if not decided:
        raise ReceiptUnknown("the decisions of this receipt are not in this ledger; nothing was changed")
    before = _disowned_before(tx.connection, [row.version_id for row in decided])
    fresh = [row for row in decided if (row.version_id, row.decision_id) not in before]
    now = present_versions(tx.connection, [row.version_id for row in fresh])
    tx.append(
        Draft(
            "disown",
            version_id=row.version_id,
            round=now[row.version_id].round if row.verdict == "release" else row.round,
            details={"person": receipt.person_id, "decision": row.decision_id, "of_versions": receipt.of_versions},
        )
        for row in fresh
    )
    ended = end_enrolment(tx, receipt.person_id, "disowned") > 0 if fresh else False
    in_force = [row for row in fresh if row.counted and _is_in_force(row, now[row.version_id].round)]
    by_state: dict[str, list[int]] = {}
    for row in in_force:
        by_state.setdefault(now[row.version_id].state, []).append(row.version_id)
    withdrawn = by_state.get(State.PUBLISHED, [])
    cancel_open_effects(tx, withdrawn, DISOWNED)
    open_effects(tx, "withdraw", withdrawn, reason=DISOWNED)
    unpublished = by_state.get(State.WITHDRAWN, [])  # what its rights alone keep out would come back by itself
    again = review_again(tx, [*by_state.get(State.APPROVED, []), *_for_rights(tx.connection, unpublished)], DISOWNED)
    turned = [(one, state) for state in (State.REJECTED, State.CHANGES_REQUESTED) for one in by_state.get(state, [])]
    cancel_open_effects(tx, [one for one, _ in turned], DISOWNED)
    move(tx, [Move(one, Action.REOPEN, state, reason=DISOWNED) for one, state in turned])
    reopened = tuple(one for one, _ in turned)
    doubted = tuple(by_state.get(State.IN_REVIEW, []))
    released = {row.version_id for row in in_force if row.verdict == "release"}
    _ask_anew(tx, [one for one in doubted if one in released])
    held_again = tuple(one for one in by_state.get(State.SUBMITTED, []) if one in released)
    touched = {*withdrawn, *again, *reopened, *doubted, *held_again}
    unchanged = tuple(row.version_id for row in fresh if row.version_id not in touched)
    return Disowned(len(fresh), tuple(withdrawn), tuple(again), reopened, doubted, held_again, unchanged, ended)


def _is_in_force(row: Any, present_round: int) -> bool:
    """Whether a counted decision still has an effect: a release always, a reopening in the round that it began."""
    return bool(row.verdict == "release" or present_round == row.round + (row.verdict == "reopen"))


def _for_rights(connection: sa.Connection, version_ids: Sequence[int]) -> list[int]:
    """Those of these withdrawn versions that were withdrawn for their rights."""
    events, versions = tables.events, tables.versions
    query = sa.select(versions.c.version_id).join(events, events.c.seq == versions.c.state_seq)
    return list(
        connection.scalars(query.where(versions.c.version_id.in_(version_ids), events.c.reason.like("rights%")))
    )


def _ask_anew(tx: Transaction, version_ids: Sequence[int]) -> None:
    """Ask the reviews that these versions are in anew, and say on top that nobody overrides what was found in them."""
    gates, carried, parkings, assets = tables.gates, tables.review_gates, tables.parkings, tables.assets
    query = (
        sa.select(parkings.c.review_id, parkings.c.round, assets.c.key)
        .join(carried, carried.c.review_id == parkings.c.review_id)
        .join(gates, gates.c.gate_id == carried.c.gate_id)
        .join(tables.versions, tables.versions.c.version_id == gates.c.version_id)
        .join(assets, assets.c.asset_id == tables.versions.c.asset_id)
        .where(
            gates.c.version_id.in_(version_ids),
            gates.c.outcome.is_(None),
            parkings.c.status.in_(("to_park", "parked")),
        )
        .order_by(parkings.c.review_id, assets.c.key)
    )
    keys: dict[tuple[int, int], list[str]] = {}
    for review_id, number, key in tx.connection.execute(query):
        keys.setdefault((review_id, number), []).append(key)
    for (review_id, number), named in keys.items():
        more = ", …" if len(named) > _MOST_NAMED else ""
        close_round(tx, review_id, number, "replaced", f"{_RELEASED} ({', '.join(named[:_MOST_NAMED])}{more}).")


def _tag(receipt: Receipt, key: bytes) -> str:
    return hmac.new(key, receipt.text.encode(), hashlib.sha256).digest()[:_TAG_BYTES].hex()


def _decided(connection: sa.Connection, receipt: Receipt) -> Sequence[Any]:
    gates = tables.gates
    table = tables.held_decisions if receipt.of_versions else tables.decisions
    named = sa.and_(table.c.person_id == receipt.person_id, table.c.decision_id.between(receipt.first, receipt.last))
    if receipt.of_versions:
        held, events = tables.review_versions, tables.events
        here = sa.and_(held.c.review_id == table.c.review_id, held.c.version_id == table.c.version_id)
        query = (
            sa.select(table.c.decision_id, table.c.counted, table.c.verdict, held.c.version_id, events.c.round)
            .join(held, here)
            .join(events, events.c.seq == held.c.since_seq)
        )
    else:
        query = sa.select(
            table.c.decision_id, table.c.counted, table.c.verdict, gates.c.version_id, gates.c.round
        ).join(gates, gates.c.gate_id == table.c.gate_id)
    return connection.execute(query.where(named).order_by(table.c.decision_id)).all()


def _disowned_before(connection: sa.Connection, version_ids: Sequence[int]) -> set[tuple[int, int]]:
    import json

    events, found = tables.events, set[tuple[int, int]]()
    for batch in batches(version_ids):
        query = sa.select(events.c.version_id, events.c.body).where(
            events.c.version_id.in_(batch), events.c.action == "disown"
        )
        found.update((row.version_id, json.loads(row.body)["details"]["decision"]) for row in connection.execute(query))
    return found
