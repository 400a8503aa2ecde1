"""Deadlines in the ledger: rungs fire once, in order; they add people, never lower a quorum, never end in approval."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.gates import GateTerms
from ledger.ladder import Firing, Terms, fire_due
from ledger.notices import waiting_notices
from ledger.transaction import Origin
from ledger.verify import verify_chain
from ledger.verify_records import verify_records
from ledger.waits import Wait, reviews_of_person, rungs_of_reviews, waiting_gates, waiting_versions
from policies.calendars import Calendar
from policies.deadlines import ladder_of
from policies.document import Deadline
from tests.ledger.approval_world import BRAND, BRAND_BY_TWO, LEGAL, ApprovalWorld
from tests.ledger.other_processes import fire_together, run_together
from tests.ledger.raw_sql import REFUSED, RawSql
from tests.ledger.test_eligibility import follow, regroup

BERLIN = Calendar(timezone="Europe/Berlin", days="mon-fri", hours="09:00-17:00", holidays="DE")
DEADLINE = {"within": "2 days", "remind": ["50%"], "escalate": [{"to": "owners", "within": "1 day"}]}
HOUR = timedelta(hours=1)


def terms(outcome: str = "reject", **changed: object) -> Terms:
    """The terms of every wait here: a reminder, the owners, an end."""
    deadline = Deadline.model_validate({**DEADLINE, "finally": outcome, **changed})
    return Terms(BERLIN, ladder_of(deadline, BERLIN), reminded=("owners",), told=("owners", "agency"))


def waits(world: ApprovalWorld) -> list[Wait]:
    """Everything that waits."""
    with world.ledger.reading() as connection:
        return waiting_gates(connection) + waiting_versions(connection)


def sweep(world: ApprovalWorld, at: datetime, by: Terms | None = None) -> list[Firing]:
    """Fire what is due at this instant."""
    world.now = max(world.now, at)
    with world.ledger.writing(Origin("system:enforce_deadlines", at)) as tx:
        found = waiting_gates(tx.connection) + waiting_versions(tx.connection)
        return fire_due(tx, found, lambda _: by or terms())


def die_half_way(world: ApprovalWorld, at: datetime) -> None:
    """Fire what is due at this instant, and end before it is committed."""
    with world.ledger.writing(Origin("system:enforce_deadlines", at)) as tx:
        assert len(fire_due(tx, waiting_gates(tx.connection), lambda _: terms())) == 1
        raise ZeroDivisionError


def fired(firings: Sequence[Firing]) -> list[tuple[str, str, datetime | None]]:
    """What fired: key, kind, and until when there is time now."""
    return [(one.wait.key, str(one.rung.kind), one.due_at) for one in firings]


def told(world: ApprovalWorld) -> list[tuple[str, str, str]]:
    """The notices that wait: to whom, of which kind, on which occasion."""
    with world.ledger.reading() as connection:
        rows = waiting_notices(connection)
    handles = dict(world.ask("SELECT person_id, handle FROM people"))
    return [(handles[row.person_id], row.kind, row.occasion) for row in rows]


def eligible(world: ApprovalWorld, version_id: int) -> dict[str, str]:
    """Handle → via, of those who may decide."""
    sql = "SELECT handle, via FROM gate_eligible JOIN people USING (person_id) WHERE gate_id = ? AND revoked_at IS NULL"
    return dict(world.ask(sql, world.gate_of(version_id)))


def is_sound(world: ApprovalWorld) -> None:
    """The chain and every record beside it hold."""
    with world.ledger.reading() as connection:
        assert verify_chain(connection).damage is None
        assert verify_records(connection) == []


def test_a_gate_climbs_to_its_end(world: ApprovalWorld) -> None:
    """Reminded after a day, the owner asked as well after two, rejected after three; the run's review is closed."""
    version_id = world.in_review()
    (wait,) = waits(world)
    begun = wait.since_at  # Monday 2 March 2026, some seconds after opening
    review_id = world.review_of(version_id)
    assert fired(sweep(world, begun + 23 * HOUR)) == []
    assert fired(sweep(world, begun + 24 * HOUR)) == [("spring/a.jpg", "remind", begun + 48 * HOUR)]
    assert fired(sweep(world, begun + 24 * HOUR)) == []
    assert told(world) == [(one, "remind", f"review {review_id} rung 0") for one in ("lea", "ben", "ole")]
    assert fired(sweep(world, begun + 48 * HOUR)) == [("spring/a.jpg", "escalate", begun + 72 * HOUR)]
    assert eligible(world, version_id) == {"lea": "group", "ben": "group", "ole": "escalation"}
    assert world.ask("SELECT round, status FROM parkings ORDER BY round") == [(1, "replaced"), (2, "to_park")]
    assert told(world)[3:] == [("ole", "escalate", f"review {review_id} rung 1")]
    assert fired(sweep(world, begun + 80 * HOUR)) == []  # nobody can answer until it is parked again
    world.park()
    with world.ledger.reading() as connection:
        assert rungs_of_reviews(connection) == {review_id: (1, 1)}
        assert reviews_of_person(connection, "ole") == {review_id}
    assert fired(sweep(world, begun + 72 * HOUR)) == [("spring/a.jpg", "finally", None)]
    assert world.state(version_id) == "rejected"
    assert world.story(version_id)[-4:] == ["open_review", "remind", "escalate", "reject"]
    assert world.ask("SELECT actor, reason FROM events WHERE action = 'reject'") == [
        ("system:enforce_deadlines", "deadline: stage brand")
    ]
    assert world.ask("SELECT outcome FROM gates") == [("rejected",)]
    assert world.ask("SELECT status FROM parkings ORDER BY round") == [("replaced",), ("closed",)]
    assert {who for who, kind, _ in told(world) if kind == "finally"} == {"lea", "ben", "ole", "mia", "sam"}
    assert waits(world) == []
    is_sound(world)


