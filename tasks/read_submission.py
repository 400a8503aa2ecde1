"""Read what a resumed run brings back, and whether it is an answer to the form that was parked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from ledger.rounds import tokens_of_rounds
from policies.review_form import Forged
from tasks.form_marks import is_own_description, is_own_schema
from tasks.park_run import DESCRIPTION, KEYSET, RESPONSE, SCHEMA, parsed_input
from tasks.resources import Resources

ANSWER_WRITTEN_WITHIN: Final = timedelta(seconds=3)
"""Prefect stores an answer in the transaction that resumes the run: what is written later is somebody else's."""


def read_submission(resources: Resources, flow_run_id: str, review_id: int, round_number: int) -> Any:
    """The form as it was submitted, None if there is none, or why it is `Forged`; two calls to Prefect's API.

    It is data of a stranger until `policies.review_form.read_answer` accepts it. Whoever reaches Prefect's API can
    exchange what a reviewer is shown and what a reviewer said. What is still exchanged when the answer is read is found
    here; who puts everything back in time, or does it within the second, is not.
    """
    with resources.ledger.reading() as connection:
        token = tokens_of_rounds(connection, [(review_id, round_number)]).get((review_id, round_number))
    api = resources.prefect
    inputs = api.list_inputs(flow_run_id)
    if RESPONSE not in inputs:
        return None
    text, written_at = inputs[RESPONSE]
    if token is None:  # parked by an older release
        return parsed_input(text)
    schema, description = (parsed_input(inputs[key][0]) if key in inputs else None for key in (SCHEMA, DESCRIPTION))
    if not isinstance(schema, dict) or not is_own_schema(token, schema):
        return Forged("the form had been exchanged for another one")
    if not is_own_description(schema, description):
        return Forged("what stood above the form had been exchanged")
    flaw = _flaw_of_history(api.state_history(flow_run_id), written_at)
    return parsed_input(text) if flaw is None else Forged(flaw)


def _flaw_of_history(states: Sequence[Mapping[str, Any]], written_at: datetime) -> str | None:
    suspensions = [state for state in states if state["type"] == "PAUSED"]
    if len(suspensions) != 1 or (suspensions[0].get("state_details") or {}).get("run_input_keyset") != KEYSET:
        return "the run had been suspended anew by somebody else"
    resumed = next((state for state in states if state["type"] != "PAUSED"), None)
    if resumed is None:
        return "the run was not resumed"
    if abs(written_at - datetime.fromisoformat(resumed["timestamp"])) > ANSWER_WRITTEN_WITHIN:
        return "the answer had been exchanged after it was given"
    return None
