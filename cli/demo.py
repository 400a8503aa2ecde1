"""`signoff demo`: the stack, the sample assets, one scheduled ingest, and what to click next."""

from __future__ import annotations

import importlib
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.errors import SamplesMissing
from cli.options import HomeOption, read_settings

if TYPE_CHECKING:
    from tasks.resources import Resources

_SAMPLES = Path(__file__).parent.parent / "examples" / "creative-signoff"


def demo(home: HomeOption = None) -> None:
    """Start the embedded stack, load the sample assets, ingest them once, and say what waits. The stack stays up."""
    from cli.ingest import DEPLOYMENT, follow_ingest, planned
    from cli.stack.stack import start_stack
    from tasks.demo_authenticators import enrol_demo_people
    from tasks.resources import Resources

    if not (_SAMPLES / "make_assets.py").exists():
        raise SamplesMissing(f"the sample assets are not at {_SAMPLES}; run the demo from a checkout of the repository")
    files = {"policy": _SAMPLES / "policy.yaml", "roster": _SAMPLES / "roster.yaml"}

    def settings() -> Any:
        return read_settings(None, home, **files)

    started = start_stack(settings(), None, reload=settings, report=_say)
    resources = Resources(started)
    samples = _samples(started.home, resources.clock.now().date())
    uploaded = _upload(resources, samples)
    _say(f"{uploaded} sample assets put into the intake bucket" if uploaded else "the sample assets are in the intake")
    if enrolled := enrol_demo_people(resources):
        _say(f"{enrolled} people enrolled; `signoff people code HANDLE` prints what their authenticators would show")
    if planned(resources):
        follow_ingest(resources, resources.prefect.start_run(DEPLOYMENT))
    else:
        _say("nothing is new since the last ingest")
    _print_outcome(resources)


def _samples(home: Path, today: date) -> Path:
    """Draw the sample assets once; they are the same bytes every time, and contracts count from the first day."""
    folder = home / "samples"
    done = folder / ".complete"
    if not done.exists():
        _say("drawing the sample assets")
        sys.path.insert(0, str(_SAMPLES))
        try:
            importlib.import_module("make_assets").make_assets(folder, today)
        finally:
            sys.path.remove(str(_SAMPLES))
        done.touch()
    return folder


def _upload(resources: Resources, folder: Path) -> int:
    """Put into the intake what is missing there, as a submitter would, and the contracts into the workspace."""
    from tasks.storage import source_client

    buckets = resources.storage.buckets
    present = {one.key for page in resources.storage.list_objects(buckets.intake) for one in page}
    client = source_client(resources.settings.s3, resources.settings.s3_endpoint)
    uploaded = 0
    for path in sorted((folder / "intake").rglob("*")):
        key = path.relative_to(folder / "intake").as_posix()
        if path.is_file() and key not in present:
            client.put_object(Bucket=buckets.intake, Key=key, Body=path.read_bytes())
            uploaded += 1
    if resources.storage.etag_of(buckets.workspace, resources.settings.contracts) is None:
        data = (folder / "contracts.csv").read_bytes()
        resources.storage.put(buckets.workspace, resources.settings.contracts, data, "text/csv")
    return uploaded


def _print_outcome(resources: Resources) -> None:
    from cli.ingest import state_counts
    from cli.output import print_table
    from cli.reviews import waiting

    counts = state_counts(resources)
    rows = waiting(resources)
    published, in_review = counts.get("published", 0), counts.get("in_review", 0)
    of_reviewers = sum(row["stage"] != "quarantine" for row in rows)
    waits = f"{in_review} waiting in {of_reviewers} reviews"
    typer.secho(f"{published} published · {waits} · {counts.get('quarantined', 0)} quarantined", bold=True)
    print_table(
        ("review", "stage", "collection", "assets", "open it in the Prefect UI"),
        ([row["review"], row["stage"], row["collection"], row["assets"], row["url"]] for row in rows),
        empty="No review waits.",
    )
    typer.echo(
        "\nOpen a link, look at the contact sheet, choose Resume in the ⋮ menu and fill the form. Or here:\n"
        "  signoff decide REVIEW approve --as HANDLE     signoff ls     signoff show KEY     signoff metrics macros\n"
        "`make down` stops the stack; what it stored stays."
    )


def _say(step: str) -> None:
    typer.secho(step, err=True, dim=True)
