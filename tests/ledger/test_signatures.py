"""Signing: codes are good once a person and step, in their time, and wrong ones slow down one person by the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.decide import Decided
from ledger.engine import Ledger
from ledger.reader import story
from ledger.signatures import Flaw, NotSigned, Signed, enrolled_people
from ledger.verify import verify_chain
from ledger.verify_records import verify_records
from policies.one_time_code import step_at, wait_after
from tests.ledger.approval_world import BRAND, ApprovalWorld
from tests.ledger.other_processes import run_together, sign_together
from tests.ledger.raw_sql import RawSql, asleep
from tests.ledger.signing_people import RING, answer_signed, enrol, give, shown

SIGNED = replace(BRAND, signature="totp")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_a_signed_decision(world: ApprovalWorld) -> None:
    """The code of the moment decides: the row, the event and the used step say so, and no record holds the code."""
    secret = enrol(world, "lea")
    version_id = world.in_review("spring/a.jpg", "one", SIGNED)
    code = shown(secret, NOON)
    decided = answer_signed(world, world.review_of(version_id), "lea", code, NOON)
    assert decided == Decided(counted=(world.gate_of(version_id),), approved=(version_id,))
    assert world.ask("SELECT signature, counted FROM decisions") == [("totp", True)]
    assert world.ask("SELECT step, purpose, review_id FROM used_codes WHERE purpose <> 'enrol'") == [
        (step_at(NOON), "answer", world.review_of(version_id))
    ]
    with world.ledger.reading() as connection:
        (told,) = story(connection, "spring/a.jpg")["decisions"]
        event = next(one for one in story(connection, "spring/a.jpg")["events"] if one["action"] == "decide")
        assert verify_chain(connection).damage is None
        assert verify_records(connection) == []
    assert told["signature"] == "totp"
    ((body,),) = world.ask("SELECT body FROM events WHERE seq = ?", event["seq"])
    assert f'"signature":"totp: authenticated by a code","signed_step":{step_at(NOON)}' in body
    everything = [str(row) for table in ("events", "notes", "parkings", "used_codes", "decisions", "code_failures")
                  for row in world.ask(f"SELECT * FROM {table}")]  # fmt: skip
    assert not any(code in row or secret in row for row in everything)


def test_a_signed_release(world: ApprovalWorld) -> None:
    """What is held is released by a code as well, where its policy says so."""
    from ledger.decide import Ballot
    from ledger.held import decide_held, held_without_review, open_held_reviews
    from ledger.review import load_review
    from ledger.signatures import sign

    secret = enrol(world, "ole")
    version_id = world.quarantined()
    with world.writing() as tx:
        (review_id,) = open_held_reviews(tx, [("owners", world.now, held_without_review(tx.connection))])
    world.park()
    ole = world.person("ole")
    with world.writing() as tx:
        signed = sign(tx, RING, ole, shown(secret, NOON), NOON, "answer", review_id=review_id)
        assert isinstance(signed, Signed)
        ballots = [Ballot(version_id, "release", "it is what it says")]
        decided = decide_held(tx, load_review(tx.connection, review_id), ole, ballots, signed_step=signed.step)
    assert decided.counted == (version_id,)
    assert world.ask("SELECT signature FROM held_decisions") == [("totp",)]
    ((body,),) = world.ask("SELECT body FROM events WHERE action = 'release'")
    assert f'"signed_step":{step_at(NOON)}' in body


def test_a_code_is_good_once(world: ApprovalWorld) -> None:
    """A second review of the same half minute needs the next code; another person's is another."""
    secret = enrol(world, "lea")
    enrol(world, "ben")
    one = world.in_review("spring/a.jpg", "one", SIGNED)
    two = world.in_review("spring/b.jpg", "two", SIGNED)
    code = shown(secret, NOON)
    assert isinstance(answer_signed(world, world.review_of(one), "lea", code, NOON), Decided)
    again = answer_signed(world, world.review_of(two), "lea", code, NOON + timedelta(seconds=20))
    assert again == NotSigned(
        Flaw.USED, "That code was used, and each is good once: take the next one, from 2026-03-02 12:00:30 UTC on."
    )
    assert world.ask("SELECT COUNT(*) FROM code_failures") == [(0,)]
    later = NOON + timedelta(seconds=30)
    assert isinstance(answer_signed(world, world.review_of(two), "lea", shown(secret, later), later), Decided)


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_clock_may_be_half_a_minute_off(world: ApprovalWorld, steps: int) -> None:
    """A telephone that is one step ahead or behind signs; which step was used up is that of the code."""
    secret = enrol(world, "lea")
    assert give(world, "lea", shown(secret, NOON, steps), NOON) == Signed(step_at(NOON) + steps)


