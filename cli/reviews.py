"""`signoff reviews` and `signoff decide`: what waits for people, and answering it from a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import AnswerRefused, NothingWaits
from cli.filled_form import VERDICTS, filled_form, signed_form
from cli.options import ConfigOption, HomeOption, JsonOption, read_settings
from cli.output import print_json, print_table, shown

if TYPE_CHECKING:
    from tasks.resources import Resources

_WAIT_S = 120.0
_POLL_S = 0.5


def reviews(
    stage: Annotated[str | None, typer.Option("--stage", help="Only of this stage.")] = None,
    collection: Annotated[str | None, typer.Option("--collection", help="Only of this collection.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those past their due time.")] = False,
    person: Annotated[
        str | None, typer.Option("--person", help="Only those in which this handle may still decide.")
    ] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the reviews that wait for people, the next due first, each with its link."""
    resources = _resources(config, home)
    mine = _reviews_of(resources, person)
    rows = [
        row
        for row in waiting(resources)
        if stage in (None, row["stage"])
        and collection in (None, row["collection"])
        and (row["overdue"] or not overdue)
        and (mine is None or row["review"] in mine)
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("review", "stage", "collection", "assets", "opened", "due", "so far", "link"),
        (
            [
                row["review"],
                row["stage"],
                row["collection"],
                row["assets"],
                row["opened_at"],
                row["due_at"],
                _so_far(row),
                row["url"],
            ]
            for row in rows
        ),
        empty="No review waits.",
    )


