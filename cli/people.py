"""`signoff people`: who is in the ledger's roster, what they sign with, and forgetting somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import authenticators
from cli.options import ConfigOption, HomeOption, JsonOption, read_settings
from cli.output import print_json, print_table, shown

if TYPE_CHECKING:
    from ledger.forget import Forgetting

app: Final = typer.Typer(no_args_is_help=True, help="The people of the roster, as the ledger has them.")
for _command in (
    authenticators.enrol,
    authenticators.recover,
    authenticators.unenrol,
    authenticators.rekey,
    authenticators.disown,
):
    app.command()(_command)
app.command(hidden=True)(authenticators.code)


@app.command("list")
def list_people(config: ConfigOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List who is in the roster, in which groups, and who can sign with an authenticator."""
    from ledger.roster import present_people
    from ledger.schema import check_ledger
    from ledger.signatures import enrolled_people
    from tasks.resources import Resources

    resources = Resources(read_settings(config, home))
    check_ledger(resources.ledger)
    with resources.ledger.reading() as connection:
        enrolled = enrolled_people(connection)
        found = [{**one, "enrolled": one["person_id"] in enrolled} for one in present_people(connection)]
    if as_json:
        print_json(found)
        return
    rows = (
        [one["person_id"], one["handle"], one["name"], ", ".join(one["groups"]), "yes" if one["enrolled"] else "no"]
        for one in found
    )
    print_table(["id", "handle", "name", "groups", "enrolled"], rows, empty="Nobody is in the roster.")
    from tasks.enrol_person import unsignable_stages  # it reads the policy, which programs do not wait for

    for one in unsignable_stages(resources):
        typer.echo(f"Not to be passed yet: {shown(one)}; `signoff people enrol` enrols them.", err=True)


@app.command()
def forget(
    handle: Annotated[str, typer.Argument(help="Whom: the handle in the roster.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase who somebody was: name, address, handle, comments. Decisions stay, by number; it cannot be undone."""
    from ledger.schema import check_ledger
    from tasks.forget_person import forget as erase
    from tasks.forget_person import look_up_person
    from tasks.resources import Resources

    resources = Resources(read_settings(config, home))
    check_ledger(resources.ledger)
    plan = look_up_person(resources, handle)
    if dry_run:
        _tell(plan, "would be erased", as_json=as_json, erased=False)
        return
    if not yes:
        typer.echo(_sentence(plan, "will be erased"), err=True)
        typer.confirm("This cannot be undone. Erase it?", abort=True, err=True)
    done, is_gone = erase(resources, handle)
    _tell(done, "was erased", as_json=as_json, erased=True)
    if not is_gone:
        typer.echo("Somebody reads the ledger: its log keeps what was erased until it is folded in again.", err=True)
    typer.echo("Backups and exports that were made before still hold it: see docs/operator.md.", err=True)


def _tell(plan: Forgetting, what: str, *, as_json: bool, erased: bool) -> None:
    if as_json:
        print_json(_document(plan, erased=erased))
    else:
        typer.echo(_sentence(plan, what))


def _document(plan: Forgetting, *, erased: bool) -> dict[str, Any]:
    return {
        "person_id": plan.person_id,
        "erased": erased,
        "comments": len(plan.note_ids),
        "notices": len(plan.rounds),
        "decisions": plan.decisions,
        "groups": list(plan.groups),
    }


def _sentence(plan: Forgetting, what: str) -> str:
    whom = ", ".join(shown(one) for one in (plan.handle, plan.name, plan.email) if one)
    return (
        f"Person {plan.person_id} ({whom}): name, address, handle and the words of {len(plan.note_ids)} comments "
        f"{what}; {plan.decisions} decisions stay, as those of forgotten person {plan.person_id}."
    )