def test_quarantine_and_changes_climb_too(world: ApprovalWorld) -> None:
    """Both end as rejected, each from its own state, with the reason; what was released meanwhile starts anew."""
    held = world.quarantined("spring/held.jpg", "held")
    sent_back = world.turned_down("spring/back.jpg", "back", "request_changes")
    at = max(one.since_at for one in waits(world))
    kinds = []
    for _ in range(3):
        at += 24 * HOUR
        kinds.append(sorted((key, kind) for key, kind, _ in fired(sweep(world, at))))
    assert kinds == [
        [("spring/back.jpg", kind), ("spring/held.jpg", kind)] for kind in ("remind", "escalate", "finally")
    ]
    assert (world.state(held), world.state(sent_back)) == ("rejected", "rejected")
    assert world.ask("SELECT reason FROM events WHERE action = 'reject' ORDER BY version_id") == [
        ("deadline: quarantined",),
        ("deadline: changes_requested",),
    ]
    assert told(world)[0] == ("ole", "remind", told(world)[0][2])
    is_sound(world)


def test_an_outage_of_weeks(world: ApprovalWorld) -> None:
    """The first sweep reminds; the owner is asked a whole day later, the end comes a whole day after that."""
    version_id = world.in_review()
    late = datetime(2026, 3, 23, 9, tzinfo=UTC)
    assert fired(sweep(world, late)) == [("spring/a.jpg", "remind", late + 24 * HOUR)]
    assert world.ask("SELECT COUNT(*) FROM gates WHERE due_at = ?", _micros(late + 24 * HOUR)) == [(1,)]
    assert world.ask("SELECT COUNT(*) FROM reviews WHERE due_at = ?", _micros(late + 24 * HOUR)) == [(1,)]
    assert fired(sweep(world, late + 23 * HOUR)) == []
    later = late + 10 * 24 * HOUR  # away again: Thursday 2 April, before Easter and the change to summer time
    assert fired(sweep(world, later)) == [("spring/a.jpg", "escalate", datetime(2026, 4, 7, 9, tzinfo=UTC))]
    world.park()
    assert fired(sweep(world, datetime(2026, 4, 7, 8, 59, tzinfo=UTC))) == []
    assert [kind for _, kind, _ in fired(sweep(world, datetime(2026, 4, 7, 9, tzinfo=UTC)))] == ["finally"]
    assert world.state(version_id) == "rejected"
    is_sound(world)


def test_a_sweep_that_dies_half_way_has_fired_nothing(world: ApprovalWorld) -> None:
    """Rolled back after everything was written: neither rung nor notice nor event; the next sweep does it all."""
    version_id = world.in_review()
    (wait,) = waits(world)
    for hours, action in ((24, "remind"), (48, "escalate"), (72, "reject")):
        at = wait.since_at + hours * HOUR
        before = world.ask("SELECT COUNT(*) FROM rungs"), told(world), world.story(version_id)
        with pytest.raises(ZeroDivisionError):
            die_half_way(world, at)
        assert (world.ask("SELECT COUNT(*) FROM rungs"), told(world), world.story(version_id)) == before
        assert len(sweep(world, at)) == 1
        assert world.story(version_id)[-1] == action
        world.park()
    is_sound(world)


