"""A check-up of parked reviews: does every one wait in Prefect with its own form, and is there none too many?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ledger.examine import known_runs, opened_reviews
from ledger.rounds import parked_runs, parkings_to_do, tokens_of_rounds
from tasks.findings import Finding, some
from tasks.form_marks import is_own_description, is_own_schema
from tasks.park_reviews import DEPLOYMENT, parse_idempotency_key
from tasks.park_run import DESCRIPTION, KEYSET, SCHEMA, close_run, parsed_input
from tasks.prefect_api import RunState
from tasks.resources import Resources

_PAGE: Final = 200
_AT_WORK: Final = frozenset({"SCHEDULED", "PENDING", "RUNNING"})


def examine_reviews(resources: Resources) -> list[Finding]:
    """What is wrong with parked reviews; one call to Prefect's API for 200 of them, and one for the form of each."""
    with resources.ledger.reading() as connection:
        parked = parked_runs(connection)
        tokens = tokens_of_rounds(connection, parked.values())
    states = _states(resources, list(parked))
    lost = [one for run, (one, _) in parked.items() if _is_lost(states.get(run))]
    forged = [
        this_round[0]
        for run, this_round in parked.items()
        if run in states and states[run].is_parked and not _has_own_form(resources, run, tokens.get(this_round))
    ]
    found = []
    if lost:
        what = f"{len(lost)} reviews have no run that waits: {some(lost)}"
        found.append(Finding("reviews", what, "Nobody can answer them.", "`enforce-deadlines` asks again.", True))
    if forged:
        what = f"the forms of reviews {some(forged)} are not those that they were given"
        why = "Reviewers see something else; what they answer does not count."
        found.append(Finding("reviews", what, why, "Find out who reaches Prefect's API.", True))
    ours, strange = orphans(resources)
    if ours:
        what = f"{len(ours)} runs wait for an answer that no review wants: {some(ours)}"
        found.append(Finding("reviews", what, "People would answer in vain.", "Cancel them in Prefect.", True))
    if strange:
        what = f"{len(strange)} runs of decide-review wait for reviews that this ledger does not know: {some(strange)}"
        why = "They are of another ledger, or somebody made them to have them answered."
        found.append(Finding("reviews", what, why, "If no other ledger uses this server, cancel them in Prefect."))
    return found


def replace_forged(resources: Resources) -> int:
    """End the runs of parked reviews whose form somebody exchanged; the sweep then asks again. Returns how many."""
    with resources.ledger.reading() as connection:
        parked = parked_runs(connection)
        tokens = tokens_of_rounds(connection, parked.values())
    states = _states(resources, list(parked))
    wrong = [
        run
        for run, this_round in parked.items()
        if run in states and states[run].is_parked and not _has_own_form(resources, run, tokens.get(this_round))
    ]
    return sum(close_run(resources.prefect, run, "Its form was exchanged by somebody else.") for run in wrong)


def orphans(resources: Resources) -> tuple[list[str], list[str]]:
    """Runs that wait and that no round of the ledger knows: those of this ledger's reviews, and all others."""
    ours: list[str] = []
    strange: list[str] = []
    for page in _waiting(resources):
        with resources.ledger.reading() as connection:
            known = known_runs(connection, [str(run["id"]) for run in page])
            unknown = [run for run in page if str(run["id"]) not in known]
            named = {str(run["id"]): parse_idempotency_key(run["idempotency_key"] or "") for run in unknown}
            opened = opened_reviews(connection, [one[0] for one in named.values() if one])
            on_the_way = set(parkings_to_do(connection))
        for run in unknown:
            review = named[str(run["id"])]
            if review in on_the_way:
                continue  # made, and about to be marked
            at = opened.get(review[0]) if review else None
            mine = at is not None and f"-{at:%Y%m%dT%H%M%S.%f}-" in run["idempotency_key"]
            (ours if mine else strange).append(str(run["id"]))
    return ours, strange


def close_orphans(resources: Resources) -> int:
    """End the runs of this ledger's reviews that no round knows, and none of strangers; returns how many."""
    ours, _ = orphans(resources)
    return sum(close_run(resources.prefect, run, "No review wants this answer.") for run in ours)


def _waiting(resources: Resources) -> Iterator[Sequence[Mapping[str, Any]]]:
    found = resources.prefect.find(f"deployments/name/{DEPLOYMENT}")
    if found is None:
        return
    wanted = {"deployments": {"id": {"any_": [found["id"]]}}, "flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}}
    offset = 0
    while page := resources.prefect.post(
        "flow_runs/filter", wanted | {"limit": _PAGE, "offset": offset, "sort": "ID_DESC"}
    ):
        yield page
        offset += len(page)


def _states(resources: Resources, runs: Sequence[str]) -> dict[str, RunState]:
    found: dict[str, RunState] = {}
    for start in range(0, len(runs), _PAGE):
        found.update({one.flow_run_id: one for one in resources.prefect.read_runs(runs[start : start + _PAGE])})
    return found


def _is_lost(state: RunState | None) -> bool:
    if state is None:
        return True
    return state.inputs != KEYSET if state.is_parked else state.type not in _AT_WORK


def _has_own_form(resources: Resources, run: str, token: str | None) -> bool:
    """Whether the run shows what it was given: form and text above it; of an older release, whether it has a form."""
    inputs = resources.prefect.list_inputs(run)
    if SCHEMA not in inputs or DESCRIPTION not in inputs:
        return False
    schema, description = (parsed_input(inputs[key][0]) for key in (SCHEMA, DESCRIPTION))
    if not isinstance(schema, dict) or not is_own_schema(token, schema):
        return False
    return is_own_description(schema, description)
