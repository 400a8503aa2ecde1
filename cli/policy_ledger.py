"""`signoff policy explain` and `signoff policy activate`: the policy as the ledger knows it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.errors import NotScreened
from cli.options import ConfigOption, HomeOption, JsonOption, read_settings
from cli.output import harmless, print_json, shown

if TYPE_CHECKING:
    from tasks.activate_policy import Activated

_OUTCOMES: Final = {"quarantine": "quarantine", "approve": "automatic", "open_gates": "review"}
_RESULTS: Final = {True: "true", False: "false", None: "not known"}


def explain(
    key: Annotated[str, typer.Argument(help="Key of the asset, as `signoff ls` prints it.")],
    version: Annotated[
        int | None, typer.Option("--version", help="Number of the version; the last without it.")
    ] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show why a version was routed as it was: which predicate said what, with the values it saw then."""
    from ledger.reader import story
    from tasks.resources import Resources

    with Resources(read_settings(config, home)).ledger.reading() as connection:
        told = story(connection, key)
    explained = explanation_of(told, version)
    if as_json:
        print_json(explained)
    else:
        _print_explanation(explained)


def explanation_of(told: Mapping[str, Any], version: int | None = None) -> dict[str, Any]:
    """The last routing of a version as the ledger recorded it; raises `NotScreened` if there is none."""
    wanted = version or told["versions"][-1]["version"]
    screenings = [one for one in told["screenings"] if one["version"] == wanted]
    if not screenings:
        raise NotScreened(told["key"], wanted)
    last = screenings[-1]
    events = [
        one
        for one in told["events"]
        if (one["version"], one["round"], one["from_state"]) == (wanted, last["round"], "submitted")
        and one["action"] in _OUTCOMES
    ]
    gates = [one for one in told["gates"] if (one["version"], one["round"]) == (wanted, last["round"])]
    outcome = events[0] if events else None
    return {
        "key": told["key"],
        "version": wanted,
        "round": last["round"],
        "policy_sha256": last["policy_sha256"],
        "screened_at": last["screened_at"],
        "outcome": _OUTCOMES[outcome["action"]] if outcome else None,
        "rule": outcome["rule"] or (outcome["reason"] if outcome["action"] == "quarantine" else None)
        if outcome
        else None,
        "stages": [one["stage"] for one in gates],
        "facts": last["facts"],
        "explanation": last["route"],
    }


def activate(
    file: Annotated[Path, typer.Argument(help="The policy file.")],
    person: Annotated[str, typer.Option("--as", help="Your handle in the roster; for the first policy, your name.")],
    roster: Annotated[Path | None, typer.Option("--roster", help="Roster file, for the first policy.")] = None,
    code: Annotated[
        str | None, typer.Option("--code", help="Code of your authenticator app, when you are enrolled.")
    ] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose a policy, or confirm the proposal of another person: then it routes what arrives from now on.

    It must pass its check with the people there are. The first policy of an empty ledger needs no second person. Who is
    enrolled signs with a code, the one who proposes and the one who confirms.
    """
    from ledger.schema import upgrade_ledger
    from tasks.activate_policy import activate_file
    from tasks.resources import Resources
    from tasks.sign_act import signs_with_a_code

    settings = read_settings(config, home)
    resources = Resources(settings)
    try:
        upgrade_ledger(resources.ledger)
        if code is None and sys.stdin.isatty() and signs_with_a_code(resources, person):
            code = typer.prompt("Code from your authenticator app", hide_input=True, err=True)
        done = activate_file(resources, file, roster or settings.roster, person, code)
    finally:
        resources.close()
    _print_activated(done, as_json=as_json)


def _print_activated(done: Activated, *, as_json: bool) -> None:
    if as_json:
        print_json({"policy_sha256": done.policy_sha256, "status": done.status, "proposed_by": done.proposed_by})
        return
    short = done.policy_sha256[:12]
    says = {
        "activated": f"Policy {short} is active: it routes what arrives from now on.",
        "active": f"Policy {short} is active already; nothing was changed.",
        "proposed": f"Policy {short} is proposed by {done.proposed_by}; somebody else confirms it by the same command.",
    }
    typer.echo(says[done.status])


def _print_explanation(explained: Mapping[str, Any]) -> None:
    route = explained["explanation"]
    typer.secho(f"{shown(explained['key'])}, version {explained['version']}, round {explained['round']}", bold=True)
    typer.echo(f"  routed on {shown(explained['screened_at'])} UTC by policy {explained['policy_sha256'][:12]}")
    typer.echo(f"  outcome: {explained['outcome']}" + (f", {harmless(explained['rule'])}" if explained["rule"] else ""))
    if explained["stages"]:
        typer.echo(f"  stages: {', '.join(explained['stages'])}")
    if route["findings"]:
        typer.echo(f"  found: {', '.join(route['findings'])}; overridden: {', '.join(route['overridden']) or 'none'}")
    blocked = route["blocked"]
    typer.echo(f"  clearance {blocked['clearance']} {'blocks' if blocked['result'] else 'does not block'}")
    if "quarantine_when" in route:
        _print_predicate("quarantine", route["quarantine_when"])
    for title in ("stages", "automatic"):
        for name, predicate in route.get(title, {}).items():
            _print_predicate(f"{title.removesuffix('s')} {name}", predicate)
    typer.echo(f"  default stage {route['default_stage']}: takes what no other stage does")


def _print_predicate(name: str, predicate: Mapping[str, Any]) -> None:
    saw = ", ".join(
        f"{fact} is {'not known' if value is None else repr(value)}" for fact, value in predicate["saw"].items()
    )
    typer.echo(f"  {harmless(name)}: {_RESULTS[predicate['result']]}")
    typer.echo(f"      {harmless(predicate['text'])}")
    typer.echo(f"      saw: {harmless(saw)}")
