"""`signoff ls` and `signoff show`: status is a query, and every asset has its whole story."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from cli.options import ConfigOption, HomeOption, JsonOption, read_settings
from cli.output import print_json, print_table, shown

LISTED = (
    "key",
    "version",
    "state",
    "state_since",
    "collection",
    "kind",
    "label",
    "score",
    "clearance",
    "sha256",
    "size_bytes",
    "submitter",
    "round",
)
_Many = list[str] | None


def ls(
    state: Annotated[_Many, typer.Option("--state", help="Only in this state; may be given again.")] = None,
    collection: Annotated[_Many, typer.Option("--collection", help="Only of this collection.")] = None,
    label: Annotated[_Many, typer.Option("--label", help="Only with this label.")] = None,
    keys: Annotated[str | None, typer.Option("--keys", help="Only keys that begin so.")] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Only in their state for longer, such as '2 days'.")
    ] = None,
    younger_than: Annotated[
        str | None, typer.Option("--younger-than", help="Only in their state for less, such as '1 hour'.")
    ] = None,
    every_version: Annotated[bool, typer.Option("--versions", help="Every version, not just the last.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="Instead: objects of the intake that could not be taken up, and why.")
    ] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List assets: where each stands, since when, and what is known of it."""
    from ledger.reader import listing
    from policies.lifecycle import State

    unknown = [one for one in state or () if one not in {str(known) for known in State}]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is no state; allowed: {', '.join(State)}", param_hint="--state")
    resources = _resources(config, home)
    if refused:
        _print_refused(resources, as_json=as_json)
        return
    now = resources.clock.now()
    with resources.ledger.reading() as connection:
        rows = listing(
            connection,
            states=state or (),
            collections=collection or (),
            labels=label or (),
            keys=keys,
            before=now - _age(older_than, "--older-than", now) if older_than else None,
            since=now - _age(younger_than, "--younger-than", now) if younger_than else None,
            every_version=every_version,
            limit=limit,
        )
    if as_json:
        print_json([{name: row[name] for name in LISTED} for row in rows])
        return
    columns = ("key", "v", "state", "since", "collection", "kind", "label", "score", "clearance")
    names = ("key", "version", "state", "state_since", "collection", "kind", "label", "score", "clearance")
    print_table(columns, ([row[name] for name in names] for row in rows), empty="No asset is like that.")


def show(
    key: Annotated[str, typer.Argument(help="Key of the asset, as `signoff ls` prints it.")],
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one asset: state, verdicts, clearance, gates, decisions, and the whole audit trail."""
    from ledger.reader import story

    resources = _resources(config, home)
    with resources.ledger.reading() as connection:
        told = story(connection, key)
    if as_json:
        print_json({**{name: told["versions"][-1][name] for name in LISTED}, **told})
        return
    _print_story(told)


def _print_refused(resources: Any, *, as_json: bool) -> None:
    from ledger.reader import refusals

    with resources.ledger.reading() as connection:
        rows = refusals(connection, resources.settings.s3.buckets.intake)
    if as_json:
        print_json(rows)
        return
    columns = ("key", "reason", "seen_at")
    print_table(columns, ([row[name] for name in columns] for row in rows), empty="Every object was taken up.")


def _print_story(told: dict[str, Any]) -> None:
    from policies.quantities import size_text

    last = told["versions"][-1]
    typer.secho(shown(told["key"]), bold=True)
    typer.echo(
        f"  {last['state']} since {shown(last['state_since'])} UTC · version {last['version']}, round {last['round']}"
    )
    typer.echo(f"  {last['kind']} · {size_text(last['size_bytes'])} · collection {last['collection']}")
    typer.echo(f"  SHA-256 {last['sha256']}")
    for verdict in told["verdicts"]:
        label = verdict["label"] or f"abstained: {verdict['abstained']}"
        score = f" {verdict['score']:.2f}, margin {verdict['margin']:.2f}" if verdict["label"] else ""
        typer.echo(f"  v{verdict['version']} recognised as {shown(label)}{score} by {shown(verdict['model'])}")
    for clearance in told["clearances"]:
        typer.echo(f"  v{clearance['version']} rights {clearance['status']} on {shown(clearance['checked_at'])}")
        for reason in clearance["reasons"] or ():
            typer.echo(f"      {shown(reason['text'])}")
    if told["gates"]:
        typer.echo()
        columns = ("v", "round", "stage", "step", "quorum", "opened", "due", "outcome")
        names = ("version", "round", "stage", "step", "quorum", "opened_at", "due_at", "outcome")
        print_table(columns, ([gate[name] for name in names] for gate in told["gates"]), empty="")
    if told["decisions"]:
        typer.echo()
        said = ("version", "stage", "by", "verdict", "counted", "decided_at", "comment")
        print_table(
            ("v", "stage", "by", "verdict", "counted", "at", "comment"),
            ([one[name] for name in said] for one in told["decisions"]),
            empty="",
        )
    typer.echo()
    print_table(
        ("event", "at", "v", "actor", "action", "from", "to", "why"),
        (
            [
                event["seq"],
                event["at"],
                event["version"],
                event["actor"],
                event["action"],
                event["from_state"],
                event["to_state"],
                event["rule"] or event["reason"],
            ]
            for event in told["events"]
        ),
        empty="",
    )


def _resources(config: Any, home: Any) -> Any:
    from tasks.resources import Resources

    return Resources(read_settings(config, home))


def _age(text: str, option: str, now: datetime) -> timedelta:
    """Calendar time that a duration such as `2 days` means, counted from now."""
    from policies.calendars import later
    from policies.errors import QuantityInvalid
    from policies.quantities import parse_duration

    try:
        return later(now, parse_duration(text)) - now
    except QuantityInvalid as error:
        raise typer.BadParameter(f"{text!r}; write {error}", param_hint=option) from error
