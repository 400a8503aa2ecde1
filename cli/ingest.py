"""`signoff ingest`: run the scheduled ingest now, and watch it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import RunFailed
from cli.options import ConfigOption, HomeOption, JsonOption, read_settings
from cli.output import print_json, print_table

if TYPE_CHECKING:
    from tasks.list_intake import IntakePlan
    from tasks.resources import Resources

DEPLOYMENT = "ingest-assets/signoff"
_POLL_S = 0.5
_ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


def ingest(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what a run would take up.")] = False,
    wait: Annotated[bool, typer.Option(help="Watch the run until it ends.")] = True,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ingest what is new in the intake bucket now, as the schedule does: through its Prefect deployment."""
    from tasks.resources import Resources

    resources = Resources(read_settings(config, home))
    if dry_run:
        _print_plan(resources, as_json=as_json)
        return
    run_id = resources.prefect.start_run(DEPLOYMENT)
    if not wait:
        url = resources.prefect.run_url(run_id)
        if as_json:
            print_json({"flow_run_id": run_id, "url": url})
        else:
            typer.echo(url)
        return
    follow_ingest(resources, run_id)
    counts = state_counts(resources)
    if as_json:
        print_json({"flow_run_id": run_id, "url": resources.prefect.run_url(run_id), "versions": counts})
        return
    typer.echo(", ".join(f"{count} {state}" for state, count in counts.items()) or "The intake is empty.")


def follow_ingest(resources: Resources, run_id: str) -> None:
    """Watch an ingest run until it ends, with progress, rate and remaining time. Raises `RunFailed`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    before, total = screened(resources), planned(resources)
    started = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        bar = progress.add_task("waiting for the worker", total=total or None, rate="")
        while True:
            run = resources.prefect.read_run(run_id)
            if run is None or run.type in _ENDED:
                break
            done = screened(resources) - before
            rate = f"{done / (time.monotonic() - started):.1f}/s" if done else ""
            what = "screening" if run.type == "RUNNING" else "waiting for the worker"
            progress.update(bar, completed=done, description=what, rate=rate)
            time.sleep(_POLL_S)
    if run is None or run.type != "COMPLETED":
        url = resources.prefect.run_url(run_id)
        raise RunFailed("the ingest", run.name if run else "deleted", url, run.message if run else None)


def planned(resources: Resources) -> int:
    """How many objects and half-screened versions the next run takes up."""
    from tasks.list_intake import list_intake

    plan: IntakePlan = list_intake(resources)
    return sum(len(shard.objects) + len(shard.version_ids) for shard in plan.shards)


def screened(resources: Resources) -> int:
    """How many screenings the ledger holds."""
    from ledger.reader import count_screenings

    with resources.ledger.reading() as connection:
        return count_screenings(connection)


def state_counts(resources: Resources) -> dict[str, int]:
    """How many versions stand in each state."""
    from ledger.reader import count_by_state

    with resources.ledger.reading() as connection:
        return count_by_state(connection)


def _print_plan(resources: Resources, *, as_json: bool) -> None:
    from policies.quantities import size_text
    from tasks.list_intake import list_intake

    plan: IntakePlan = list_intake(resources)
    rows: list[dict[str, Any]] = [
        {"shard": shard.number, "key": one.key, "size_bytes": one.size_bytes}
        for shard in plan.shards
        for one in shard.objects
    ]
    pending = sum(len(shard.version_ids) for shard in plan.shards)
    if as_json:
        print_json({"listed": plan.listed, "unchanged": plan.unchanged, "half_screened": pending, "objects": rows})
        return
    print_table(
        ("shard", "key", "size"),
        ([row["shard"], row["key"], size_text(row["size_bytes"])] for row in rows),
        empty="Nothing is new.",
    )
    typer.echo(f"{plan.listed} listed, {plan.unchanged} unchanged, {len(rows)} to read, {pending} to go on with.")
