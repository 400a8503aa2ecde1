"""Park rounds of reviews as suspended flow runs, two or three calls each; read, answer and close them again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tasks.errors import PrefectAway, PrefectRefused, ReviewRunLost, TaskError
from tasks.prefect_api import NewRun, PrefectApi, RunState, StateChange

SCHEMA, DESCRIPTION, RESPONSE = "schema", "description", "response"
KEYSET = {key: key for key in (SCHEMA, DESCRIPTION, RESPONSE)}
NEVER = timedelta(days=3650)
"""A suspension that times out fails its run and calls nobody: deadlines are the ledger's, not Prefect's."""
_REASON_LIMIT = 2_000
_INPUT_LIMIT = 16_000_000
"""Characters of an input: a contact sheet has a few hundred thousand."""
_LOOKS_AGAIN_S = (0.1, 0.2, 0.4)
"""Between its two writes a sweep that is alive needs a hundredth of this."""


@dataclass(frozen=True, slots=True)
class Form:
    """What one round of a review puts before its reviewers, and what its run is called in Prefect.

    `idempotency_key` makes the round one run, however often it is parked. `schema` is a JSON Schema, `description`
    markdown.
    """

    idempotency_key: str
    name: str
    tags: Sequence[str]
    schema: Mapping[str, Any]
    description: str


@dataclass(frozen=True, slots=True)
class ParkedRun:
    """A parked round: `created` is False if an earlier attempt made the run.

    `schema` is the form that the reviewer really has, which an earlier attempt may have written: what was shown (its
    `x-signoff`) is to be recorded from it, not from what would be shown now. It is None once the answer was read.
    """

    flow_run_id: str
    url: str
    created: bool
    schema: Mapping[str, Any] | None


def park_run(api: PrefectApi, deployment: str, form: Form, timeout: timedelta = NEVER) -> ParkedRun:
    """Make a flow run that waits for a person, suspended from birth: no process runs, nothing waits for a worker.

    The run is born suspended, so the key makes “parked exactly once” one statement of the server's database. The schema
    is written last, and the server resumes no run whose schema is missing: no form is answered before it is complete.
    Called again after a crash anywhere, it finds the run and writes what is missing; a run that was resumed meanwhile
    is left alone. One caller a key at a time. Raises ReviewRunLost, PrefectAway, PrefectRefused.
    """
    run, created = api.create_run(deployment, _new_run(form, timeout))
    return _fill(api, run, form, created)


def park_runs(api: PrefectApi, deployment: str, forms: Sequence[Form]) -> list[ParkedRun | TaskError]:
    """Park several rounds as `park_run` does, with two calls each and two more for all; in their order.

    Making runs together takes the server half the time of making them one by one. What keeps one round from being
    parked comes back in its place, for it concerns no other: ReviewRunLost, PrefectRefused; or PrefectAway, for this
    round and all after it. Raises PrefectAway, PrefectRefused where no run could be made.
    """
    if not forms:
        return []
    if len(forms) == 1:
        return [_or_error(partial(park_run, api, deployment, forms[0]))]
    ids = api.create_runs(deployment, [_new_run(form, NEVER) for form in forms])
    present = {run.flow_run_id: run for run in api.read_runs(ids)}
    parked: list[ParkedRun | TaskError] = []
    for form, flow_run_id in zip(forms, ids, strict=True):
        run = present.get(flow_run_id) or RunState(flow_run_id, "CANCELLED", "deleted")
        away = parked[-1] if parked and isinstance(parked[-1], PrefectAway) else None
        parked.append(away or _or_error(partial(_fill, api, run, form, None)))
    return parked


def _or_error(park: Callable[[], ParkedRun]) -> ParkedRun | TaskError:
    try:
        return park()
    except (ReviewRunLost, PrefectRefused, PrefectAway) as error:
        return error


def _new_run(form: Form, timeout: timedelta) -> NewRun:
    state = _suspended(form.idempotency_key, datetime.now(UTC) + timeout)
    return NewRun(form.idempotency_key, form.name, form.tags, state)


def _fill(api: PrefectApi, run: RunState, form: Form, created: bool | None) -> ParkedRun:
    """Give a run its form, unless it has one. `created` is None where the server did not say whether the run is new."""
    if run.is_lost:
        raise ReviewRunLost(run.flow_run_id, run.name)
    shown: Mapping[str, Any] | None = None
    if not run.is_parked:
        created, shown = False, read_schema(api, run.flow_run_id)
    elif api.write_input(run.flow_run_id, DESCRIPTION, json.dumps(form.description)):
        shown = _write_schema(api, run.flow_run_id, form.schema)
    else:
        created, shown = False, _schema_soon(api, run.flow_run_id)
        if shown is None:  # the attempt that wrote the description never came to write the form
            api.delete_input(run.flow_run_id, DESCRIPTION)
            api.write_input(run.flow_run_id, DESCRIPTION, json.dumps(form.description))
            shown = _write_schema(api, run.flow_run_id, form.schema)
    return ParkedRun(run.flow_run_id, api.run_url(run.flow_run_id), created is not False, shown)


def _schema_soon(api: PrefectApi, flow_run_id: str) -> Mapping[str, Any] | None:
    """The form of a run, which another sweep may be about to write: it has its description already."""
    for wait_s in (*_LOOKS_AGAIN_S, 0.0):
        shown = read_schema(api, flow_run_id)
        if shown is not None:
            return shown
        time.sleep(wait_s)
    return None


def _write_schema(api: PrefectApi, flow_run_id: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Write the form; the one that the reviewer has now, which may be an earlier one."""
    return schema if api.write_input(flow_run_id, SCHEMA, json.dumps(schema)) else read_schema(api, flow_run_id)