@pytest.mark.parametrize(
    ("steps", "said"), [(-2, "1 min too late"), (-20, "10 min too late"), (2, "1 min too early"), (41, "not right")]
)
def test_a_code_of_another_time_is_refused(world: ApprovalWorld, steps: int, said: str) -> None:
    """Two steps off is wrong, as everything further; what is near is told from what is a guess."""
    secret = enrol(world, "lea")
    found = give(world, "lea", shown(secret, NOON, steps), NOON)
    assert isinstance(found, NotSigned)
    assert found.flaw == (Flaw.WRONG if steps == 41 else Flaw.OTHER_TIME)
    assert said in found.words
    assert found.words.endswith("The next code is looked at from 2026-03-02 12:00:30 UTC on.")


def test_who_is_not_enrolled(world: ApprovalWorld) -> None:
    """Is told how to be, and slowed down by nothing."""
    found = give(world, "lea", "123456", NOON)
    assert isinstance(found, NotSigned)
    assert found.flaw == Flaw.NOT_ENROLLED
    assert "signoff people enrol" in found.words
    assert world.ask("SELECT COUNT(*) FROM code_failures") == [(0,)]
    with world.ledger.reading() as connection:
        assert enrolled_people(connection) == frozenset()


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", " 123456", "123456\n", "١٢٣٤٥٦"])
def test_what_is_no_code(world: ApprovalWorld, code: str) -> None:
    """Only six ASCII digits are looked at; anything else is no guess and slows nobody down."""
    enrol(world, "lea")
    found = give(world, "lea", code, NOON)
    assert isinstance(found, NotSigned)
    assert found.flaw == Flaw.NO_CODE
    assert world.ask("SELECT COUNT(*) FROM code_failures") == [(0,)]


def wrong(secret: str, at: datetime) -> str:
    """A code that is right at no time near."""
    near = {shown(secret, at, steps) for steps in range(-60, 61)}
    return next(code for number in range(200) if (code := f"{number:06}") not in near)


def test_wrong_codes_slow_their_person_down(world: ApprovalWorld) -> None:
    """The wait doubles to an hour; within it nothing is looked at or counted, at its end the right code signs."""
    secret, other = enrol(world, "lea"), enrol(world, "ben")
    at = NOON
    for failures in range(1, 11):
        found = give(world, "lea", wrong(secret, at), at)
        assert isinstance(found, NotSigned)
        assert found.flaw == Flaw.WRONG
        again = at + wait_after(failures)
        early = again - timedelta(microseconds=1)
        soon = give(world, "lea", shown(secret, early), early)
        assert soon == NotSigned(
            Flaw.TOO_SOON, f"After a wrong code the next one is looked at from {again:%Y-%m-%d %H:%M:%S} UTC on."
        )
        ((count, until),) = world.ask("SELECT failures, looks_again_at FROM code_failures")
        assert (count, until) == (failures, int(again.timestamp()) * 1_000_000)
        at = again
    assert wait_after(10) == timedelta(hours=1)
    assert world.ask("SELECT kind, person_id FROM notices") == [("security", world.person("lea"))]
    assert isinstance(give(world, "ben", shown(other, NOON), NOON), Signed)
    assert isinstance(give(world, "lea", shown(secret, at), at), Signed)
    late = at + timedelta(minutes=1)
    found = give(world, "lea", wrong(secret, late), late)
    assert isinstance(found, NotSigned)
    assert f"{late + timedelta(seconds=30):%H:%M:%S}" in found.words


def test_many_guesses_of_one_moment_are_one(world: ApprovalWorld) -> None:
    """Whoever resumes many runs at once has the first looked at, and none of the others."""
    secret = enrol(world, "lea")
    flaws = [give(world, "lea", wrong(secret, NOON), NOON) for _ in range(4)]
    assert [one.flaw for one in flaws if isinstance(one, NotSigned)] == [Flaw.WRONG, *[Flaw.TOO_SOON] * 3]


def test_two_processes_race_for_one_code(ledger: Ledger) -> None:
    """Four processes give the same code at once: one has it."""
    world = ApprovalWorld(ledger)
    secret = enrol(world, "lea")
    url = ledger.url.render_as_string(hide_password=False)
    ledger.close()
    arguments = [(url, world.person("lea"), shown(secret, NOON), NOON)] * 4
    assert sorted(run_together(sign_together, arguments)) == ["signed", *["used code"] * 3]


