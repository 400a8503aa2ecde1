"""Record what a reviewer answered: read the form strictly, let the ledger judge it, note what must be asked again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from ledger.announce import announce_rejected
from ledger.decide import Ballot, Decided, decide, mark_answered, note_attempt, note_stranger
from ledger.errors import StaleVersion
from ledger.held import decide_held
from ledger.receipts import write_receipt
from ledger.review import Review, load_review
from ledger.rounds import close_round, mark_parked, parking_of_run, parkings_to_do, tokens_of_rounds
from ledger.signatures import NotSigned
from ledger.transaction import Transaction
from policies.review_form import Answer, read_answer
from tasks.draw_review import draw_review, due_of
from tasks.form_marks import is_own_schema
from tasks.park_reviews import idempotency_key, parse_idempotency_key, shown_basis
from tasks.park_run import delete_inputs, read_schema
from tasks.read_submission import read_submission
from tasks.resources import Resources
from tasks.sign_answer import Given, carries_code, given_at, sign_answer

ACTOR = "system:decide_review"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of a resumed run: `words` says it for the log; `again` is the round that asks again, if any."""

    review_id: int | None
    words: str
    decided: Decided
    again: int | None = None


def record_answer(resources: Resources, flow_run_id: str) -> Recorded:
    """Record the answer that a resumed run carries; everything it leads to in the ledger is one transaction.

    A run without a valid answer (no form, wrong person, stale round, a form of strangers) decides nothing: the attempt
    is audited and the next round noted with the reason. An answer to a round that was replaced or closed while it was
    on its way is taken: it counts at gates that are open still, elsewhere it is kept as an opinion. Run twice, it
    changes nothing the second time; what a run that died left unrecorded, any later call records. Raises `PrefectAway`
    and `LedgerBusy` (transient).
    """
    parking = _parking_of(resources, flow_run_id) or _mark_early(resources, flow_run_id)
    if parking is None:
        with resources.ledger.writing(resources.origin(ACTOR, flow_run_id)) as tx:
            note_stranger(tx)
        return Recorded(None, "this run belongs to no review of this ledger; nothing was decided", Decided())
    raw = None if parking[2] == "answered" else read_submission(resources, flow_run_id, *parking[:2])
    given = Given(raw, given_at(resources, flow_run_id) if carries_code(raw) else resources.clock.now())
    with resources.ledger.writing(resources.origin(ACTOR, flow_run_id)) as tx:
        # again, under the lock: its round may have ended since
        recorded = _judge(tx, resources, parking_of_run(tx.connection, flow_run_id) or parking, given)
    delete_inputs(resources.prefect, flow_run_id)
    return recorded


def _parking_of(resources: Resources, flow_run_id: str) -> tuple[int, int, str] | None:
    with resources.ledger.reading() as connection:
        return parking_of_run(connection, flow_run_id)


def _mark_early(resources: Resources, flow_run_id: str) -> tuple[int, int, str] | None:
    """Mark the round of a run that was answered between the writing of its form and its mark in the ledger.

    The run's idempotency key says which round it carries; a run with another key is a stranger's.
    """
    run = resources.prefect.find(f"flow_runs/{flow_run_id}") or {}
    named = parse_idempotency_key(run.get("idempotency_key") or "")
    if named is None:
        return None
    with resources.ledger.reading() as connection:
        if named not in parkings_to_do(connection):
            return None
        review, token = load_review(connection, *named), tokens_of_rounds(connection, [named]).get(named)
    if idempotency_key(review, token) != run["idempotency_key"]:
        return None
    schema = read_schema(resources.prefect, flow_run_id)
    if not is_own_schema(token, schema):
        return None
    basis = shown_basis(schema)
    due = due_of(resources, review, resources.policy(review.policy_sha256))
    with resources.ledger.writing(resources.origin(ACTOR, flow_run_id)) as tx, suppress(StaleVersion):
        mark_parked(tx, review.review_id, review.round, flow_run_id, basis, due)
    return _parking_of(resources, flow_run_id)