def test_two_sweeps_at_once_fire_each_rung_once(world: ApprovalWorld) -> None:
    """Ten gates, one held and one sent back, two sweeps in processes of their own: one of them finds each rung."""
    for number in range(10):
        world.in_review(f"spring/{number}.jpg", str(number))
    world.quarantined("spring/held.jpg", "held")
    world.turned_down("spring/back.jpg", "back", "request_changes")
    at = max(one.since_at for one in waits(world))
    for count, hours in enumerate((24, 48, 72), 1):
        url = world.ledger.url.render_as_string(hide_password=False)
        told_by = run_together(fire_together, [(url, at + hours * HOUR)] * 2)
        assert sorted(told_by) == [0, 12]
        assert world.ask("SELECT COUNT(*) FROM rungs") == [(12 * count,)]
        world.now = at + hours * HOUR
        world.park()
    assert world.ask("SELECT COUNT(*) FROM events WHERE action = 'reject'") == [(12,)]
    is_sound(world)


@pytest.mark.parametrize("terms_of_gate", [BRAND, BRAND_BY_TWO], ids=["one", "two"])
def test_escalation_keeps_the_quorum(world: ApprovalWorld, raw: RawSql, terms_of_gate: GateTerms) -> None:
    """Who submits is not asked, whatever group the policy names; raw SQL cannot lower what it takes."""
    version_id = world.in_review("spring/a.jpg", "one", terms_of_gate)
    (wait,) = waits(world)
    sweep(world, wait.since_at + 24 * HOUR)
    escalated = sweep(world, wait.since_at + 48 * HOUR, terms(escalate=[{"to": "agency", "within": "1 day"}]))
    assert [one.rung.to for one in escalated] == ["agency"]
    assert eligible(world, version_id).keys() & {"sam", "mia"} == set()
    assert world.ask("SELECT quorum FROM gates") == [(terms_of_gate.quorum,)]
    for statement in ("quorum = quorum - 1", "four_eyes = FALSE"):
        with pytest.raises(REFUSED, match="signoff: rule 4: the terms of a gate are immutable"):
            raw.execute(f"UPDATE gates SET {statement} WHERE gate_id = ?", world.gate_of(version_id))


def test_who_was_asked_as_well_stays_while_in_the_group(world: ApprovalWorld) -> None:
    """Following the roster, people of an escalation's group stay although they own nothing; who leaves it is out."""
    version_id = world.in_review()
    (wait,) = waits(world)
    by = terms(escalate=[{"to": "legal", "within": "1 day"}])
    for hours in (24, 48):
        sweep(world, wait.since_at + hours * HOUR, by)
    assert eligible(world, version_id) == {"lea": "group", "ben": "group", "kim": "escalation"}
    follow(world)
    assert eligible(world, version_id) == {"lea": "group", "ben": "group", "kim": "escalation"}
    regroup(world, legal=["lea"])
    follow(world)
    assert eligible(world, version_id) == {"lea": "group", "ben": "group"}
    regroup(world, brand=[], legal=["lea", "ole"])
    follow(world)
    assert eligible(world, version_id) == {"ole": "escalation"}


def test_those_who_were_asked_as_well_may_pass_it(world: ApprovalWorld) -> None:
    """One of two has approved; the owner comes by escalation, and the quorum of two is theirs together."""
    version_id = world.in_review("spring/a.jpg", "one", BRAND_BY_TWO)
    review_id = world.review_of(version_id)
    world.vote(review_id, "lea", "approve")
    world.park()
    (wait,) = waits(world)
    for hours in (24, 48):
        sweep(world, wait.since_at + hours * HOUR)
    world.park()
    world.vote(review_id, "ole", "approve")
    assert world.state(version_id) == "approved"
    assert fired(sweep(world, wait.since_at + 400 * HOUR)) == []
    is_sound(world)


def test_one_gate_ends_the_version_once(world: ApprovalWorld) -> None:
    """Two stages whose time is over in the same sweep: one gives the outcome, the other is voided."""
    version_id = world.in_review("spring/a.jpg", "one", BRAND, LEGAL)
    at = max(one.since_at for one in waits(world))
    for hours in (24, 48):
        assert len(sweep(world, at + hours * HOUR)) == 2
    world.park()
    ended = sweep(world, at + 72 * HOUR, terms("request_changes"))
    assert [str(one.rung.kind) for one in ended] == ["finally"]
    assert world.state(version_id) == "changes_requested"
    assert sorted(world.ask("SELECT outcome FROM gates")) == [("changes_requested",), ("voided",)]
    is_sound(world)


def test_the_last_decision_wins_or_the_deadline(world: ApprovalWorld) -> None:
    """Decided a second before: nothing fires. Decided after: an opinion, and the outcome stays."""
    first, second = world.in_review("spring/a.jpg", "one"), world.in_review("spring/b.jpg", "two")
    at = max(one.since_at for one in waits(world))
    for hours in (24, 48):
        sweep(world, at + hours * HOUR)
    world.park()
    world.vote(world.review_of(first), "ole", "approve")
    assert [one.wait.version_id for one in sweep(world, at + 72 * HOUR)] == [second]
    late = world.vote(world.review_of(second), "ole", "approve")
    assert late.counted == ()
    assert late.opinions == (world.gate_of(second),)
    assert (world.state(first), world.state(second)) == ("approved", "rejected")
    is_sound(world)