def read_schema(api: PrefectApi, flow_run_id: str) -> Mapping[str, Any] | None:
    """The form of a parked run, None if it was not written yet or was deleted with its answer."""
    text = api.read_input(flow_run_id, SCHEMA)
    schema = None if text is None else parsed_input(text)
    return schema if isinstance(schema, dict) else None


def read_response(api: PrefectApi, flow_run_id: str) -> Any:
    """The form as it was submitted, None if the run was resumed without one or it was read and deleted before.

    Whoever reaches the API can write it: it is data of a stranger until `policies.review_form.read_answer` accepts it.
    Text that is no JSON comes back as text, which no form accepts.
    """
    text = api.read_input(flow_run_id, RESPONSE)
    return None if text is None else parsed_input(text)


def parsed_input(text: str) -> Any:
    """An input of a run, which anybody may have written: what is no JSON, or too much of it, stays text."""
    if len(text) > _INPUT_LIMIT:
        return text[:_REASON_LIMIT]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text[:_REASON_LIMIT]


def delete_inputs(api: PrefectApi, flow_run_id: str) -> None:
    """Remove form and answer of a run from Prefect; the answer goes last, for it is what a second attempt needs."""
    for key in (SCHEMA, DESCRIPTION, RESPONSE):
        api.delete_input(flow_run_id, key)


def resume_run(api: PrefectApi, flow_run_id: str, answer: Mapping[str, Any]) -> StateChange:
    """Answer a parked run through the same door as the UI; `reason` says what the server found wrong with the form.

    An answer that was accepted while its acknowledgement got lost counts as accepted when it is sent again.
    """
    change = api.resume(flow_run_id, answer)
    if change.accepted or read_response(api, flow_run_id) != dict(answer):
        return change
    return StateChange(accepted=True, reason=None)


def close_run(api: PrefectApi, flow_run_id: str, reason: str) -> bool:
    """End a parked round that nobody needs to answer any more; the run says why. False if it was not parked.

    A run that was resumed already is left to `decide_review`, which finds its round closed in the ledger.
    """
    run = api.read_run(flow_run_id)
    if run is None or not run.is_parked:
        return False
    state = {"type": "CANCELLED", "name": "Closed", "message": reason[:_REASON_LIMIT]}
    if not api.set_state(flow_run_id, state).accepted:
        return False
    if api.read_input(flow_run_id, RESPONSE) is not None:  # resumed between the look and the closing
        _let_go_on(api, flow_run_id)
        return False
    delete_inputs(api, flow_run_id)
    return True


def _let_go_on(api: PrefectApi, flow_run_id: str) -> None:
    """Schedule a run again whose answer came in the moment in which it was closed: what was said is not lost."""
    details = {"scheduled_time": datetime.now(UTC).isoformat()}
    state = {"type": "SCHEDULED", "name": "Answered", "state_details": details}
    api.post(f"flow_runs/{flow_run_id}/set_state", {"state": state, "force": True})


def _suspended(pause_key: str, timeout_at: datetime) -> dict[str, Any]:
    details = {
        "pause_key": pause_key,  # explicit: the default is a counter of the process that pauses
        "pause_reschedule": True,
        "pause_timeout": timeout_at.isoformat(),
        "run_input_keyset": KEYSET,
    }
    return {"type": "PAUSED", "name": "Suspended", "state_details": details}