def test_a_secret_that_does_not_open(world: ApprovalWorld) -> None:
    """Without the key, or where somebody moved a sealed secret to another person: refused, and told to the operator."""
    from ledger.signatures import sign

    secret = enrol(world, "lea")
    with world.writing() as tx:
        found = sign(tx, None, world.person("lea"), shown(secret, NOON), NOON, "policy")
    assert isinstance(found, NotSigned)
    assert (found.flaw, "identity key" in found.words) == (Flaw.UNREADABLE, True)
    theirs = enrol(world, "ben")
    ((sealed,),) = world.ask("SELECT sealed FROM signing_secrets WHERE person_id = ?", world.person("ben"))
    with world.writing() as tx:
        import sqlalchemy as sa

        moved = "UPDATE signing_secrets SET sealed = :sealed WHERE person_id = :person"
        tx.connection.execute(sa.text(moved), {"sealed": sealed, "person": world.person("lea")})
    found = give(world, "lea", shown(theirs, NOON), NOON)
    assert isinstance(found, NotSigned)
    assert found.flaw == Flaw.UNREADABLE
    assert RING.keys[RING.current].hex() not in repr(RING)


@pytest.mark.parametrize("change", ["DELETE FROM used_codes", "UPDATE decisions SET signature = 'none'"])
def test_a_signature_without_its_code_is_found(new_ledger: Callable[[str], Ledger], change: str) -> None:
    """Whoever owns the database can take the rules away: the check of the records tells what lacks its code."""
    for database in ("sqlite", "postgresql"):
        world = ApprovalWorld(new_ledger(database))
        secret = enrol(world, "lea")
        version_id = world.in_review("spring/a.jpg", "one", SIGNED)
        answer_signed(world, world.review_of(version_id), "lea", shown(secret, NOON), NOON)
        with RawSql(world.ledger.url) as raw:
            asleep(raw).execute(change)
        with world.ledger.reading() as connection:
            found = verify_records(connection)
        assert ("decisions", "it is not signed by a code that was used up for it, as") in [
            (one.table, one.reason[:54]) for one in found
        ]


def test_who_is_forgotten_leaves_no_secret(world: ApprovalWorld) -> None:
    """The sealed secret is erased with the name; the steps of used codes stay, as numbers."""
    from ledger.forget import forget_person, let_go

    enrol(world, "lea")
    ((sealed,),) = world.ask("SELECT sealed FROM signing_secrets")
    with world.writing("operator:people") as tx:
        forget_person(tx, "lea")
    assert let_go(world.ledger)
    assert world.ask("SELECT sealed, state, ended_for FROM signing_secrets") == [(None, "ended", "forgotten")]
    assert world.ask("SELECT COUNT(*) FROM used_codes") == [(1,)]
    if world.ledger.is_sqlite:
        world.ledger.close()
        assert sealed.encode() not in Path(world.ledger.url.database or "").read_bytes()


@settings(max_examples=15, deadline=None)
@given(moves=st.lists(st.tuples(st.integers(-90, 300), st.sampled_from(["right", "wrong", "replayed"])), max_size=8))
@pytest.mark.parametrize("database", ["sqlite"])
def test_histories(new_ledger: Callable[[str], Ledger], database: str, moves: list[tuple[int, str]]) -> None:
    """Whatever is given when, in whatever order it is read: one code signs once, and never inside a wait."""
    world = HISTORIES.get(database) or HISTORIES.setdefault(database, ApprovalWorld(new_ledger(database)))
    secret, at, waits_until, failures = enrol_anew(world), NOON, NOON - timedelta(days=1), 0
    used: set[int] = set()
    for seconds, what in moves:
        at += timedelta(seconds=seconds)
        step = max(used) if what == "replayed" and used else step_at(at)
        code = wrong(secret, at) if what == "wrong" else shown(secret, at, step - step_at(at))
        found = give(world, "lea", code, at)
        near = {one for one in used if abs(one - step_at(at)) <= 1}
        if at < waits_until and failures:
            assert isinstance(found, NotSigned)
            assert found.flaw == Flaw.TOO_SOON
        elif what != "wrong" and abs(step - step_at(at)) <= 1 and step not in used:
            assert found == Signed(step)
            used.add(step)
            waits_until, failures = (at if failures else waits_until), 0
        elif what != "wrong" and step in near:
            assert isinstance(found, NotSigned)
            assert found.flaw == Flaw.USED
        else:
            assert isinstance(found, NotSigned)
            assert found.flaw in (Flaw.WRONG, Flaw.OTHER_TIME)
            failures += 1
            waits_until = max(waits_until, at + wait_after(failures))


HISTORIES: dict[str, ApprovalWorld] = {}
_places = iter(range(1, 10_000))


def enrol_anew(world: ApprovalWorld) -> str:
    """Lea as a person nobody knew before: the one of the last history has left under another name."""
    from ledger.roster import RosterPerson, import_roster
    from tests.ledger.approval_world import GROUPS, PEOPLE

    with world.writing() as tx:
        import sqlalchemy as sa

        gone = "UPDATE people SET handle = :gone, name = NULL, email = NULL, left_at = 1 WHERE handle = 'lea'"
        tx.connection.execute(sa.text(gone), {"gone": f"forgotten person {world.person('lea')}"})
        import_roster(tx, [RosterPerson(one, one.title(), None) for one in PEOPLE], GROUPS)
    return enrol(world, "lea")
