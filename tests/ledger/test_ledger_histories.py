"""Random histories: whatever happens in whatever order, crashes included, what must hold holds after every step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ledger import tables
from ledger.decide import Ballot, decide
from ledger.effects import Carried, Effect, begin_effects, complete_publications, load_open_effects, note_failure
from ledger.engine import Ledger
from ledger.errors import RuleBroken, StaleVersion
from ledger.gates import GateTerms
from ledger.held import decide_held, held_without_review, open_held_reviews
from ledger.ladder import Terms, fire_due
from ledger.reader import unscreened
from ledger.review import load_review
from ledger.roster import RosterPerson, import_roster
from ledger.rounds import close_emptied_reviews, close_round, parked_runs
from ledger.submit import submit
from ledger.tables import to_micros
from ledger.transaction import Transaction
from ledger.transitions import Move, move
from ledger.verify import verify_chain
from ledger.verify_records import verify_records
from ledger.waits import waiting_gates, waiting_versions
from policies.calendars import Calendar
from policies.lifecycle import Action, State
from tests.ledger.approval_world import (
    BRAND,
    BRAND_BY_TWO,
    GROUPS,
    LEGAL,
    LEGAL_AFTER,
    PEOPLE,
    RULE,
    ApprovalWorld,
    sha256_of,
)
from tests.ledger.conftest import empty_database, restore_file
from tests.ledger.other_processes import LADDER
from tests.ledger.raw_sql import RawSql

NEVER: dict[str, str] = {
    "published without an approval of these bytes in this round": """
        SELECT e.version_id FROM events e WHERE e.action IN ('publish', 'republish') AND NOT EXISTS (
          SELECT 1 FROM events a
          WHERE a.version_id = e.version_id AND a.action = 'approve' AND a.round = e.round AND a.seq < e.seq)""",
    "approved by anything but passed gates or a rule of the pinned policy": """
        SELECT e.version_id FROM events e WHERE e.action = 'approve' AND NOT (
          (e.from_state = 'submitted' AND EXISTS (
             SELECT 1 FROM policy_rules r WHERE r.policy_sha256 = e.policy_sha256 AND r.rule = e.rule))
          OR (e.from_state = 'in_review'
              AND EXISTS (SELECT 1 FROM gates g WHERE g.version_id = e.version_id AND g.round = e.round)
              AND NOT EXISTS (SELECT 1 FROM gates g WHERE g.version_id = e.version_id AND g.round = e.round
                                AND COALESCE(g.outcome, '') <> 'passed')))""",
    "a gate passed without its quorum of distinct people": """
        SELECT g.gate_id FROM gates g WHERE g.outcome = 'passed' AND (
          SELECT COUNT(DISTINCT d.person_id) FROM decisions d
          WHERE d.gate_id = g.gate_id AND d.counted AND d.verdict = 'approve') < g.quorum""",
    "a decision of a submitter": """
        SELECT d.decision_id FROM decisions d JOIN people p ON p.person_id = d.person_id
        WHERE p.handle IN ('sam', 'mia')""",
    "a counted decision about other bytes": """
        SELECT d.decision_id FROM decisions d JOIN gates g ON g.gate_id = d.gate_id
        JOIN versions v ON v.version_id = g.version_id WHERE d.sha256 <> v.sha256""",
    "two published versions of an asset": """
        SELECT asset_id FROM versions WHERE state = 'published' GROUP BY asset_id HAVING COUNT(*) > 1""",
    "a state that is not where the last event led": """
        SELECT v.version_id FROM versions v WHERE COALESCE(v.state, '') <> COALESCE((
          SELECT e.to_state FROM events e WHERE e.version_id = v.version_id AND e.to_state IS NOT NULL
          ORDER BY e.seq DESC LIMIT 1), '')""",
    "an event that starts where the one before did not end": """
        SELECT e.seq FROM events e WHERE e.to_state IS NOT NULL AND e.from_state <> COALESCE((
          SELECT b.to_state FROM events b
          WHERE b.version_id = e.version_id AND b.to_state IS NOT NULL AND b.seq < e.seq
          ORDER BY b.seq DESC LIMIT 1), '')""",
    "a gate without an outcome outside its review": """
        SELECT g.gate_id FROM gates g JOIN versions v ON v.version_id = g.version_id
        WHERE g.outcome IS NULL AND (v.state <> 'in_review' OR v.round <> g.round)""",
    "a version in review that nobody is asked about": """
        SELECT v.version_id FROM versions v WHERE v.state = 'in_review' AND NOT EXISTS (
          SELECT 1 FROM gates g WHERE g.version_id = v.version_id AND g.round = v.round
            AND g.outcome IS NULL AND g.opened_at IS NOT NULL)""",
    "an older version alive after a newer one has left screening": """
        SELECT o.version_id FROM versions o JOIN versions n ON n.asset_id = o.asset_id
        WHERE n.arrived_seq > o.arrived_seq
          AND o.state IN ('submitted', 'quarantined', 'in_review', 'changes_requested', 'approved')
          AND EXISTS (SELECT 1 FROM events e WHERE e.version_id = n.version_id
                        AND e.action IN ('approve', 'open_gates') AND e.seq > n.arrived_seq)""",
    "two open effects of a version": """
        SELECT version_id FROM effects WHERE status = 'open' GROUP BY version_id HAVING COUNT(*) > 1""",
    "an approved version that nothing will publish": """
        SELECT v.version_id FROM versions v WHERE v.state = 'approved' AND NOT EXISTS (
          SELECT 1 FROM effects e WHERE e.version_id = v.version_id AND e.status = 'open' AND e.kind = 'publish')""",
    "an effect that was done and moved nothing": """
        SELECT f.effect_id FROM effects f WHERE f.status = 'done' AND (
          SELECT COUNT(*) FROM events e WHERE e.effect_id = f.effect_id AND e.to_state IS NOT NULL) <> 1""",
    "a gate that was turned down by nobody and no deadline": """
        SELECT g.gate_id FROM gates g WHERE g.outcome IN ('rejected', 'changes_requested')
          AND NOT EXISTS (SELECT 1 FROM decisions d
                          WHERE d.gate_id = g.gate_id AND d.counted AND d.verdict <> 'approve')
          AND NOT EXISTS (SELECT 1 FROM rungs r WHERE r.gate_id = g.gate_id AND r.kind = 'finally')""",
    "a deadline that approved": """
        SELECT seq FROM events
        WHERE actor = 'system:enforce_deadlines' AND to_state NOT IN ('rejected', 'changes_requested')""",
    "rungs that are not one after the other": """
        SELECT version_id FROM rungs GROUP BY version_id, gate_id, since_seq
        HAVING COUNT(*) <> MAX(number) + 1 OR COUNT(DISTINCT number) <> COUNT(*)""",
    "a reminder or an end that nobody hears of": """
        SELECT r.version_id FROM rungs r WHERE r.kind <> 'escalate' AND NOT EXISTS (
          SELECT 1 FROM notices n WHERE n.created_at = r.fired_at AND n.kind = r.kind)""",
    "disposed of while it was held": """
        SELECT e.version_id FROM events e JOIN holds h ON h.version_id = e.version_id
        WHERE e.action = 'dispose' AND h.placed_at < e.at AND (h.released_at IS NULL OR h.released_at > e.at)""",
    "to be disposed of, and held": """
        SELECT f.version_id FROM effects f JOIN holds h ON h.version_id = f.version_id
        WHERE f.kind = 'dispose' AND f.status = 'open' AND h.released_at IS NULL""",
    "bytes out of custody": """
        SELECT v.version_id FROM versions v WHERE NOT EXISTS (
          SELECT 1 FROM custody c WHERE c.version_id = v.version_id AND c.released_at IS NULL)""",
}

TERMS = Terms(Calendar(days="mon-sun", hours="06:00-22:00"), LADDER, reminded=("owners",), told=("owners", "agency"))
EVERY = 8
"""Steps between two looks at the whole chain and all records, which take longer than the steps."""
TOGETHER = 10
"""Histories of a soak between two looks at the clock."""
CONTENTS = ["content 0", "content 1", "content 2"]
GATES = [(BRAND,), (BRAND_BY_TWO,), (BRAND, LEGAL), (BRAND, LEGAL_AFTER), (LEGAL_AFTER, BRAND_BY_TWO)]


class Crash(Exception):
    """The process dies before its commit."""


def while_there_is(sql: str) -> Callable[[Any], Any]:
    """A rule that is drawn only while the question has an answer."""
    return precondition(lambda self: bool(self.raw.execute(f"{sql} LIMIT 1")))


STATEMENTS = st.integers(0, 40)
"""After how many statements a process dies; a transaction that has fewer dies before its commit."""
SUBMITTED = "SELECT 1 FROM versions WHERE state = 'submitted'"
PARKED = "SELECT 1 FROM parkings WHERE status = 'parked'"
OPEN = "SELECT 1 FROM effects WHERE status = 'open'"
MOVING = f"{OPEN} AND kind <> 'dispose'"
MOVED = ["publish", "withdraw", "archive"]
DISPOSABLE = "state IN ('rejected', 'superseded', 'withdrawn', 'archived')"
HELD = "SELECT 1 FROM holds WHERE version_id = ? AND released_at IS NULL"


class Histories(RuleBasedStateMachine):
    """What people, flows and storage do to three assets."""

    def __init__(self, ledger: Ledger) -> None:
        """A furnished, otherwise empty ledger."""
        super().__init__()
        self.world = ApprovalWorld(ledger)
        self.raw = RawSql(ledger.url)
        self.missing: str | None = None
        self.steps = 0
        self.sound_steps = 0

    def teardown(self) -> None:
        """Look once more at everything, unless a step has failed, and close the plain connection."""
        try:
            if self.steps == self.sound_steps:
                self.look_at_everything()
        finally:
            self.raw.close()

    def one_of(self, sql: str, pick: int, *values: Any) -> Any | None:
        """One of the rows' first columns, or None."""
        rows = self.raw.execute(sql, *values)
        return rows[pick % len(rows)][0] if rows else None

    def crash_in(self, act: Callable[[Transaction], Any], statements: int) -> None:
        """Do something and die after so many statements, before the commit at the latest: nothing of it may be left."""
        before = self.fingerprint()
        sent = count(1)

        def die(*_: Any) -> None:
            if next(sent) > statements:
                raise Crash

        with suppress(Crash), self.world.writing() as tx:
            sa.event.listen(tx.connection, "before_cursor_execute", die)
            act(tx)
            raise Crash
        assert self.fingerprint() == before

    def fingerprint(self) -> list[tuple[Any, ...]]:
        """The head of the chain and how much there is of everything that steps write."""
        tables = (
            "versions",
            "custody",
            "sightings",
            "gates",
            "gate_eligible",
            "decisions",
            "notes",
            "effects",
            "parkings",
            "rungs",
            "notices",
            "holds",
        )
        counts = ", ".join(f"(SELECT COUNT(*) FROM {table})" for table in tables)
        return self.raw.execute(f"SELECT seq, hash, {counts} FROM chain_head")

    @rule(key=st.sampled_from("abc"), content=st.sampled_from(CONTENTS))
    def arrive(self, key: str, content: str) -> None:
        """An object is put: new bytes, old ones, or the same again."""
        self.world.submit(f"spring/{key}.jpg", content)

    @while_there_is(SUBMITTED)
    @rule(pick=st.integers(0, 9), gates=st.sampled_from(GATES))
    def review(self, pick: int, gates: tuple[GateTerms, ...]) -> None:
        """A submitted version goes into review."""
        self.screen(pick, "review", *gates)

    @while_there_is(SUBMITTED)
    @rule(pick=st.integers(0, 9), outcome=st.sampled_from(["quarantine", "automatic"]))
    def screen_without_people(self, pick: int, outcome: str) -> None:
        """A submitted version is held back, or approved by a rule."""
        self.screen(pick, outcome)

    def screen(self, pick: int, outcome: str, *gates: GateTerms) -> None:
        """Screen one of the submitted versions, and park what that opens."""
        with self.world.ledger.reading() as connection:
            waiting = unscreened(connection)
        submission = self.world.submission_of(waiting[pick % len(waiting)])
        self.world.screen(submission, outcome, *gates, rule=RULE)
        self.park()

    def park(self) -> None:
        """Open gates get their reviews, and reviews without open gates end."""
        with self.world.writing() as tx:
            close_emptied_reviews(tx)
        self.world.park()

    @while_there_is(PARKED)
    @rule(pick=st.integers(0, 9), who=st.sampled_from(PEOPLE))
    def approve(self, pick: int, who: str) -> None:
        """Somebody approves, eligible or not."""
        self.vote(pick, who, "approve")

    @while_there_is(PARKED)
    @rule(pick=st.integers(0, 9), who=st.sampled_from(PEOPLE), verdict=st.sampled_from(["reject", "request_changes"]))
    def turn_down(self, pick: int, who: str, verdict: str) -> None:
        """Somebody says no, eligible or not."""
        self.vote(pick, who, verdict)

    def vote(self, pick: int, who: str, verdict: str) -> None:
        """Answer a parked review, and park what is asked again."""
        review_id = self.one_of("SELECT review_id FROM parkings WHERE status = 'parked' ORDER BY review_id", pick)
        self.world.vote(review_id, who, verdict)
        self.park()

    @while_there_is("SELECT 1 FROM versions WHERE state IN ('rejected', 'changes_requested')")
    @rule(pick=st.integers(0, 9))
    def ask_again(self, pick: int) -> None:
        """Bytes that were turned down are put again."""
        where = "v.state IN ('rejected', 'changes_requested') ORDER BY v.version_id"
        found = self.raw.execute(
            f"SELECT a.key, v.sha256 FROM versions v JOIN assets a ON a.asset_id = v.asset_id WHERE {where}"
        )
        key, sha256 = found[pick % len(found)]
        (content,) = (one for one in CONTENTS if sha256_of(one) == sha256)
        assert self.world.submit(key, content).outcome == "reopened"

    @while_there_is(PARKED)
    @rule(pick=st.integers(0, 9))
    def lose_a_run(self, pick: int) -> None:
        """Prefect loses a run: its round is replaced."""
        with self.world.ledger.reading() as connection:
            runs = sorted(parked_runs(connection).values())
        with self.world.writing() as tx:
            close_round(tx, *runs[pick % len(runs)], "replaced", "lost")
        self.park()

    @while_there_is("SELECT 1 FROM versions WHERE state IN ('in_review', 'quarantined', 'changes_requested')")
    @rule(hours=st.integers(0, 30), dies=st.none() | STATEMENTS)
    def keep_deadlines(self, hours: int, dies: int | None) -> None:
        """Time passes and a sweep comes; it may die half-way, and then the next one does all of it."""
        self.world.now += timedelta(hours=hours)

        def act(tx: Transaction) -> None:
            fire_due(tx, [*waiting_gates(tx.connection), *waiting_versions(tx.connection)], lambda _: TERMS)

        if dies is not None:
            self.crash_in(act, dies)
        with self.world.writing("system:enforce_deadlines") as tx:
            act(tx)
        self.park()

    @while_there_is(MOVING)
    @rule(pick=st.integers(0, 9), fails=st.booleans())
    def carry_out(self, pick: int, fails: bool) -> None:
        """An open effect is carried out, or fails and stays open."""
        effect = self.an_open_effect(pick, MOVED)
        with self.world.writing() as tx:
            begin_effects(tx, [effect.effect_id])
        if fails:
            with self.world.writing() as tx:
                note_failure(tx, effect, "the store was away")
        else:
            self.world.carry_out(effect.version_id)

    @while_there_is(f"{OPEN} AND kind = 'publish'")
    @rule(pick=st.integers(0, 9), key=st.sampled_from("abc"), content=st.sampled_from(CONTENTS))
    def overtake(self, pick: int, key: str, content: str) -> None:
        """While bytes are copied another version leaves screening: the copy is completed, or is stale, never both."""
        effect = self.an_open_effect(pick, ["publish"])
        submission = self.world.submit(f"spring/{key}.jpg", content)
        if self.world.state(submission.version_id) == "submitted":
            self.world.screen(submission, "automatic", rule=RULE)
        status = self.one_of("SELECT status FROM effects WHERE effect_id = ?", 0, effect.effect_id)
        try:
            with self.world.writing() as tx:
                complete_publications(tx, [Carried(effect)])
        except StaleVersion:
            assert status == "cancelled"
        else:
            assert status == "open"

    def an_open_effect(self, pick: int, kinds: list[str] | None = None) -> Effect:
        """One of the open effects."""
        with self.world.ledger.reading() as connection:
            effects = load_open_effects(connection, kinds)
        return effects[pick % len(effects)]

    @while_there_is("SELECT 1 FROM versions WHERE state = 'published'")
    @rule(pick=st.integers(0, 9), reason=st.sampled_from(["rights: expired", "takedown"]))
    def withdraw(self, pick: int, reason: str) -> None:
        """A published version is to be withdrawn."""
        self.open_effect("withdraw", "v.state = 'published'", pick, reason)

    @while_there_is("SELECT 1 FROM versions WHERE state = 'withdrawn'")
    @rule(pick=st.integers(0, 9))
    def publish_again(self, pick: int) -> None:
        """The rights are good again, and nothing newer is there."""
        self.open_effect(
            "publish",
            "v.state = 'withdrawn' AND NOT EXISTS (SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id"
            " AND n.state IN ('published', 'approved')) AND (SELECT reason FROM events e"
            " WHERE e.version_id = v.version_id AND e.action = 'withdraw' ORDER BY seq DESC LIMIT 1) LIKE 'rights%'",
            pick,
            "rights: cleared",
        )

    @while_there_is("SELECT 1 FROM versions WHERE state IN ('rejected', 'superseded', 'withdrawn')")
    @rule(pick=st.integers(0, 9))
    def archive(self, pick: int) -> None:
        """An old version is to be archived."""
        self.open_effect("archive", "v.state IN ('rejected', 'superseded', 'withdrawn')", pick, "old")

    def open_effect(self, kind: str, where: str, pick: int, reason: str) -> None:
        """Open an effect for one of the versions that may have it."""
        free = "NOT EXISTS (SELECT 1 FROM effects f WHERE f.version_id = v.version_id AND f.status = 'open')"
        version_id = self.one_of(f"SELECT v.version_id FROM versions v WHERE {where} AND {free} ORDER BY 1", pick)
        if version_id is not None:
            self.world.open_effect(kind, version_id, reason)

    @while_there_is(f"SELECT 1 FROM versions WHERE {DISPOSABLE}")
    @rule(pick=st.integers(0, 9))
    def plan_disposal(self, pick: int) -> None:
        """An old version is to be disposed of; if it is held, nobody can."""
        free = "NOT EXISTS (SELECT 1 FROM effects f WHERE f.version_id = v.version_id AND f.status = 'open')"
        version_id = self.one_of(f"SELECT v.version_id FROM versions v WHERE {DISPOSABLE} AND {free} ORDER BY 1", pick)
        if version_id is not None:
            is_held = self.raw.execute(HELD, version_id)
            with pytest.raises(RuleBroken, match="rule 6") if is_held else nullcontext():
                self.world.open_effect("dispose", version_id, "old")

    @while_there_is(f"{OPEN} AND kind = 'dispose'")
    @rule(pick=st.integers(0, 9))
    def dispose(self, pick: int) -> None:
        """What is to be disposed of is gone."""
        effect = self.an_open_effect(pick, ["dispose"])
        with self.world.writing("system:carry_out_effects") as tx:
            done = "UPDATE effects SET status = 'done', closed_at = :at WHERE effect_id = :effect"
            tx.connection.execute(sa.text(done), {"at": to_micros(tx.origin.at), "effect": effect.effect_id})
            state = State(effect.state)
            move(tx, [Move(effect.version_id, Action.DISPOSE, state, effect_id=effect.effect_id)])

    @while_there_is("SELECT 1 FROM versions")
    @rule(pick=st.integers(0, 9))
    def hold(self, pick: int) -> None:
        """A matter keeps a version, unless its disposal has begun or is over."""
        version_id = self.one_of("SELECT version_id FROM versions WHERE state IS NOT NULL ORDER BY 1", pick)
        going = self.raw.execute(f"{OPEN} AND kind = 'dispose' AND version_id = ?", version_id)
        too_late = going or self.world.state(version_id) == "disposed"
        with pytest.raises(RuleBroken, match="rule 6") if too_late else nullcontext(), self.world.writing() as tx:
            (hold_id,) = tx.number(tables.holds)
            row = {"hold_id": hold_id, "version_id": version_id, "matter": "m", "placed_by": "ada"}
            tx.insert(tables.holds, [{**row, "placed_at": tx.origin.at}])

    @while_there_is("SELECT 1 FROM holds WHERE released_at IS NULL")
    @rule(pick=st.integers(0, 9))
    def let_go(self, pick: int) -> None:
        """A matter is closed."""
        hold_id = self.one_of("SELECT hold_id FROM holds WHERE released_at IS NULL ORDER BY 1", pick)
        with self.world.writing() as tx:
            closed = "UPDATE holds SET released_at = :at, released_by = 'b' WHERE hold_id = :hold"
            tx.connection.execute(sa.text(closed), {"at": to_micros(tx.origin.at), "hold": hold_id})

    @while_there_is("SELECT 1 FROM versions WHERE state = 'quarantined'")
    @rule(pick=st.integers(0, 9))
    def release(self, pick: int) -> None:
        """Somebody releases a quarantined version that nothing newer has followed."""
        version_id = self.one_of(
            "SELECT v.version_id FROM versions v WHERE v.state = 'quarantined' AND NOT EXISTS ("
            "SELECT 1 FROM versions n WHERE n.asset_id = v.asset_id AND n.arrived_seq > v.arrived_seq) ORDER BY 1",
            pick,
        )
        if version_id is None:
            return
        ole = self.world.person("ole")
        step = Move(version_id, Action.RELEASE, State.QUARANTINED, reason="seen and good")
        undecided = pytest.raises(RuleBroken, match="rule 2: what is held goes on as a person of its review said")
        with undecided, self.world.writing(f"person:{ole}") as tx:
            move(tx, [step])
        with self.world.writing("system:ingest_assets") as tx:
            waiting = [one for one in held_without_review(tx.connection) if one.version_id == version_id]
            (review_id,) = open_held_reviews(tx, [("owners", self.world.now + timedelta(days=2), waiting)])
        self.park()
        with self.world.writing("system:decide_review") as tx:
            review = load_review(tx.connection, review_id)
            ballot = Ballot(version_id, "release", "seen and good")
            assert decide_held(tx, review, ole, [ballot]).counted == (version_id,)
            close_round(tx, review_id, review.round, "answered", None)

    @rule(who=st.sampled_from(["ben", "kim", None]))
    def change_the_roster(self, who: str | None) -> None:
        """Somebody leaves, or comes back."""
        self.missing = who
        people = [RosterPerson(one, one.title(), None) for one in PEOPLE if one != who]
        groups = {group: [one for one in members if one != who] for group, members in GROUPS.items()}
        with self.world.writing() as tx:
            import_roster(tx, people, groups)

    @rule(hours=st.integers(-48, 48))
    def turn_the_clock(self, hours: int) -> None:
        """The clock jumps."""
        self.world.now += timedelta(hours=hours)

    @rule(key=st.sampled_from("abc"), content=st.sampled_from(CONTENTS), after=STATEMENTS)
    def crash_while_submitting(self, key: str, content: str, after: int) -> None:
        """The process dies between two statements of a submission, or before its commit."""
        arrival = self.world.arrival(f"spring/{key}.jpg", content)
        self.crash_in(lambda tx: submit(tx, [arrival], self.world.policy), after)

    @while_there_is(PARKED)
    @rule(pick=st.integers(0, 9), after=STATEMENTS)
    def crash_while_deciding(self, pick: int, after: int) -> None:
        """The process dies between two statements of a decision, or before its commit."""
        review_id = self.one_of("SELECT review_id FROM parkings WHERE status = 'parked' ORDER BY review_id", pick)
        lea = self.world.person("lea")

        def act(tx: Transaction) -> None:
            review = load_review(tx.connection, review_id)
            decide(tx, review_id, review.round, lea, lea, [Ballot(one.gate_id, "approve") for one in review.items])
            close_round(tx, review_id, review.round, "answered", None)

        self.crash_in(act, after)

    @while_there_is(f"{OPEN} AND kind = 'publish'")
    @rule(pick=st.integers(0, 9), after=STATEMENTS)
    def crash_while_publishing(self, pick: int, after: int) -> None:
        """The process dies between two statements that mark a publication, or before the commit."""
        effect = self.an_open_effect(pick, ["publish"])
        self.crash_in(lambda tx: complete_publications(tx, [Carried(effect)]), after)

    @invariant()
    def nothing_happens_that_must_not(self) -> None:
        """None of the questions that look for a broken promise has an answer."""
        self.steps += 1
        broken = {name: found for name, sql in NEVER.items() if (found := self.raw.execute(sql))}
        assert broken == {}

    @invariant()
    def the_chain_holds(self) -> None:
        """Looked at now and then: what a step damages stays damaged."""
        if self.steps % EVERY == 0:
            self.look_at_everything()
        self.sound_steps = self.steps

    def look_at_everything(self) -> None:
        """The chain holds from the first event to the head, and the records say what it says."""
        with self.world.ledger.reading() as connection:
            found = verify_chain(connection)
            mismatches = verify_records(connection)
        assert (found.damage, mismatches) == (None, [])


