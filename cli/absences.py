"""`signoff people delegate`, `undelegate`, `away` and `load`: who stands in for whom, and how much waits for whom."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import ConfigOption, HomeOption, JsonOption, read_settings
from cli.output import print_json, print_table
from policies.calendars import MOMENTS_ALLOWED, is_moment

if TYPE_CHECKING:
    from ledger.delegations import Delegation
    from tasks.hand_over import HandedOver
    from tasks.resources import Resources

_ALLOWED = "a day (2026-12-24: all of it) or an instant (2026-12-24T12:00), in the time zone of the policy's calendar"
_BEGINS_WITH_A_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?!\d)")
"""Python reads 20261224 as well, which would be the first moment of that day and not all of it."""


def delegate(
    principal: Annotated[str, typer.Argument(help="Who is away: the handle in the roster.")],
    stand_in: Annotated[str, typer.Argument(metavar="DELEGATE", help="Who stands in: the handle in the roster.")],
    until: Annotated[str, typer.Option("--until", help=f"The last of it: {_ALLOWED}.")],
    begin: Annotated[str | None, typer.Option("--from", help="The first of it; now without it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come of it.")] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hand somebody's part to another person for a time: who stands in may decide for them, in open reviews too."""
    from tasks.hand_over import foresee_handing_over, hand_over

    resources = _resources(config, home)
    zone, now = _zone(resources), resources.clock.now()
    starts_at = now if begin is None else _moment(begin, zone, "--from")
    whole = (principal, stand_in, starts_at, _moment(until, zone, "--until", end=True))
    told = foresee_handing_over(resources, *whole) if dry_run else hand_over(resources, *whole)
    if as_json:
        print_json(_document(told))
        return
    for line in told.broken:
        typer.secho(f"warning: {line}", err=True, fg="yellow")
    times = f"from {_shown(told.starts_at, zone)} until {_shown(told.ends_at, zone)}"
    if dry_run:
        typer.echo(f"{stand_in} would decide for {principal} {times}; nothing was written.")
    else:
        gates = f"; {told.gates} open gates follow now" if told.gates else ""
        typer.echo(f"{stand_in} decides for {principal} {times}{gates}.")


def undelegate(
    principal: Annotated[str, typer.Argument(help="Who is back: the handle in the roster.")],
    stand_in: Annotated[
        str | None, typer.Argument(metavar="DELEGATE", help="Take the part back from this person only.")
    ] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take somebody's part back: what runs ends now, what was to come does not begin."""
    from tasks.hand_over import take_back

    ended = take_back(_resources(config, home), principal, stand_in)
    if as_json:
        print_json([_ended(one) for one in ended])
    else:
        typer.echo(f"{principal} decides alone again; ended: {', '.join(f'with {one.delegate}' for one in ended)}.")


def away(config: ConfigOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List who is away now or will be, and who stands in."""
    from tasks.hand_over import absences

    resources = _resources(config, home)
    now, found = resources.clock.now(), absences(resources)
    if as_json:
        print_json([{**_ended(one), "now": one.runs_at(now)} for one in found])
        return
    zone = _zone(resources)
    rows = (
        [
            one.principal,
            one.delegate,
            _shown(one.starts_at, zone),
            _shown(one.ends_at, zone),
            "now" if one.runs_at(now) else "soon",
        ]
        for one in found
    )
    print_table(["away", "stands in", "from", "until", ""], rows, empty="Nobody is away, and nobody will be.")


def load(config: ConfigOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show how much waits for each person, and how many assets they decided on in the last 7 and 30 days."""
    from ledger.workload import workloads

    resources = _resources(config, home)
    with resources.ledger.reading() as connection:
        found = workloads(connection, resources.clock.now())
    names = ("person_id", "handle", "name", "open_reviews", "overdue", "decided_7_days", "decided_30_days")
    if as_json:
        print_json([{name: getattr(one, name) for name in names} for one in found])
        return
    rows = ([getattr(one, name) for name in names[1:]] for one in found)
    print_table(["handle", "name", "open", "overdue", "7 days", "30 days"], rows, empty="Nobody is in the roster.")


def _resources(config: Any, home: Any) -> Resources:
    from ledger.schema import check_ledger
    from tasks.resources import Resources

    resources = Resources(read_settings(config, home))
    check_ledger(resources.ledger)
    return resources


def _zone(resources: Resources) -> tzinfo:
    """Days are those of the people: of the active policy's calendar, UTC while there is none that can be read."""
    from zoneinfo import ZoneInfo

    from policies.errors import PolicyInvalid
    from tasks.errors import NoActivePolicy

    try:
        return ZoneInfo(resources.active_policy().document.calendar.timezone)
    except (NoActivePolicy, PolicyInvalid):
        return ZoneInfo("UTC")


def _moment(text: str, zone: tzinfo, option: str, *, end: bool = False) -> datetime:
    given = text.strip()
    try:
        found = datetime.fromisoformat(given if _BEGINS_WITH_A_DAY.match(given) else "")
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no moment; allowed is {_ALLOWED}", param_hint=option) from None
    if not is_moment(found):
        raise typer.BadParameter(f"{text!r} is not {MOMENTS_ALLOWED}", param_hint=option)
    if end and len(given) == len("2026-12-24"):
        found += timedelta(days=1)
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _shown(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def _document(told: HandedOver) -> dict[str, Any]:
    return {
        "number": told.number,
        "principal": told.principal,
        "delegate": told.delegate,
        "from": told.starts_at,
        "until": told.ends_at,
        "broken": list(told.broken),
        "gates": told.gates,
        "written": told.number is not None,
    }


def _ended(one: Delegation) -> dict[str, Any]:
    return {
        "number": one.delegation_id,
        "principal": one.principal,
        "delegate": one.delegate,
        "from": one.starts_at,
        "until": one.ends_at,
    }
