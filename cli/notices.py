"""`signoff notices`: what people are to be told, sending it, trying it again, and trying a person's channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.options import ConfigOption, HomeOption, JsonOption, read_settings
from cli.output import print_json, print_table

if TYPE_CHECKING:
    from ledger.outbox import Notice
    from tasks.resources import Resources

app: Final = typer.Typer(no_args_is_help=True, help="The messages to people: what waits, what was sent, sending it.")
_STATES: Final = ("waiting", "sent", "given_up", "all")
_ACTOR: Final = "operator:notices"


@app.command("list")
def list_notices(
    state: Annotated[
        str | None, typer.Option("--state", help="waiting, sent, given_up or all; without it those not sent.")
    ] = None,
    person: Annotated[str | None, typer.Option("--person", help="Only for this handle.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most, the newest.")] = 200,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List notices, the newest last; without an option those that nobody has been sent."""
    from ledger.outbox import load_notices

    if state not in (None, *_STATES):
        raise typer.BadParameter(f"{state!r} is no state; allowed: {', '.join(_STATES)}", param_hint="--state")
    wanted = {None: ("waiting", "given_up"), "all": ()}.get(state, (str(state),))
    with _resources(config, home).ledger.reading() as connection:
        found = load_notices(connection, states=wanted, handle=person, newest=limit)
    rows = [_document(one) for one in found]
    if as_json:
        print_json(rows)
        return
    columns = ("notice", "person", "kind", "about", "created_at", "state", "attempts", "next_attempt_at", "error")
    print_table(
        [name.removesuffix("_at").replace("_", " ") for name in columns],
        ([row[name] if name != "about" else _about(row) for name in columns] for row in rows),
        empty="No notice waits, and none was given up." if state is None else "There is none.",
    )


@app.command()
def send(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent now.")] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send what is due now, as the deployment `send-notices` does every few minutes."""
    from ledger.outbox import load_notices
    from tasks.notice_messages import plan_messages
    from tasks.send_notices import send_notices

    resources = _resources(config, home)
    if dry_run:
        with resources.ledger.reading() as connection:
            waiting = load_notices(connection)
        messages, unreachable = plan_messages(resources, waiting)
        rows = [
            {
                "people": sorted({one.handle for one in message.notices}),
                "channels": [name for name, _ in message.route],
                "notices": [one.notice_id for one in message.notices],
            }
            for message in messages
        ]
        _tell_plan(rows, sorted({one.handle for one in unreachable}), as_json=as_json)
        return
    done = send_notices(resources, _ACTOR)
    troubles = sorted(done.troubles)
    if as_json:
        counts = {name: getattr(done, name) for name in ("messages", "sent", "failed", "given_up", "unreachable")}
        print_json(counts | {"troubles": troubles})
        return
    for trouble in troubles:
        typer.secho(trouble, err=True, fg="yellow")
    typer.echo(
        f"{done.messages} messages with {done.sent} notices were sent; {done.failed} were not taken and are tried "
        f"again, {done.given_up} were given up, {done.unreachable} are for people without a channel."
    )


@app.command()
def retry(
    notice: Annotated[int, typer.Argument(help="Number of the notice, as `signoff notices list` prints it.")],
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a notice tried at the next sending: one that waits at once, one that was given up under a new number."""
    from ledger.outbox import retry_notice

    resources = _resources(config, home)
    with resources.ledger.writing(resources.origin(_ACTOR)) as tx:
        number = retry_notice(tx, notice)
    if as_json:
        print_json({"notice": number, "anew": number != notice})
        return
    again = f"Notice {notice} waits again, as {number}" if number != notice else f"Notice {notice} is due now"
    typer.echo(f"{again}; `signoff notices send` sends it, or the next sweep.")


@app.command("test")
def try_person(
    handle: Annotated[str, typer.Argument(help="Whose channels: the handle in the roster.")],
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test through every channel by which a person is told. Exit code 1 if none of them takes it."""
    from tasks.try_channels import try_channels

    rows = [one.document() for one in try_channels(_resources(config, home), handle)]
    if as_json:
        print_json(rows)
    else:
        columns = ("channel", "kind", "taken", "reason")
        shown = ([_yes_or_no(row[name]) for name in columns] for row in rows)
        print_table(columns, shown, empty="No channel leads to this person; see [notices] in docs/operator.md.")
    if not any(row["taken"] for row in rows):
        raise typer.Exit(1)


def _tell_plan(rows: Sequence[Mapping[str, Any]], unreachable: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"messages": rows, "unreachable": unreachable})
        return
    lines = ([", ".join(row["people"]), ", else ".join(row["channels"]), len(row["notices"])] for row in rows)
    print_table(("people", "channel", "notices"), lines, empty="Nothing is due.")
    if unreachable:
        typer.echo(f"No channel is set for {', '.join(unreachable)}.")


def _document(notice: Notice) -> dict[str, Any]:
    return {
        "notice": notice.notice_id,
        "person": notice.handle,
        "kind": notice.kind,
        "review": notice.review_id,
        "key": notice.key,
        "created_at": notice.created_at,
        "state": notice.state,
        "attempts": notice.attempts,
        "next_attempt_at": notice.next_attempt_at,
        "error": notice.last_error,
        "message": notice.message,
        "channel": notice.channel,
        "closed_at": notice.closed_at,
    }


def _about(row: Mapping[str, Any]) -> str | None:
    return f"review {row['review']}" if row["review"] is not None else row["key"]


def _yes_or_no(value: Any) -> Any:
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


def _resources(config: Any, home: Any) -> Resources:
    from ledger.schema import check_ledger
    from tasks.resources import Resources

    resources = Resources(read_settings(config, home))
    check_ledger(resources.ledger)
    return resources