def tell(ledger: Ledger, template: Path | None, examples: int, steps: int) -> None:
    """Run random histories, each on an emptied ledger."""

    def begin() -> Histories:
        ledger.close()
        if template:
            restore_file(template, Path(ledger.url.database or ""))
        else:
            empty_database(ledger.url)
        return Histories(ledger)

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        begin,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks
        ),
    )


def test_random_histories(ledger: Ledger, sqlite_template: Path) -> None:
    """A few, on both databases."""
    tell(ledger, sqlite_template if ledger.is_sqlite else None, examples=8, steps=25)


def tell_for_long(ledger: Ledger, template: Path, examples: int, steps: int) -> None:
    """Run so many random histories, or as many as `SIGNOFF_SOAK_S` seconds allow."""
    until = time.monotonic() + float(os.environ.get("SIGNOFF_SOAK_S", "inf"))
    for _ in range(0, examples, TOGETHER):
        if time.monotonic() < until:
            tell(ledger, template if ledger.is_sqlite else None, TOGETHER, steps)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_thousands_of_random_histories(ledger: Ledger, sqlite_template: Path) -> None:
    """Thousands, as long as most versions' lives."""
    tell_for_long(ledger, sqlite_template, examples=2_000, steps=30)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_long_random_histories(ledger: Ledger, sqlite_template: Path) -> None:
    """Some that are much longer."""
    tell_for_long(ledger, sqlite_template, examples=60, steps=120)
