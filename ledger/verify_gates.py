"""Verifying gates: their terms, who may decide at them, and the rungs of their deadlines are what the events tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.gates import told_people
from ledger.told_events import Mismatch, details_of, digest_of, plain, side_by_side, streamed

_TERMS: Final = ("stage", "step", "quorum")
_TOLD_LATELY: Final = ("four_eyes", "signature")
"""Terms that events of an earlier version did not tell."""
_OPENED: Final = ("open_gates", "review_again")
_CHANGED: Final = ("change_eligibility", "change_stand_ins", "escalate")


def gate_mismatches(connection: sa.Connection) -> Iterator[Mismatch]:
    """Gates that no event opened with these terms, and events that tell of gates or people that are not recorded."""
    events, gates, eligible = tables.events, tables.gates, tables.gate_eligible
    told = sa.select(events.c.version_id, events.c.round, events.c.action, events.c.body)
    told = told.where(events.c.action.in_((*_OPENED, *_CHANGED)), events.c.version_id.is_not(None))
    people = sa.select(
        gates.c.version_id,
        *(eligible.c[name] for name in ("gate_id", "person_id", "on_behalf_of")),
        eligible.c.revoked_at.is_not(None),
    ).join(gates, gates.c.gate_id == eligible.c.gate_id)
    recorded = sa.select(*(gates.c[name] for name in ("version_id", "gate_id", "round", *_TERMS, *_TOLD_LATELY)))
    for version_id, (said, present, asked) in side_by_side(
        ("version_id", streamed(connection, told.order_by(events.c.version_id, events.c.seq))),
        ("version_id", streamed(connection, recorded.order_by(gates.c.version_id, gates.c.gate_id))),
        ("version_id", streamed(connection, people.order_by(gates.c.version_id, eligible.c.gate_id))),
    ):
        yield from _of_version(version_id, said, present, asked)


def rung_mismatches(connection: sa.Connection) -> Iterator[Mismatch]:
    """Each reminder and escalation was told by an event; what a last rung ends, its gate and version say."""
    events, rungs = tables.events, tables.rungs
    told = set()
    query = sa.select(
        events.c.version_id, events.c.round, events.c.action, plain(events.c.at).label("at"), events.c.body
    )
    for row in streamed(connection, query.where(events.c.action.in_(("remind", "escalate")))):
        details = details_of(row.body)
        told.add(digest_of((row.version_id, row.round, row.action, row.at, details.get("rung"), details.get("gate"))))
    columns = (
        rungs.c.version_id,
        rungs.c.round,
        rungs.c.kind,
        plain(rungs.c.fired_at),
        rungs.c.number,
        rungs.c.gate_id,
    )
    fired = sa.select(rungs.c.rung_id, *columns).where(rungs.c.kind != "finally").order_by(rungs.c.rung_id)
    for row in streamed(connection, fired):
        if digest_of(tuple(row)[1:]) not in told:
            yield Mismatch("rungs", str(row.rung_id), "no event tells that it fired")


def _of_version(
    version_id: int, said: Sequence[Any], present: Sequence[Any], asked: Sequence[Any]
) -> Iterator[Mismatch]:
    told = _told_gates(said)
    for gate in present:
        opened = told.pop((gate.round, gate.stage), {})
        lately = [name for name in _TOLD_LATELY if name in opened]
        if any(opened.get(name) != getattr(gate, name) for name in (*_TERMS, *lately)):
            yield Mismatch("gates", str(gate.gate_id), "no event tells that it was opened with these terms")
        elif "eligible" in opened:
            rows = {(person, whose): over for _, gate_id, person, whose, over in asked if gate_id == gate.gate_id}
            if reason := _wrong_people(opened["eligible"], rows, _changes(said, gate.gate_id)):
                yield Mismatch("gate_eligible", str(gate.gate_id), reason)
    for number, stage in told:
        yield Mismatch("gates", f"{version_id} {number} {stage}", "an event tells a gate that is not recorded")


def _told_gates(said: Sequence[Any]) -> dict[tuple[int, str], Mapping[str, Any]]:
    """(round, stage) → what the event that opened the gate tells of it."""
    found: dict[tuple[int, str], Mapping[str, Any]] = {}
    for row in said:
        opened = details_of(row.body).get("gates") if row.action in _OPENED else None
        for one in opened if isinstance(opened, list) else ():
            if isinstance(one, dict) and isinstance(one.get("stage"), str):
                found[row.round, one["stage"]] = one
    return found


def _changes(said: Sequence[Any], gate_id: int) -> tuple[set[int], dict[tuple[int, int], bool]]:
    """Who was added at a gate after it was opened, and (person, on behalf of) → whether it is over, as events tell."""
    added: set[int] = set()
    over: dict[tuple[int, int], bool] = {}
    for row in said:
        details = details_of(row.body) if row.action in _CHANGED else {}
        if details.get("gate") != gate_id:
            continue
        added.update(one["person"] if isinstance(one, dict) else one for one in details.get("added") or ())
        over |= {(one["person"], one["on_behalf_of"]): False for one in details.get("begin") or ()}
        over |= {(one["person"], one["on_behalf_of"]): True for one in details.get("end") or ()}
        over |= {(person, person): False for person in details.get("returned") or ()}
        for person in details.get("revoked") or ():  # and whomever they stood in for
            over |= {pair: True for pair in ((person, person), *over) if pair[0] == person}
    return added, over


def _wrong_people(
    opened: Any, rows: Mapping[tuple[int, int], bool], changes: tuple[set[int], dict[tuple[int, int], bool]]
) -> str | None:
    """What is wrong with who may decide at a gate, by (person, on behalf of) → whether that is over."""
    added, over = changes
    own = {person for person, whose in rows if person == whose}
    delegated = {pair for pair in rows if pair[0] != pair[1]}
    if told_people(own - added) != opened or added - own or delegated != {pair for pair in over if pair[0] != pair[1]}:
        return "those who may decide there are not those whom its events tell"
    if {pair for pair, is_over in rows.items() if is_over} != {pair for pair, is_over in over.items() if is_over}:
        return "those who may no longer decide there are not those whom its events tell"
    return None
