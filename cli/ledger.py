"""`signoff ledger`: upgrade it, back it up, put it back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from cli.options import ConfigOption, HomeOption, JsonOption, read_settings
from cli.output import print_json, print_table
from cli.progress import shown_progress

app: Final = typer.Typer(no_args_is_help=True, help="The system of record: upgrade, backup, restore.")

FileArgument = Annotated[Path, typer.Argument(help="The backup file.")]


@app.command()
def upgrade(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be changed.")] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the ledger's schema to this version, with all it holds. A ledger of a newer version is refused."""
    from ledger.engine import Ledger
    from ledger.schema import plan_upgrade, upgrade_ledger

    ledger = Ledger(read_settings(config, home).database_url)
    plan = plan_upgrade(ledger)
    if not dry_run:
        upgrade_ledger(ledger)
    if as_json:
        steps = [{"schema": schema, "what": what} for schema, what in plan.steps]
        print_json({"before": plan.before, "after": plan.after, "upgraded": not dry_run, "steps": steps})
        return
    print_table(["schema", "what"], plan.steps, empty=f"The ledger is at schema {plan.after} already.")
    if plan.steps:
        done = "would be upgraded" if dry_run else "was upgraded"
        typer.echo(f"The ledger {done} from {plan.before or 'nothing'} to {plan.after}.")


@app.command()
def backup(
    file: FileArgument, config: ConfigOption = None, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Write the ledger as it is now into one new file, and verify it there. Others go on writing meanwhile."""
    from ledger.backup import back_up
    from ledger.engine import Ledger

    ledger = Ledger(read_settings(config, home).database_url)
    with shown_progress("backing up", "steps") as progress:
        made = back_up(ledger, file, progress)
    held = made.holding
    if as_json:
        print_json(
            {
                "file": str(made.path),
                "size_bytes": made.size_bytes,
                "sha256": made.sha256,
                "schema": held.schema,
                "events": held.events,
                "head": held.head,
                "versions": held.versions,
            }
        )
        return
    typer.echo(f"{made.path}: {held.events} events, {held.versions} versions, {made.size_bytes} bytes, verified.")
    typer.echo(f"SHA-256        {made.sha256}")
    typer.echo(f"Last event     {held.head}")


@app.command()
def restore(
    file: FileArgument,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only verify the file and say what would be put where.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take everything out of a ledger that is not empty.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup into the ledger that the settings name, on SQLite or PostgreSQL, whichever it came from."""
    from ledger.backup import opened_backup, what_it_holds
    from ledger.backup import restore as put_back
    from ledger.engine import Ledger
    from ledger.errors import LedgerInUse
    from tasks.doubt_backup import doubt_backup

    settings = read_settings(config, home)
    target = Ledger(settings.database_url)
    with opened_backup(file) as (held, holding):
        present = what_it_holds(target)
        doubts = doubt_backup(settings, held, target)
        document = {
            "file": str(file),
            "schema": holding.schema,
            "events": holding.events,
            "head": holding.head,
            "versions": holding.versions,
            "replaced_events": present.events,
            "replaced_versions": present.versions,
            "doubts": doubts,
        }
        where = target.url.render_as_string(hide_password=True)
        what = f"{holding.events} events and {holding.versions} versions of {file} into {where}"
        if present.events:
            what += f", in the place of its {present.events} events and {present.versions} versions"
        if present.events and not replace:
            raise LedgerInUse(present.events, present.versions)
        for doubt in doubts:
            typer.echo(f"note: {doubt}", err=True)
        if dry_run:
            if as_json:
                print_json({**document, "restored": False})
            else:
                typer.echo(f"Would put {what}.")
            return
        if not yes:
            typer.confirm(f"Put {what}?", abort=True, err=True)
        with shown_progress("restoring", "rows") as progress:
            put_back(held, target, replace=replace, progress=progress)
    if as_json:
        print_json({**document, "restored": True})
    else:
        typer.echo(f"Put {what}; verified.")