def decide(
    review: Annotated[int, typer.Argument(help="Number of the review, as `signoff reviews` prints it.")],
    person: Annotated[str, typer.Option("--as", help="Your handle in the roster.")],
    verdict: Annotated[
        str,
        typer.Argument(
            help="approve, request_changes or reject (where rights block: waive; in quarantine: release or reject; "
            "what was sent back: reopen or withdraw): for every asset of it."
        ),
    ],
    on_behalf_of: Annotated[
        str | None, typer.Option("--for", help="For whom, where you stand in for somebody: the name in the form.")
    ] = None,
    comment: Annotated[str | None, typer.Option("--comment", help="Needed unless you approve.")] = None,
    exceptions: Annotated[
        list[str] | None,
        typer.Option("--except", help="Another decision for one asset: NUMBER=DECISION or NUMBER=DECISION:COMMENT."),
    ] = None,
    code: Annotated[
        str | None, typer.Option("--code", help="Code of your authenticator app, where the stage wants a signature.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the decision is recorded.")] = True,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a review: resumes its run in Prefect with the filled form, as the Prefect UI does."""
    from tasks.park_run import SCHEMA, resume_run

    if verdict not in VERDICTS:
        raise typer.BadParameter(f"{verdict!r} is no decision; allowed: {', '.join(VERDICTS)}", param_hint="VERDICT")
    resources = _resources(config, home)
    row = next((one for one in waiting(resources) if one["review"] == review), None)
    if row is None or row["flow_run_id"] is None:
        raise NothingWaits(review)
    schema = json.loads(resources.prefect.read_input(row["flow_run_id"], SCHEMA) or "{}")
    answer = filled_form(schema, (person, on_behalf_of), verdict, comment, exceptions or ()) | signed_form(schema, code)
    change = resume_run(resources.prefect, row["flow_run_id"], answer)
    if not change.accepted:
        raise AnswerRefused(review, change.reason or "the server gave no reason")
    if not wait:
        _say_resumed(row, as_json=as_json)
        return
    _report(resources, review, row["round"], row["flow_run_id"], as_json=as_json)


def _say_resumed(row: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({name: row[name] for name in ("review", "round", "flow_run_id", "url")})
    else:
        typer.echo(f"Review {row['review']} was resumed; `signoff reviews` shows when it is done.")


def _reviews_of(resources: Resources, handle: str | None) -> frozenset[int] | None:
    from ledger.waits import reviews_of_person

    if handle is None:
        return None
    with resources.ledger.reading() as connection:
        return reviews_of_person(connection, handle, resources.clock.now())


def _so_far(row: Mapping[str, Any]) -> str:
    """What its deadline has done so far, the most urgent alone."""
    marks = {"overdue": row["overdue"], "escalated": row["escalations"], "reminded": row["reminders"]}
    return next((mark for mark, holds in marks.items() if holds), "")


def waiting(resources: Resources) -> list[dict[str, Any]]:
    """The waiting reviews as the JSON contract has them."""
    from ledger.reader import waiting_reviews
    from ledger.waits import rungs_of_reviews

    with resources.ledger.reading() as connection:
        rows, rungs = waiting_reviews(connection), rungs_of_reviews(connection)
    now = resources.clock.now()
    return [
        {
            "review": row["review"],
            "round": row["round"],
            "stage": row["stage"],
            "collection": row["collection"],
            "assets": row["assets"],
            "opened_at": row["opened_at"],
            "due_at": row["due_at"],
            "overdue": row["due_at"] is not None and row["due_at"] < now,
            "reminders": rungs.get(row["review"], (0, 0))[0],
            "escalations": rungs.get(row["review"], (0, 0))[1],
            "status": row["status"],
            "flow_run_id": row["flow_run_id"],
            "url": resources.prefect.run_url(row["flow_run_id"]) if row["flow_run_id"] else None,
        }
        for row in rows
    ]


def _report(resources: Resources, review: int, round_number: int, flow_run_id: str, *, as_json: bool) -> None:
    """Say what became of an answer; exit code 1 when nothing of it counted."""
    from ledger.examine import answer_of_run
    from ledger.review import load_review

    _await_recorded(resources, review, round_number, flow_run_id)
    with resources.ledger.reading() as connection:
        last = load_review(connection, review)
        told = answer_of_run(connection, flow_run_id)
    states = [
        {"position": one.position, "key": one.key, "outcome": one.outcome, "state": one.state} for one in last.items
    ]
    again = last.reason if last.round > round_number else None
    if as_json:
        print_json(
            {
                "review": review,
                "round": round_number,
                "closed": last.closed_at is not None,
                "again": again,
                "counted": told.counted,
                "opinions": told.opinions,
                "refused": list(told.refused),
                "assets": states,
            }
        )
        if not told.counted:
            raise typer.Exit(1)
        return
    if not told.counted:
        kept = "it came too late, and what it says is kept as an opinion" if told.opinions else None
        raise AnswerRefused(review, shown(again or kept or "; ".join(told.refused) or "nothing was recorded"))
    print_table(
        ("no", "key", "gate", "state"),
        ([one["position"], one["key"], one["outcome"] or "open", one["state"]] for one in states),
        empty="",
    )
    total = told.counted + told.opinions
    kept = f", {told.opinions} kept as opinions" if told.opinions else ""
    typer.echo(f"{told.counted} of {max(total, len(states))} decisions counted{kept}.")
    typer.echo(f"The review asks again: {shown(again)}" if again else "The review is closed.")


def _await_recorded(resources: Resources, review: int, round_number: int, flow_run_id: str) -> None:
    """Until an answer is recorded, by its run or by a sweep. Raises `AnswerRefused` when nobody does within time.

    A round that ended otherwise meanwhile (its deadline) still takes the answer, as long as its run goes on.
    """
    from rich.console import Console

    from ledger.review import load_review

    console = Console(stderr=True)
    deadline = time.monotonic() + _WAIT_S
    with console.status("waiting for the answer to be recorded") if console.is_terminal else nullcontext():
        while time.monotonic() < deadline:
            with resources.ledger.reading() as connection:
                status = load_review(connection, review, round_number).status
            if status == "answered":
                return
            if status not in ("to_park", "parked"):
                run = resources.prefect.read_run(flow_run_id)
                if run is None or run.is_lost or run.type == "COMPLETED":
                    return
            time.sleep(_POLL_S)
    raise AnswerRefused(review, f"no worker took the run up within {_WAIT_S:.0f} s; `signoff doctor` says why")


def _resources(config: Any, home: Any) -> Resources:
    from tasks.resources import Resources

    return Resources(read_settings(config, home))