def _judge(tx: Transaction, resources: Resources, parking: tuple[int, int, str], given: Given) -> Recorded:
    review_id, round_number, status = parking
    if status == "parked":
        recorded = _take(tx, resources, _load(tx, review_id, round_number), given)
        again = close_round(tx, review_id, round_number, "answered", recorded.words)
        return replace(recorded, again=again)
    if given.raw is not None and mark_answered(tx, review_id, round_number):
        return _judge_late(tx, resources, review_id, round_number, given)
    note_attempt(tx, review_id, round_number, f"the round is {status} already")
    return Recorded(review_id, f"round {round_number} is {status} already; nothing was decided", Decided())


def _judge_late(tx: Transaction, resources: Resources, review_id: int, round_number: int, given: Given) -> Recorded:
    """Take the answer to a round that has ended; where it counts, the round that asks now is replaced by one more."""
    recorded = _take(tx, resources, _load(tx, review_id, round_number), given)
    present = load_review(tx.connection, review_id)
    if not recorded.decided.counted or present.status not in ("to_park", "parked"):
        return recorded
    return replace(recorded, again=close_round(tx, review_id, present.round, "replaced", recorded.words))


def _load(tx: Transaction, review_id: int, round_number: int) -> Review:
    return load_review(tx.connection, review_id, round_number, now=tx.origin.at)


def _take(tx: Transaction, resources: Resources, review: Review, given: Given) -> Recorded:
    """Record what a form says, or audit why it says nothing."""
    sheet = draw_review(resources, review, pictures=False)
    answer = read_answer(given.raw, sheet)
    if not isinstance(answer, Answer):
        # the reason names people and may quote what was sent: it stays out of the chain
        note_attempt(tx, review.review_id, review.round, f"not acceptable: {answer.field or 'the form'}")
        return Recorded(review.review_id, f"The last answer was not accepted: {answer.reason}", Decided())
    signed = sign_answer(tx, resources, review, answer, given.at) if sheet.signed else None
    if isinstance(signed, NotSigned):
        reason = f"not signed: {signed.flaw}"
        note_attempt(tx, review.review_id, review.round, reason, person_id=answer.person_id)
        return Recorded(review.review_id, f"The last answer was not accepted: {signed.words}", Decided())
    step = None if signed is None else signed.step
    ballots = [Ballot(one.gate_id, str(one.decision), one.comment) for one in answer.decisions]
    whose = (answer.person_id, answer.on_behalf_of)
    if review.is_of_versions:
        decided = decide_held(tx, review, whose[0], ballots, signed_step=step, on_behalf_of=whose[1])
    else:
        decided = decide(tx, review.review_id, review.round, *whose, ballots, signed_step=step)
    announce_rejected(tx, review, decided.turned_down)
    write_receipt(tx, review, answer.person_id, {item.gate_id: item.key for item in review.items})
    if decided.refused:
        note_attempt(tx, review.review_id, review.round, "; ".join(sorted(set(decided.refused.values()))))
    return Recorded(review.review_id, _words(review, answer, decided), decided)


def _words(review: Review, answer: Answer, decided: Decided) -> str:
    """Why the review is asked again, without telling the next reviewer what the last one decided."""
    who = next((one.name for one in review.people if one.person_id == answer.person_id), "Somebody")
    parts = (
        [f"{who} has decided on {len(decided.counted)} of {len(review.shown_items)} assets."] if decided.counted else []
    )
    if decided.opinions:
        parts.append(f"{len(decided.opinions)} had been closed meanwhile; what was said of them is kept as an opinion.")
    names = {item.gate_id: f"{item.position} · {item.key}" for item in review.items}
    parts += [f"Not taken for {names[gate_id]}: {reason}." for gate_id, reason in decided.refused.items()]
    return " ".join(parts) or "Nothing was decided."
