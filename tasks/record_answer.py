"""Record what a reviewer answered: read the form strictly, let the ledger judge it, note what must be asked again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.decide import Ballot, Decided, decide, note_attempt
from ledger.reviews import Review, close_round, load_review, parking_of_run
from ledger.transaction import Transaction
from policies.review_form import Answer, read_answer
from tasks.draw_review import draw_review
from tasks.park_run import delete_inputs, read_response
from tasks.resources import Resources

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
    is audited and the next round noted with the reason. Run twice, it changes nothing the second time. Raises
    `PrefectAway` and `LedgerBusy` (transient).
    """
    with resources.ledger.reading() as connection:
        parking = parking_of_run(connection, flow_run_id)
    if parking is None:
        return Recorded(None, "this run belongs to no review of this ledger; nothing was decided", Decided())
    review_id, round_number, status = parking
    if status != "parked":
        with resources.ledger.writing(resources.origin(ACTOR, flow_run_id)) as tx:
            note_attempt(tx, review_id, round_number, f"the round is {status} already")
        return Recorded(review_id, f"round {round_number} is {status} already; nothing was decided", Decided())
    raw = read_response(resources.prefect, flow_run_id)
    with resources.ledger.writing(resources.origin(ACTOR, flow_run_id)) as tx:
        recorded = _judge(tx, resources, review_id, round_number, raw)
    delete_inputs(resources.prefect, flow_run_id)
    return recorded


def _judge(tx: Transaction, resources: Resources, review_id: int, round_number: int, raw: Any) -> Recorded:
    review = load_review(tx.connection, review_id, round_number)
    if review.status != "parked":  # another run of the same round was faster
        return Recorded(review_id, f"round {round_number} is {review.status} already; nothing was decided", Decided())
    answer = read_answer(raw, draw_review(resources, review, pictures=False))
    if not isinstance(answer, Answer):
        reason = f"The last answer was not accepted: {answer.reason}"
        note_attempt(tx, review_id, round_number, f"{answer.field}: {answer.reason}")
        return Recorded(review_id, reason, Decided(), close_round(tx, review_id, round_number, "answered", reason))
    ballots = [Ballot(one.gate_id, str(one.decision), one.comment) for one in answer.decisions]
    decided = decide(tx, review_id, round_number, answer.person_id, answer.on_behalf_of, ballots)
    words = _words(review, answer, decided)
    if decided.refused:
        note_attempt(tx, review_id, round_number, "; ".join(sorted(set(decided.refused.values()))))
    return Recorded(review_id, words, decided, close_round(tx, review_id, round_number, "answered", words))


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
