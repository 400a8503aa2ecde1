"""`signoff audit`: is the trail the one that was written, with which key it is sealed, what stands in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.audit_trail import export, log
from cli.options import ConfigOption, HomeOption, JsonOption, read_settings
from cli.output import print_json, shown
from cli.progress import shown_progress

if TYPE_CHECKING:
    from tasks.resources import Resources
    from tasks.verify_ledger import AuditReport, SealReport

app: Final = typer.Typer(no_args_is_help=True, help="Who did what, when, under which rule; and whether that is true.")
app.command()(log)
app.command()(export)

ACTOR: Final = "operator:audit"
_LATE: Final = timedelta(hours=3)
"""Seals are made hourly: an event that is older than this and not sealed is worth a word."""


@app.command()
def verify(
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="Public key that seals must lead back to; may be given again. Else the settings'."),
    ] = None,
    seals: Annotated[
        bool, typer.Option("--seals/--no-seals", help="Whether the object store is asked for what was sealed.")
    ] = True,
    columns: Annotated[
        bool, typer.Option("--columns/--no-columns", help="Whether columns and records are compared with the events.")
    ] = True,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the first event that was changed, removed, inserted, reordered or cut off. Exit code 1 when there is one."""
    from tasks.seal_keys import pinned_keys
    from tasks.verify_ledger import verify_ledger

    resources = _resources(config, home)
    for one in key or ():
        _check_public_key(one)
    pinned, origin = pinned_keys(resources.settings, key or ()) if seals else (None, "")
    with shown_progress("verifying", "events") as progress:
        report = verify_ledger(resources, pinned, columns=columns, progress=progress)
    if as_json:
        print_json(_report_json(report, pinned))
    else:
        _print_report(report, origin, resources)
    for note in report.notes:
        typer.secho(f"note: {shown(note)}", fg="yellow", err=True)
    if not report.is_sound:
        raise typer.Exit(1)


@app.command("key")
def show_key(
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Exchange the signing key: the present one announces the new one.")
    ] = False,
    replace_lost: Annotated[
        bool,
        typer.Option("--replace-lost", help="Go on with another key after a loss; whoever verifies must pin it anew."),
    ] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the public key that seals are signed with: give it to whoever verifies, on another way than this one."""
    from tasks.seal_keys import read_seal_keys
    from tasks.seal_ledger import exchange_key, replace_lost_key

    if rotate and replace_lost:
        raise typer.BadParameter("found both --rotate and --replace-lost; choose one of them")
    resources = _resources(config, home)
    if rotate:
        exchange_key(resources, ACTOR)
    if replace_lost:
        replace_lost_key(resources, ACTOR)
    keys = read_seal_keys(resources.settings)
    if as_json:
        print_json({"public_key": keys.public_key, "origin": keys.origin})
    else:
        typer.echo(keys.public_key)


def _check_public_key(text: str) -> None:
    if len(text) != 64 or set(text.lower()) - set("0123456789abcdef"):
        raise typer.BadParameter(
            f"{text!r} is no public key: 64 hexadecimal digits, as `signoff audit key` prints them", param_hint="--key"
        )


def _report_json(report: AuditReport, pinned: list[str] | None) -> dict[str, Any]:
    seals = report.seals
    last = seals.last if seals else None
    return {
        "sound": report.is_sound,
        "events": report.events,
        "head": report.head,
        "damage": report.damage
        and {"event": report.damage.seq, "kind": report.damage.kind, "reason": report.damage.reason},
        "seals": seals and seals.count,
        "sealed_event": last and last.seq,
        "sealed_at": last and last.sealed_at,
        "unsealed": seals and seals.unsealed,
        "unsealed_since": seals and seals.unsealed_since,
        "pinned": pinned,
        "signers": seals and seals.signers,
        "seal_problems": seals and seals.problems,
        "notes": list(report.notes),
        "mismatches": None
        if report.mismatches is None
        else [{"table": one.table, "key": one.key, "reason": one.reason} for one in report.mismatches],
    }


def _print_report(report: AuditReport, origin: str, resources: Resources) -> None:
    typer.echo(f"{report.events:,} events hold, up to hash {report.head}")
    if report.damage:
        _bad(f"event {report.damage.seq} does not hold: {shown(report.damage.reason)}")
    if report.seals is None:
        typer.echo("Seals were not looked at: a tail that was cut off with the head of the chain cannot be found so.")
    else:
        _print_seals(report.seals, origin, resources)
    if report.mismatches is None:
        typer.echo("Records were not compared with the events.")
    elif not report.mismatches:
        typer.echo("States, gates, decisions and policies are what the events tell.")
    for one in report.mismatches or ():
        _bad(f"{one.table} {shown(one.key)}: {shown(one.reason)}")
    if not report.is_sound:
        typer.echo(
            "\nNothing was changed by this check. Keep the database and the store as they are. Compare with a backup "
            "that verifies:\nwhat it says is true up to its last seal. `signoff audit export` writes each out."
        )


def _print_seals(seals: SealReport, origin: str, resources: Resources) -> None:
    if seals.last is None:
        typer.echo("No seal can be relied on yet.")
    else:
        typer.echo(
            f"{seals.count} seals lead back to the key of {origin}; the last one is of event {seals.last.seq}, "
            f"{shown(seals.last.sealed_at)} UTC"
        )
    for problem in seals.problems:
        _bad(shown(problem))
    if seals.unsealed and seals.unsealed_since is not None:
        typer.echo(f"{seals.unsealed:,} events since {shown(seals.unsealed_since)} UTC are not sealed yet")
        if resources.clock.now() - seals.unsealed_since > _LATE:
            typer.secho(
                "That is long: does the deployment `seal-ledger` run? `signoff status` says so.", fg="yellow", err=True
            )


def _bad(text: str) -> None:
    typer.secho(text, fg="red")


def _resources(config: Path | None, home: Path | None) -> Resources:
    from tasks.resources import Resources

    return Resources(read_settings(config, home))
