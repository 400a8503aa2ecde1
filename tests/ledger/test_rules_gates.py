"""Rule 4: a gate passes only with its quorum of distinct, eligible people, none of whom submitted the version."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from ledger.gates import GateTerms
from ledger.roster import RosterPerson, import_roster
from tests.ledger.approval_world import BRAND, BRAND_BY_TWO, GROUPS, LEGAL, LEGAL_AFTER, PEOPLE
from tests.ledger.state_museum import LATER, StateMuseum, museum

__all__ = ["museum"]

NEEDS_QUORUM = "signoff: rule 4: a gate passes only with its quorum of approvals"
ONCE = "signoff: rule 4: one person acts once and one principal counts once in a gate"
NOT_ELIGIBLE = "signoff: rule 4: only an eligible person decides"
NOT_OPEN = "signoff: rule 4: a decision counts only on an open gate of the round, for these bytes"
FOUR_EYES = "signoff: rule 4: four eyes: who submitted the version does not decide on it"
FINAL = "signoff: rule 4: a decision is final"
FOR_NOBODY = "signoff: rule 4: a gate turns a version down for a decision or at the end of its deadline"
TERMS = "signoff: rule 4: the terms of a gate are immutable"
ROSTER = "signoff: rule 4: a person leaves; the record stays"
MEMBERSHIP = "signoff: rule 4: a membership ends once, now; the record stays"
ELIGIBILITY = "signoff: rule 4: eligibility is only ever revoked"
STEPS = "signoff: rule 4: a gate opens when the steps before it have passed"
BORN_OPEN = "signoff: rule 4: a gate is opened once, before the review, without an outcome"

_numbers = count(1)
_ids = count(9_000)

Steps = Callable[[], Any]


class Court:
    """A version in review and its gates, and callables that each try one thing on them by raw SQL."""

    def __init__(self, museum: StateMuseum, *gates: GateTerms) -> None:
        """A version of its own, with these gates (brand if none is named)."""
        self.raw, self.world = museum.raw, museum.world
        self.version_id = self.world.in_review(f"gates/{next(_numbers)}.jpg", "content", *gates)
        self.gate_id = self.world.gate_of(self.version_id, (gates or (BRAND,))[0].stage)
        ((self.sha256,),) = self.raw.execute("SELECT sha256 FROM versions WHERE version_id = ?", self.version_id)

    def decide(self, who: str, verdict: str = "approve", *, for_whom: str | None = None, **more: Any) -> Steps:
        """Insert a decision of a person, by handle."""
        row = {"decision_id": next(_ids), "gate_id": self.gate_id, "verdict": verdict, "counted": True}
        row |= {"person_id": self.world.person(who), "on_behalf_of": self.world.person(for_whom or who)}
        row |= {"signature": "none", "sha256": self.sha256, "basis": "b", "decided_at": LATER} | more
        return lambda: self.raw.insert("decisions", **row)

    def let(self, who: str, *, for_whom: str | None = None, **more: Any) -> Steps:
        """Make somebody eligible, by handle; whose part they stand for is handed to them."""
        row = {"gate_id": self.gate_id, "person_id": self.world.person(who), "via": "escalation", "added_at": LATER}
        if for_whom is None or for_whom == who:
            row |= {"on_behalf_of": row["person_id"]} | more
            return lambda: self.raw.insert("gate_eligible", **row)
        row |= {"on_behalf_of": self.world.person(for_whom), "via": "delegation"} | more
        at = next(_ids)
        part = {"principal_id": row["on_behalf_of"], "delegate_id": row["person_id"]}
        part |= {"starts_at": at, "ends_at": at + 1}

        def hand_over() -> None:
            ((number,),) = self.raw.execute("SELECT COALESCE(MAX(delegation_id), 0) + 1 FROM delegations")
            self.raw.insert("delegations", delegation_id=number, **part)
            self.raw.insert("gate_eligible", **row)

        return hand_over

    def close(self, outcome: str = "passed") -> Steps:
        """Give the gate an outcome."""
        return self.do("UPDATE gates SET outcome = ?, closed_at = ? WHERE gate_id = ?", outcome, LATER, self.gate_id)

    def do(self, sql: str, *values: Any) -> Steps:
        """Send a statement."""
        return lambda: self.raw.execute(sql, *values)

    def attempt(self, *steps: Steps) -> str:
        """The refusal, or an empty string."""
        return self.raw.attempt(*steps)


@pytest.fixture
def court(museum: StateMuseum) -> Court:
    """A version whose one gate needs one approval of lea or ben."""
    return Court(museum)


@pytest.fixture
def court_of_two(museum: StateMuseum) -> Court:
    """A version whose one gate needs two approvals."""
    return Court(museum, BRAND_BY_TWO)


def test_a_gate_passes_with_its_quorum(court: Court, court_of_two: Court) -> None:
    """Enough approvals of eligible people and it passes; the version may then be approved."""
    approved = {"from_state": "in_review", "to_state": "approved"}
    event = lambda: court.raw.event("approve", court.version_id, **approved)  # noqa: E731
    assert court.attempt(court.decide("lea"), court.close(), event) == ""
    assert court_of_two.attempt(court_of_two.decide("lea"), court_of_two.decide("ben"), court_of_two.close()) == ""


def test_too_few_approvals(court: Court, court_of_two: Court) -> None:
    """None of one, one of two: refused."""
    assert court.attempt(court.close()) == NEEDS_QUORUM
    assert court_of_two.attempt(court_of_two.close()) == NEEDS_QUORUM
    assert court_of_two.attempt(court_of_two.decide("lea"), court_of_two.close()) == NEEDS_QUORUM


def test_opinions_do_not_count(court: Court) -> None:
    """A decision that is no counted one helps no quorum."""
    assert court.attempt(court.decide("lea", counted=False), court.close()) == NEEDS_QUORUM


@pytest.mark.parametrize("verdict", ["reject", "request_changes"])
def test_a_negative_decision_keeps_a_gate_from_passing(court_of_two: Court, verdict: str) -> None:
    """Two approve and one does not: the gate does not pass."""
    third = court_of_two.let("kim")
    decided = [court_of_two.decide("lea"), court_of_two.decide("ben"), third, court_of_two.decide("kim", verdict)]
    assert court_of_two.attempt(*decided, court_of_two.close()) == NEEDS_QUORUM


def test_one_person_acts_once(court_of_two: Court) -> None:
    """Not twice for oneself, not for oneself and for another, not for two others."""
    c = court_of_two
    for_ben, for_kim = c.let("lea", for_whom="ben"), c.let("lea", for_whom="kim")
    assert c.attempt(c.decide("lea"), c.decide("lea")) == ONCE
    assert c.attempt(for_ben, c.decide("lea"), c.decide("lea", for_whom="ben")) == ONCE
    assert c.attempt(for_ben, for_kim, c.decide("lea", for_whom="ben"), c.decide("lea", for_whom="kim")) == ONCE


def test_one_principal_counts_once(court_of_two: Court) -> None:
    """Neither by two delegates, nor by a delegate and the principal, in either order."""
    c = court_of_two
    by_ben, by_kim = c.let("ben", for_whom="lea"), c.let("kim", for_whom="lea")
    assert c.attempt(by_ben, by_kim, c.decide("ben", for_whom="lea"), c.decide("kim", for_whom="lea")) == ONCE
    assert c.attempt(by_kim, c.decide("lea"), c.decide("kim", for_whom="lea")) == ONCE
    assert c.attempt(by_kim, c.decide("kim", for_whom="lea"), c.decide("lea")) == ONCE


def test_delegates_count_for_whom_they_stand(court_of_two: Court) -> None:
    """Two people for two principals are a quorum of two."""
    c = court_of_two
    stands_in = c.let("kim", for_whom="lea")
    assert c.attempt(stands_in, c.decide("kim", for_whom="lea"), c.decide("ben"), c.close()) == ""


def test_who_is_not_eligible_does_not_decide(court: Court) -> None:
    """Not somebody of another group, not on behalf of another without the part, not a stranger."""
    assert court.attempt(court.decide("kim")) == NOT_ELIGIBLE
    assert court.attempt(court.decide("lea", for_whom="ben")) == NOT_ELIGIBLE
    assert court.attempt(court.decide("kim", for_whom="lea")) == NOT_ELIGIBLE
    assert court.attempt(court.decide("lea", person_id=4711)) == NOT_ELIGIBLE
    assert court.attempt(court.decide("lea", gate_id=4711)) in (NOT_OPEN, NOT_ELIGIBLE)
    assert court.attempt(court.decide("kim", counted=False)) == NOT_ELIGIBLE


def test_revoked_eligibility_is_over(court: Court) -> None:
    """Who was eligible once and is not any more does not decide."""
    revoke = court.do("UPDATE gate_eligible SET revoked_at = 1 WHERE gate_id = ?", court.gate_id)
    assert court.attempt(revoke, court.decide("lea")) == NOT_ELIGIBLE


@pytest.mark.parametrize("leaver", ["kim", "lea"])
def test_who_left_does_not_decide(court: Court, leaver: str) -> None:
    """Neither the person nor whom they stand for may have left."""
    leave = court.do("UPDATE people SET left_at = 1 WHERE handle = ?", leaver)
    assert court.attempt(court.let("kim", for_whom="lea"), leave, court.decide("kim", for_whom="lea")) == NOT_ELIGIBLE


@pytest.mark.parametrize(("who", "for_whom"), [("sam", "sam"), ("mia", "mia"), ("kim", "sam"), ("sam", "kim")])
def test_submitters_do_not_decide(court: Court, who: str, for_whom: str) -> None:
    """Nobody of the submitting group, eligible or not, for oneself, for another or by another."""
    assert court.attempt(court.let(who, for_whom=for_whom), court.decide(who, for_whom=for_whom)) == FOUR_EYES


def test_leaving_the_submitters_afterwards_does_not_help(museum: StateMuseum) -> None:
    """Who belonged to them when the version came keeps out of its gates, and an end cannot be dated back."""
    court, world = Court(museum), museum.world
    people = [RosterPerson(one, one.title(), f"{one}@example.org") for one in PEOPLE]
    with world.writing() as tx:
        import_roster(tx, people, {**GROUPS, "agency": ("sam",)})
    assert court.attempt(court.let("mia"), court.decide("mia")) == FOUR_EYES
    with world.writing() as tx:
        import_roster(tx, people, GROUPS)
    dated_back = court.do("UPDATE memberships SET removed_at = added_at WHERE removed_at IS NULL")
    assert court.attempt(dated_back, court.let("mia"), court.decide("mia")) == MEMBERSHIP


def test_unknown_submitters_need_two(museum: StateMuseum) -> None:
    """With four eyes and nobody known to have submitted, one approval is too few; an empty name is not known."""
    raw = museum.raw
    for submitter in (None, "", " "):
        submission = museum.world.submit(f"gates/{next(_numbers)}.jpg", "unknown", submitter)
        gate = {"gate_id": next(_ids), "version_id": submission.version_id, "round": 1, "stage": "brand", "step": 0}
        gate |= {"signature": "none", "opened_at": LATER}
        alone = raw.attempt(lambda gate=gate: raw.insert("gates", **gate, quorum=1, four_eyes=True))
        assert alone == "signoff: rule 4: a submitter who is not known needs a quorum of at least 2"
        assert raw.attempt(lambda gate=gate: raw.insert("gates", **gate, quorum=2, four_eyes=True)) == ""


def test_a_gate_wants_its_signature(museum: StateMuseum) -> None:
    """Where the stage wants a signature, a declared decision is refused."""
    court = Court(museum, GateTerms("signed", 0, 1, True, "totp", "brand", "owners"))
    assert court.attempt(court.decide("lea")) == "signoff: rule 4: this gate wants a signature"
    claimed = court.decide("lea", signature="totp")
    assert court.attempt(claimed) == "signoff: rule 4: a signature is a code that was used up for this very review"


@pytest.mark.parametrize("outcome", ["passed", "rejected", "changes_requested", "voided"])
def test_after_the_outcome_nothing_counts(court: Court, outcome: str) -> None:
    """A closed gate takes opinions only; its outcome, deadline and eligible people stay."""
    said = {"passed": "approve", "changes_requested": "request_changes"}.get(outcome, "reject")
    closed = [court.decide("lea", said), court.close(outcome)]
    assert court.attempt(*closed, court.decide("ben")) == NOT_OPEN
    assert court.attempt(*closed, court.decide("ben", counted=False)) == ""
    reopened = court.do("UPDATE gates SET outcome = NULL, closed_at = NULL WHERE gate_id = ?", court.gate_id)
    assert court.attempt(*closed, reopened) == "signoff: rule 4: a gate with an outcome is closed"
    assert court.attempt(*closed, court.let("kim")) == (
        "signoff: rule 4: eligibility is given once, to a gate without an outcome"
    )


@pytest.mark.parametrize(("outcome", "verdict"), [("rejected", "reject"), ("changes_requested", "request_changes")])
def test_a_gate_turns_a_version_down_for_somebody_or_its_deadline(court: Court, outcome: str, verdict: str) -> None:
    """Not by itself, for an approval, an opinion, the other verdict, or a deadline that ended otherwise."""
    ((round_number, since),) = court.raw.execute(
        "SELECT round, state_seq FROM versions WHERE version_id = ?", court.version_id
    )
    rung = {"rung_id": 1, "version_id": court.version_id, "round": round_number, "gate_id": court.gate_id}
    rung |= {"since_seq": since, "number": 0, "planned_at": LATER, "fired_at": LATER}
    other = "request_changes" if verdict == "reject" else "reject"

    def fire(ending: str) -> Steps:
        return lambda: court.raw.insert("rungs", **rung, kind="finally", outcome=ending)

    close = court.close(outcome)
    assert court.attempt(close) == FOR_NOBODY
    assert court.attempt(court.decide("lea"), close) == FOR_NOBODY
    assert court.attempt(court.decide("lea", verdict, counted=False), close) == FOR_NOBODY
    assert court.attempt(court.decide("lea", other), close) == FOR_NOBODY
    assert court.attempt(fire(other), close) == FOR_NOBODY
    assert court.attempt(court.decide("lea", verdict), close) == ""
    assert court.attempt(fire(verdict), close) == ""


def test_other_bytes_are_not_decided_on(court: Court) -> None:
    """A decision that names the hash of other bytes is refused."""
    assert court.attempt(court.decide("lea", sha256="ff" * 32)) == NOT_OPEN


def test_a_superseded_version_is_not_decided_on(museum: StateMuseum) -> None:
    """Its gates were voided; even a gate that was forgotten open would not count."""
    version_id = museum.versions["superseded"]
    court = Court(museum)
    court.version_id, court.gate_id = version_id, museum.world.gate_of(version_id)
    ((court.sha256,),) = museum.raw.execute("SELECT sha256 FROM versions WHERE version_id = ?", version_id)
    assert court.attempt(court.decide("lea")) == NOT_OPEN
    assert court.attempt(court.close()) == "signoff: rule 4: a gate with an outcome is closed"


def test_later_steps_wait(museum: StateMuseum) -> None:
    """A gate of step 1 is neither opened, decided nor passed before step 0 has passed."""
    court = Court(museum, LEGAL_AFTER, BRAND)
    open_it = court.do("UPDATE gates SET opened_at = 1 WHERE gate_id = ?", court.gate_id)
    pass_it = court.do("UPDATE gates SET opened_at = 1, outcome = 'passed' WHERE gate_id = ?", court.gate_id)
    assert court.attempt(open_it) == STEPS
    assert court.attempt(court.decide("kim")) == NOT_OPEN
    assert court.attempt(pass_it) == NEEDS_QUORUM


@pytest.mark.parametrize(("first", "second"), [((0, None), (1, 1)), ((1, 1), (0, None)), ((1, 1), (0, 1))])
def test_steps_are_not_born_out_of_order(
    museum: StateMuseum, first: tuple[int, int | None], second: tuple[int, int | None]
) -> None:
    """No gate is inserted open beside one of an earlier step that has not passed."""
    raw = museum.raw
    terms = {"version_id": museum.versions["submitted"], "round": 1, "quorum": 1, "four_eyes": True}
    born = [
        lambda step=step, opened=opened: raw.insert(
            "gates", **terms, gate_id=next(_ids), stage=f"s{step}", step=step, signature="none", opened_at=opened
        )
        for step, opened in (first, second)
    ]
    assert raw.attempt(*born) == STEPS


@pytest.mark.parametrize("column", ["quorum = 1", "four_eyes = NOT four_eyes", "signature = 'totp'", "step = 4",
                                    "stage = 'x'", "round = 2", "version_id = 1", "gate_id = 4711",
                                    "opened_at = 1", "opened_at = NULL"])  # fmt: skip
def test_terms_of_a_gate_are_immutable(court_of_two: Court, column: str) -> None:
    """Escalation adds people; nothing lowers a quorum or moves a gate."""
    change = court_of_two.do(f"UPDATE gates SET {column} WHERE gate_id = ?", court_of_two.gate_id)
    assert court_of_two.attempt(change) == TERMS


@pytest.mark.parametrize("state", ["in_review", "quarantined", "published", "rejected", "superseded", "", "approved"])
def test_gates_are_born_before_the_review(museum: StateMuseum, state: str) -> None:
    """Not for a version under review or past it, not closed, not for a round to come."""
    raw, version_id = museum.raw, museum.versions[state]
    gate = {"gate_id": next(_ids), "version_id": version_id, "round": 1, "stage": "own", "step": 0, "quorum": 1}
    gate |= {"four_eyes": False, "signature": "none"}
    assert raw.attempt(lambda: raw.insert("gates", **gate)) == BORN_OPEN
    own = gate | {"version_id": museum.versions["submitted"]}
    assert raw.attempt(lambda: raw.insert("gates", **own | {"round": 2})) == BORN_OPEN
    assert raw.attempt(lambda: raw.insert("gates", **own, outcome="passed")) == BORN_OPEN
    assert raw.attempt(lambda: raw.insert("gates", **own, closed_at=1)) == BORN_OPEN
    assert raw.attempt(lambda: raw.insert("gates", **own)) == ""


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        ("UPDATE decisions SET verdict = 'approve'", FINAL),
        ("UPDATE decisions SET counted = false", FINAL),
        ("DELETE FROM decisions", FINAL),
        ("INSERT INTO decisions SELECT * FROM decisions WHERE decision_id = 1 "
         "ON CONFLICT (decision_id) DO UPDATE SET verdict = 'approve'", FINAL),
        ("DELETE FROM gates", "signoff: rule 4: a gate is never deleted"),
        ("DELETE FROM gate_eligible", ELIGIBILITY),
        ("UPDATE gate_eligible SET person_id = 6", ELIGIBILITY),
        ("UPDATE gate_eligible SET on_behalf_of = 6", ELIGIBILITY),
        ("UPDATE gate_eligible SET via = 'delegation'", ELIGIBILITY),
        ("DELETE FROM people", ROSTER),
        ("UPDATE people SET handle = 'eve' WHERE handle = 'lea'", ROSTER),
        ("UPDATE people SET person_id = 99 WHERE handle = 'lea'", ROSTER),
        ("DELETE FROM memberships", MEMBERSHIP),
        ("UPDATE memberships SET group_name = 'owners'", MEMBERSHIP),
        ("UPDATE memberships SET person_id = 1", MEMBERSHIP),
        ("UPDATE memberships SET added_at = 1", MEMBERSHIP),
        ("UPDATE memberships SET removed_at = 1", MEMBERSHIP),
        ("INSERT INTO memberships VALUES (99, 'agency', 1, 1, 2)", MEMBERSHIP),
    ],
)  # fmt: skip
def test_records_of_people_and_decisions_stay(museum: StateMuseum, sql: str, refusal: str) -> None:
    """Decisions are final, eligibility and membership only end, people only leave."""
    assert museum.raw.attempt(lambda: museum.raw.execute(sql)) == refusal


def test_a_revocation_is_not_undone(court: Court) -> None:
    """Neither by UPDATE, as long as no membership is younger, nor by inserting the pair again."""
    revoke = court.do("UPDATE gate_eligible SET revoked_at = 9000000000000000 WHERE gate_id = ?", court.gate_id)
    restore = court.do("UPDATE gate_eligible SET revoked_at = NULL WHERE gate_id = ?", court.gate_id)
    assert court.attempt(revoke, restore) == ELIGIBILITY
    assert court.attempt(revoke, court.let("lea")) == (
        "signoff: rule 4: eligibility is given once, to a gate without an outcome"
    )
    assert court.attempt(court.let("kim", revoked_at=1)) == (
        "signoff: rule 4: eligibility is given once, to a gate without an outcome"
    )


@pytest.mark.parametrize("how", ["REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE", "INSERT OR FAIL"])
@pytest.mark.parametrize("table", ["gates", "gate_eligible", "decisions", "people", "memberships"])
@pytest.mark.parametrize("museum", ["sqlite"], indirect=True)
def test_replacing_is_no_way_around(museum: StateMuseum, table: str, how: str) -> None:
    """REPLACE takes out no gate, eligibility, decision, person or membership."""
    sql = f"{how} INTO {table} SELECT * FROM {table}"
    assert museum.raw.attempt(lambda: museum.raw.execute(sql)).startswith("signoff: rule 4: ")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE OR REPLACE people SET handle = 'lea' WHERE handle = 'sam'",
        "UPDATE OR REPLACE memberships SET person_id = 1, group_name = 'brand'",
        "UPDATE OR REPLACE gates SET gate_id = 1",
        "UPDATE OR IGNORE decisions SET person_id = 1",
        "INSERT OR REPLACE INTO memberships VALUES (99, 'brand', 1, 1, NULL)",
        "INSERT OR REPLACE INTO people VALUES (99, 'lea', 'Eve', NULL, 1, NULL)",
    ],
)
@pytest.mark.parametrize("museum", ["sqlite"], indirect=True)
def test_conflicts_take_nobodys_place(museum: StateMuseum, sql: str) -> None:
    """A conflict on a handle or a membership must not delete the row that is in the way."""
    assert museum.raw.attempt(lambda: museum.raw.execute(sql)).startswith("signoff: rule 4: ")


def test_legal_is_a_gate_of_its_own(museum: StateMuseum) -> None:
    """An approval at one gate is none at another: the same person decides at both."""
    court = Court(museum, BRAND, LEGAL)
    legal = court.world.gate_of(court.version_id, "legal")
    pass_legal = court.do("UPDATE gates SET outcome = 'passed', closed_at = 1 WHERE gate_id = ?", legal)
    assert court.attempt(court.decide("lea"), court.close(), pass_legal) == NEEDS_QUORUM
    assert court.attempt(court.decide("lea"), court.close(), court.decide("lea", gate_id=legal), pass_legal) == ""
