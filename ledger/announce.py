"""Who is told of what besides the rungs of deadlines: each written in the transaction of what is told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.canonical import canonical_json
from ledger.eligibility import UndecidedGate, group_members
from ledger.review import Review
from ledger.review_items import CHANGES
from ledger.transaction import Transaction, among
from policies.lifecycle import State

_KEYS: Final = 3
"""Keys that a notice names; the others are counted."""


@dataclass(frozen=True, slots=True)
class _News:
    """One thing to tell some people, once for all time (`occasion`)."""

    kind: str
    occasion: str
    people: frozenset[int]
    body: Mapping[str, Any]
    review_id: int | None = None


def announce_opened(tx: Transaction, reviews: Iterable[Review]) -> None:
    """Tell those who are asked in these reviews, now that they are parked; who was told before is not told again.

    One query and one insert for all of them.
    """
    news = [_opened(review) for review in reviews]
    _write(tx, news, perhaps_known=news)


def announce_rejected(tx: Transaction, review: Review, version_ids: Collection[int]) -> None:
    """Tell the groups that submitted these versions of the review which of them were rejected in it, in this moment.

    Those that were sent back for changes become a review of their own, which announces itself; what they withdraw in
    it, they know.
    """
    versions = tables.versions
    query = (
        sa.select(versions.c.submitter, tables.assets.c.key)
        .join(tables.assets, tables.assets.c.asset_id == versions.c.asset_id)
        .where(
            among(tx.connection, versions.c.version_id, sorted(version_ids)),
            versions.c.state == str(State.REJECTED),
            versions.c.submitter.is_not(None),
        )
        .order_by(versions.c.submitter, tables.assets.c.key)
    )
    rows = tx.connection.execute(query).all() if version_ids and review.purpose != CHANGES else []
    if not rows:
        return
    members, _ = group_members(tx.connection)
    news = []
    for submitter, group in groupby(rows, key=lambda row: str(row.submitter)):
        body = {**_about(review, [row.key for row in group]), "outcome": "rejected", "group": submitter}
        occasion = f"review {review.review_id} rejected for {submitter} by event {tx.last_seq}"
        news.append(_News("decided", occasion, members.get(submitter, frozenset()), body, review.review_id))
    _write(tx, news)


def announce_disowned(tx: Transaction, owners: Mapping[str, Collection[int]], unchanged: Collection[int]) -> None:
    """Tell owner groups (→ versions) that a decision on them was disowned, and which stay as they are even so.

    Told to each person alone: somebody acted under another's name.
    """
    versions, assets = tables.versions, tables.assets
    members, _ = group_members(tx.connection)
    news = []
    for group, ids in sorted(owners.items()):
        query = sa.select(versions.c.version_id, assets.c.key).join(assets, assets.c.asset_id == versions.c.asset_id)
        chosen = among(tx.connection, versions.c.version_id, sorted(ids))
        keys = dict(tx.connection.execute(query.where(chosen).order_by(assets.c.key)).tuples().all())
        stay = [key for one, key in keys.items() if one in unchanged]
        text = f"Somebody decided in another's name, who disowned it: {_listed(list(keys.values()))}."
        if stay:
            text += f" What follows from it was taken back, but not of {_listed(stay)}: look at that yourselves."
        occasion = f"disowned by event {tx.last_seq}, {group}"
        news.append(_News("security", occasion, members.get(group, frozenset()), {"text": text}))
    _write(tx, news)


def _listed(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _KEYS} more" if len(keys) > _KEYS else ""
    return ", ".join(keys[:_KEYS]) + more


def announce_broken_policy(tx: Transaction, groups: Iterable[str], text: str) -> None:
    """Tell the owners that a change of the roster broke what was proved of the policy; `text` names no person."""
    people = _in_groups(tx.connection, groups)
    _write(tx, [_News("policy_broken", f"policy check by event {tx.last_seq}", people, {"text": text})])


def unannounced_shortages(
    connection: sa.Connection, short: Sequence[tuple[UndecidedGate, str]]
) -> list[tuple[UndecidedGate, str]]:
    """Of (gate that too few people may decide, its owner group), those whose owners have not been told."""
    news = {one.occasion: one for one in _shortages(connection, short)}
    known = _known(connection, news.values())
    fresh = {occasion for occasion, one in news.items() if any((who, occasion) not in known for who in one.people)}
    return [(gate, owner) for gate, owner in short if _shortage(gate, owner) in fresh]


def announce_shortages(tx: Transaction, short: Sequence[tuple[UndecidedGate, str]]) -> None:
    """Tell the owners which reviews too few people may decide, once each."""
    news = _shortages(tx.connection, short)
    _write(tx, news, perhaps_known=news)


def _opened(review: Review) -> _News:
    kind = "changes_requested" if review.purpose == CHANGES else "opened"
    asked = frozenset(one.person_id for one in review.people if not one.has_decided)
    body = _about(review, [item.key for item in review.open_items])
    return _News(kind, f"review {review.review_id} opened", asked, body, review.review_id)


def _about(review: Review, keys: Sequence[str]) -> dict[str, Any]:
    return {
        "stage": review.stage,
        "collection": review.collection,
        "assets": len(keys),
        "keys": list(keys[:_KEYS]),
    }


def _shortage(gate: UndecidedGate, owner: str) -> str:
    about = f"gate {gate.gate_id}" if gate.review_id is None else f"review {gate.review_id}"
    return f"{about} short of people, {owner}"


def _shortages(connection: sa.Connection, short: Sequence[tuple[UndecidedGate, str]]) -> list[_News]:
    members, _ = group_members(connection) if short else ({}, {})
    gates: dict[str, list[tuple[UndecidedGate, str]]] = {}
    for gate, owner in short:
        gates.setdefault(_shortage(gate, owner), []).append((gate, owner))
    return [
        _News(
            "roster_short",
            occasion,
            members.get(together[0][1], frozenset()),
            {
                "stage": together[0][0].stage,
                "collection": together[0][0].collection,
                "assets": len(together),
                "keys": [gate.key for gate, _ in together[:_KEYS]],
                "group": together[0][1],
            },
            together[0][0].review_id,
        )
        for occasion, together in gates.items()
    ]


def _in_groups(connection: sa.Connection, groups: Iterable[str]) -> frozenset[int]:
    members, _ = group_members(connection)
    return frozenset().union(*(members.get(group, frozenset()) for group in groups))


def _known(connection: sa.Connection, news: Iterable[_News]) -> set[tuple[int, str]]:
    """(person, occasion) of what people were told already."""
    notices, asked = tables.notices, list(news)
    people = sorted({person for one in asked for person in one.people})
    query = sa.select(notices.c.person_id, notices.c.occasion).where(
        among(connection, notices.c.person_id, people),
        among(connection, notices.c.occasion, sorted({one.occasion for one in asked})),
    )
    return {(row.person_id, row.occasion) for row in connection.execute(query)} if people else set()


def _write(tx: Transaction, news: Sequence[_News], perhaps_known: Sequence[_News] = ()) -> None:
    known = _known(tx.connection, perhaps_known) if perhaps_known else set()
    told = [(person, one) for one in news for person in sorted(one.people) if (person, one.occasion) not in known]
    if not told:
        return
    tx.insert(
        tables.notices,
        [
            {
                "notice_id": notice_id,
                "person_id": person,
                "kind": one.kind,
                "occasion": one.occasion,
                "review_id": one.review_id,
                "body": canonical_json(dict(one.body)).decode(),
                "created_at": tx.origin.at,
                "state": "waiting",
            }
            for notice_id, (person, one) in zip(tx.number(tables.notices, len(told)), told, strict=True)
        ],
    )
