"""A small agency whose assets go through the ledger by its public verbs: short ways to bring a version anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from ledger.decide import Ballot, Decided, decide
from ledger.effects import (
    Carried,
    Effect,
    complete_archivings,
    complete_publications,
    complete_withdrawals,
    load_open_effects,
    open_effects,
)
from ledger.engine import Ledger
from ledger.gates import GateTerms
from ledger.policy_store import activate_policy, store_policy
from ledger.reader import Unscreened
from ledger.review import load_review
from ledger.reviews import gates_without_review, open_reviews
from ledger.roster import RosterPerson, import_roster
from ledger.rounds import close_round, mark_parked
from ledger.screen import (
    ClearanceRecord,
    InspectionRecord,
    Screened,
    VerdictRecord,
    record_clearances,
    record_inspections,
    record_screenings,
    record_verdicts,
)
from ledger.submit import Arrival, Custody, Submission, submit
from ledger.transaction import Origin, Transaction

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
PEOPLE = ("lea", "ben", "mia", "kim", "ole", "sam")
GROUPS = {"brand": ("lea", "ben", "mia"), "legal": ("kim", "lea"), "owners": ("ole",), "agency": ("sam", "mia")}
POLICY = "name: creative-signoff\n"
RULE = "routine"
BRAND = GateTerms("brand", 0, 1, True, "none", "brand", "owners")
BRAND_BY_TWO = GateTerms("brand", 0, 2, True, "none", "brand", "owners")
LEGAL = GateTerms("legal", 0, 1, True, "none", "legal", "owners")
LEGAL_AFTER = GateTerms("legal", 1, 1, True, "none", "legal", "owners")


def sha256_of(content: str) -> str:
    """SHA-256 of some text, as the bytes of an asset."""
    return hashlib.sha256(content.encode()).hexdigest()


class ApprovalWorld:
    """A ledger and a clock that goes on by a second with each transaction."""

    def __init__(self, ledger: Ledger, *, furnish: bool = True) -> None:
        """Import the roster and activate the first policy, unless the ledger has them (`furnish=False`)."""
        self.ledger = ledger
        self.now = START
        self.put_at = START  # the store has a clock of its own
        self.policy = hashlib.sha256(POLICY.encode()).hexdigest()
        if furnish:
            with self.writing() as tx:
                import_roster(tx, [RosterPerson(one, one.title(), f"{one}@example.org") for one in PEOPLE], GROUPS)
                activate_policy(tx, store_policy(tx, "creative-signoff", POLICY, [RULE]), "operator:ada")

    @contextmanager
    def writing(self, actor: str = "system:test") -> Iterator[Transaction]:
        """A write transaction, a second after the last one."""
        self.now += timedelta(seconds=1)
        with self.ledger.writing(Origin(actor, self.now)) as tx:
            yield tx

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a plain SELECT; parameters are written as `?`."""
        named = {f"p{number}": value for number, value in enumerate(values)}
        parts = sql.split("?")
        text = "".join(part + (f":p{number}" if number < len(values) else "") for number, part in enumerate(parts))
        with self.ledger.reading() as connection:
            return [tuple(row) for row in connection.execute(sa.text(text), named)]

    def person(self, handle: str) -> int:
        """Id of a person."""
        ((person_id,),) = self.ask("SELECT person_id FROM people WHERE handle = ?", handle)
        return int(person_id)

    def state(self, version_id: int) -> str:
        """State of a version."""
        ((state,),) = self.ask("SELECT state FROM versions WHERE version_id = ?", version_id)
        return str(state)

    def story(self, version_id: int) -> list[str]:
        """Actions of a version's events, in order."""
        found = self.ask("SELECT action FROM events WHERE version_id = ? ORDER BY seq", version_id)
        return [str(row[0]) for row in found]

    # --- arriving and screening

    def arrival(
        self, key: str, content: str, submitter: str | None = "agency", *, put_at: datetime | None = None
    ) -> Arrival:
        """An object whose bytes lie in custody."""
        sha256 = sha256_of(content)
        custody = Custody("copied", "workspace", f"masters/{sha256}", None, f"etag-{sha256[:8]}")
        at = put_at or self.put_at
        return Arrival("intake", key, f"etag-{content}", len(content), at, sha256, "spring", submitter, custody)

    def submit(self, key: str = "spring/a.jpg", content: str = "one", submitter: str | None = "agency") -> Submission:
        """Put an object and submit it."""
        self.put_at += timedelta(minutes=1)
        with self.writing("system:ingest_assets") as tx:
            (submission,) = submit(tx, [self.arrival(key, content, submitter)], self.policy)
        return submission

    def screened(
        self, submission: Submission, outcome: str, gates: Sequence[GateTerms] = (), rule: str | None = None
    ) -> Screened:
        """What screening says of a version."""
        return Screened(
            version_id=submission.version_id,
            round=submission.round,
            policy_sha256=self.policy,
            kind="image",
            clearance="cleared",
            facts={"kind": "image", "size": submission.arrival.size_bytes},
            explanation="{}",
            outcome=outcome,
            rule=rule,
            gates=tuple(gates),
            label="portrait",
            score=0.75,
            verdict_key=self.verdict(submission),
        )

    def verdict(self, submission: Submission) -> tuple[str, str, str, str, str]:
        """Key of the verdict about a version's bytes."""
        return (submission.arrival.sha256, "images", "model", "r1", "labels")

    def screen(
        self, submission: Submission, outcome: str, *gates: GateTerms, rule: str | None = None, route: str = "{}"
    ) -> None:
        """Record everything that screening finds, and take the step it leads to."""
        sha256 = submission.arrival.sha256
        with self.writing("system:ingest_assets") as tx:
            found = InspectionRecord(sha256, "i1", "image/jpeg", "image", None, "ff" * 32, f"thumbnails/{sha256}", "{}")
            record_inspections(tx, [found])
            record_verdicts(
                tx, [VerdictRecord(*self.verdict(submission), "portrait", 0.75, 0.5, "other", None, None, None)]
            )
            clearance = ClearanceRecord(submission.version_id, "{}", "cleared", "[]", '["g1"]', "digest", None)
            cleared = record_clearances(tx, [clearance])
            found_out = replace(self.screened(submission, outcome, gates, rule), explanation=route)
            record_screenings(tx, [found_out], cleared)

    def submission_of(self, waiting: Unscreened) -> Submission:
        """What was submitted, told from what waits for screening."""
        held = Custody(
            "copied", waiting.custody_bucket, waiting.custody_key, waiting.custody_version, waiting.custody_etag
        )
        arrival = Arrival(
            waiting.bucket,
            waiting.key,
            waiting.custody_etag,
            waiting.size_bytes,
            self.put_at,
            waiting.sha256,
            waiting.collection,
            waiting.submitter,
            held,
        )
        return Submission(arrival, waiting.version_id, waiting.number, waiting.round, "known")

    # --- reviewing

    def park(self, *, run: str | None = None) -> list[int]:
        """Open a review for every open gate that has none, and park every round that waits; returns review ids."""
        with self.writing("system:ingest_assets") as tx:
            opened = open_reviews(tx, [[gate] for gate in gates_without_review(tx.connection)])
        for review_id, round_number in self.ask("SELECT review_id, round FROM parkings WHERE status = 'to_park'"):
            with self.ledger.reading() as connection:
                review = load_review(connection, review_id, round_number)
            basis = {item.gate_id: item.basis for item in review.open_items}
            with self.writing("system:ingest_assets") as tx:
                name = run or f"run-{review_id}-{round_number}"
                mark_parked(tx, review_id, round_number, name, basis, self.now + timedelta(days=2))
        return opened

    def vote(
        self, review_id: int, handle: str, verdict: str, comment: str | None = None, *, on_behalf_of: str | None = None
    ) -> Decided:
        """Answer the last round of a review, the same for all of its gates, and end the round."""
        person, principal = self.person(handle), self.person(on_behalf_of or handle)
        comment = comment or (None if verdict == "approve" else "no")
        with self.writing("system:decide_review") as tx:
            review = load_review(tx.connection, review_id)
            ballots = [Ballot(item.gate_id, verdict, comment) for item in review.shown_items]
            decided = decide(tx, review_id, review.round, person, principal, ballots)
            close_round(tx, review_id, review.round, "answered", "asked again")
        return decided

    # --- effects

    def effect(self, version_id: int) -> Effect:
        """The open effect of a version."""
        with self.ledger.reading() as connection:
            (found,) = load_open_effects(connection, version_ids=[version_id])
        return found

    def effect_now(self, tx: Transaction, version_id: int) -> Effect:
        """The open effect of a version, as a transaction sees it."""
        (found,) = load_open_effects(tx.connection, version_ids=[version_id])
        return found

    def carry_out(self, version_id: int) -> None:
        """Complete the open effect of a version, as if its bytes had been moved."""
        effect = self.effect(version_id)
        complete = {
            "publish": complete_publications,
            "withdraw": complete_withdrawals,
            "archive": complete_archivings,
        }[effect.kind]
        place = {"bucket": "archive", "key": f"versions/{version_id}", "etag": "e", "sha256": effect.sha256}
        with self.writing("system:carry_out_effects") as tx:
            complete(tx, [Carried(effect, place)])

    def open_effect(self, kind: str, version_id: int, reason: str) -> None:
        """Open an effect."""
        with self.writing("system:test") as tx:
            open_effects(tx, kind, [version_id], reason=reason)

    # --- whole ways

    def submitted(self, key: str = "spring/a.jpg", content: str = "one") -> int:
        """A version that waits for screening."""
        return self.submit(key, content).version_id

    def in_review(self, key: str = "spring/a.jpg", content: str = "one", *gates: GateTerms) -> int:
        """A version whose gates (brand by default) are open and parked."""
        submission = self.submit(key, content)
        self.screen(submission, "review", *(gates or (BRAND,)))
        self.park()
        return submission.version_id

    def quarantined(self, key: str = "spring/a.jpg", content: str = "one", route: str = "{}") -> int:
        """A version in quarantine."""
        submission = self.submit(key, content)
        self.screen(submission, "quarantine", rule="type_mismatch", route=route)
        return submission.version_id

    def approved(self, key: str = "spring/a.jpg", content: str = "one") -> int:
        """A version that a person approved, with its publish effect open."""
        version_id = self.in_review(key, content)
        self.vote(self.review_of(version_id), "lea", "approve")
        return version_id

    def turned_down(self, key: str, content: str, verdict: str) -> int:
        """A version that a person rejected or sent back."""
        version_id = self.in_review(key, content)
        self.vote(self.review_of(version_id), "lea", verdict)
        return version_id

    def published(self, key: str = "spring/a.jpg", content: str = "one") -> int:
        """A published version."""
        version_id = self.approved(key, content)
        self.carry_out(version_id)
        return version_id

    def withdrawn(self, key: str = "spring/a.jpg", content: str = "one", reason: str = "rights: expired") -> int:
        """A version that was published and withdrawn."""
        version_id = self.published(key, content)
        self.open_effect("withdraw", version_id, reason)
        self.carry_out(version_id)
        return version_id

    def archived(self, key: str = "spring/a.jpg", content: str = "one") -> int:
        """A rejected version that lies in the archive."""
        version_id = self.turned_down(key, content, "reject")
        self.open_effect("archive", version_id, "old rejects")
        self.carry_out(version_id)
        return version_id

    def superseded(self, key: str = "spring/a.jpg") -> int:
        """A version whose successor has left screening."""
        version_id = self.in_review(key, f"{key} before")
        self.screen(self.submit(key, f"{key} after"), "review", BRAND)
        return version_id

    def review_of(self, version_id: int, stage: str = "brand") -> int:
        """The last review of a version at a stage."""
        found = self.ask(
            "SELECT r.review_id FROM review_gates r JOIN gates g ON g.gate_id = r.gate_id "
            "WHERE g.version_id = ? AND g.stage = ? ORDER BY g.round DESC",
            version_id,
            stage,
        )
        return int(found[0][0])

    def gate_of(self, version_id: int, stage: str = "brand") -> int:
        """The last gate of a version at a stage."""
        sql = "SELECT gate_id FROM gates WHERE version_id = ? AND stage = ? ORDER BY round DESC"
        return int(self.ask(sql, version_id, stage)[0][0])
