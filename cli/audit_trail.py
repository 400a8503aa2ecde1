"""`signoff audit log` and `signoff audit export`: the trail to read, and the trail to take away."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cli.moments import parse_moment
from cli.options import ConfigOption, HomeOption, JsonOption, read_settings
from cli.output import print_json, print_table
from cli.progress import shown_progress

_Many = list[str] | None
LOGGED = (
    "seq", "at", "actor", "handle", "name", "action", "key", "version", "from_state", "to_state", "round", "rule",
    "reason", "policy_sha256", "effect_id", "flow_run_id", "hash",
)  # fmt: skip


def log(
    actor: Annotated[
        _Many, typer.Option("--actor", help="Who: a handle or name, person:ID, system:FLOW, operator:NAME, system, …")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="From then on: 2026-11-24, or an age such as 2d.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Up to then; a date alone includes that day.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Only about the asset with this key.")] = None,
    action: Annotated[_Many, typer.Option("--action", help="Only this action; may be given again.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")] = 50,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print who did what, when: the newest events that are asked for, oldest first."""
    from ledger.audit_log import EventFilter, find_actor, last_events
    from tasks.resources import Resources

    resources = Resources(read_settings(config, home))
    now = resources.clock.now()
    begin, end = _moment(since, now, "--since"), _moment(until, now, "--until", end=True)
    with resources.ledger.reading() as connection:
        actors = tuple(find_actor(connection, one) for one in actor or ())
        wanted = EventFilter(actors, tuple(action or ()), begin, end, key)
        rows = last_events(connection, wanted, limit)
    if as_json:
        print_json([{name: row[name] for name in LOGGED} for row in rows])
        return
    columns = ("event", "at", "actor", "action", "key", "v", "from", "to", "why")
    print_table(columns, map(_cells, rows), empty="No event is like that.")


def export(
    output: Annotated[
        Path, typer.Option("--output", help="File to write; what it held before is replaced at the end.")
    ],
    form: Annotated[
        Literal["jsonl", "premis"],
        typer.Option("--format", help="jsonl: an event a line, with the hashed bytes. premis: PREMIS 3 XML."),
    ] = "jsonl",
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the whole audit trail into a file: all of it, or nothing."""
    from tasks.export_audit import ExportFormat, export_audit
    from tasks.resources import Resources

    resources = Resources(read_settings(config, home))
    with shown_progress("writing", "events") as progress:
        done = export_audit(resources, ExportFormat(form), output, progress)
    if as_json:
        told = {"path": str(done.path), "events": done.events, "size_bytes": done.size_bytes, "sha256": done.sha256}
        print_json(told)
        return
    typer.echo(f"{done.path}: {done.events:,} events, {done.size_bytes:,} bytes, SHA-256 {done.sha256}")


def _cells(row: dict[str, Any]) -> list[Any]:
    who = row["name"] or row["handle"] or row["actor"]
    names = ("key", "version", "from_state", "to_state")
    return [row["seq"], row["at"], who, row["action"], *(row[name] for name in names), row["rule"] or row["reason"]]


def _moment(text: str | None, now: datetime, option: str, *, end: bool = False) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_moment(text, now, end=end)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