def test_a_ladder_burnt_by_hand_still_ends(world: ApprovalWorld, raw: RawSql) -> None:
    """Rungs with events of their own, and an end that ended nothing: the outcome comes at its instant all the same."""
    version_id = world.in_review()
    (wait,) = waits(world)
    assert wait.gate is not None
    at = int(wait.since_at.timestamp()) * 1_000_000 + 1
    row = {"version_id": version_id, "round": 1, "gate_id": wait.gate.gate_id, "since_seq": wait.since_seq}
    for number in range(4):
        raw.event("remind", version_id, at=at, details={"rung": number, "gate": wait.gate.gate_id})
        kind: dict[str, Any] = {"kind": "finally", "outcome": "reject"} if number == 3 else {"kind": "remind"}
        raw.insert("rungs", rung_id=number + 1, number=number, planned_at=at, fired_at=at, **kind, **row)
    assert fired(sweep(world, wait.since_at + 71 * HOUR)) == []
    assert fired(sweep(world, wait.since_at + 72 * HOUR)) == [("spring/a.jpg", "finally", None)]
    assert world.state(version_id) == "rejected"
    is_sound(world)


def test_rungs_and_notices_stand(world: ApprovalWorld, raw: RawSql) -> None:
    """By raw SQL: no rung twice, out of order, for what does not wait or by approval; none changed or taken out."""
    version_id = world.in_review()
    (wait,) = waits(world)
    assert wait.gate is not None
    sweep(world, wait.since_at + 24 * HOUR)
    row = {"rung_id": 2, "version_id": version_id, "round": 1, "gate_id": wait.gate.gate_id, "number": 1}
    row |= {"since_seq": wait.since_seq, "kind": "remind", "planned_at": 1, "fired_at": 2}
    order = "signoff: rule 4: the rungs of a deadline fire in order, each once"
    waiting = "signoff: rule 4: a rung fires while its version or its gate still waits"

    def attempt(told: dict[str, Any] | None = None, at: int = 2, **changed: object) -> str:
        event = [lambda: raw.event("remind", version_id, at=at, details=told)] if told else []
        return raw.attempt(*event, lambda: raw.insert("rungs", **{**row, **changed}))

    gate = {"gate": wait.gate.gate_id}
    untold = "signoff: rule 4: a rung stands beside the event that tells of it"
    assert [attempt(), attempt({"rung": 0, **gate}), attempt({"rung": 1}), attempt({"rung": 1, **gate}, at=3)] == (
        [untold] * 4
    )
    assert attempt({"rung": 1, **gate}) == ""
    assert [attempt(number=0), attempt(number=2), attempt(rung_id=1)] == [order] * 3
    assert [attempt(round=2), attempt(since_seq=1), attempt(gate_id=None, number=0)] == [waiting] * 3
    assert "outcome" in attempt(kind="finally", outcome="approve")
    stays = "signoff: rule 4: a rung that has fired stays"
    once = "signoff: rule 4: a notice is written once and closed once"
    closed = "UPDATE notices SET state = 'sent', closed_at = 5"
    sent = f"{closed}, attempts = 1, message = 'm', channel = 'mailto'"
    named = "signoff: rule 4: what was sent names its message and its channel"
    for refusal, statement in (
        (stays, "UPDATE rungs SET number = 7"),
        (stays, "DELETE FROM rungs"),
        (once, "DELETE FROM notices"),
        (once, "UPDATE notices SET body = 'other'"),
        (once, "UPDATE notices SET attempts = -1"),
        (named, closed),
        (named, sent.replace("attempts = 1", "attempts = 0")),
        ("", "UPDATE notices SET claimed_until = 9, message = 'm', attempts = 3, next_attempt_at = 10"),
        ("", sent),
    ):
        assert raw.attempt(lambda statement=statement: raw.execute(statement)) == refusal
    notice = {"notice_id": 9, "person_id": 1, "kind": "remind", "occasion": "x", "version_id": version_id, "body": "{}"}
    notice |= {"created_at": 1, "state": "waiting"}
    born = {"state": "sent", "closed_at": 1}
    assert raw.attempt(lambda: raw.insert("notices", **notice)) == ""
    for wrong in (born, {"attempts": 1}, {"message": "m"}, {"channel": "slack"}, {"claimed_until": 3}):
        assert raw.attempt(lambda wrong=wrong: raw.insert("notices", **{**notice, **wrong})) == once
    again = raw.attempt(lambda: raw.execute(sent), lambda: raw.execute("UPDATE notices SET attempts = 2"))
    assert again == once


def _micros(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000
