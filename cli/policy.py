"""`signoff policy`: write, check and understand a policy file. Nothing here needs the stack, or changes anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from cli import policy_ledger
from cli.options import ConfigOption, HomeOption, JsonOption, read_settings
from cli.output import harmless, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policies.claims import ClaimResult
    from policies.document import PolicyDocument
    from policies.roster import RosterDocument
    from tasks.settings import Settings

FileArgument = Annotated[
    Path | None, typer.Argument(help="Policy file; without it that of the settings, else the ledger's active policy.")
]
RosterOption = Annotated[
    Path | None, typer.Option("--roster", help="Roster file; without it that of the settings, else the ledger's.")
]

app = typer.Typer(
    name="policy",
    help="Write, prove, understand and activate the policy.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command()
def check(
    file: FileArgument = None,
    roster: RosterOption = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove what must hold of every policy, or tell for which version it does not. Exit code 1: something does not."""
    from policies.errors import PolicyError
    from policies.policy_proof import prove_policy, prove_text, refuted

    settings = read_settings(config, home)
    text, name = _policy(file, settings)
    people = roster or settings.roster
    try:
        if people is None and file is None:
            results = prove_policy(read_document(text, name), _roster_in_ledger(settings))
        else:
            results = prove_text(text, name, None if people is None else read_file(people), str(people or "roster"))
    except PolicyError as error:
        _refuse(str(error))
    if as_json:
        print_json([one.as_json() for one in results])
    else:
        print_results(results)
    raise typer.Exit(1 if refuted(results) else 0)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a policy file, from which editors complete and check."""
    from policies.document import PolicyDocument

    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **PolicyDocument.model_json_schema()})


@app.command()
def facts(as_json: JsonOption = False) -> None:
    """List the facts that predicates may ask about, with their types, values, units and meaning."""
    from policies.facts import FACTS, Use

    rows: list[dict[str, Any]] = [
        {
            "name": fact.name,
            "type": _type_name(fact.dtype),
            "nullable": fact.nullable,
            "values": None if fact.values is None else [str(value) for value in fact.values],
            "unit": fact.unit,
            "range": None if fact.range is None else list(fact.range),
            "archive_only": fact.use is Use.ARCHIVE,
            "description": fact.description,
        }
        for fact in FACTS.values()
        if fact.use is not Use.NOWHERE
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("fact", "type", "may be NULL", "unit", "meaning"),
        (
            [
                row["name"],
                row["type"],
                "yes" if row["nullable"] else "no",
                row["unit"],
                row["description"]
                + (f": {', '.join(row['values'])}" if row["values"] else "")
                + (" (archive rules only)" if row["archive_only"] else ""),
            ]
            for row in rows
        ),
        empty="",
    )


@app.command("test")
def examples(
    file: FileArgument = None, config: ConfigOption = None, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Route the examples that the policy file carries, and compare with what they expect. Exit code 1: one differs."""
    from policies.errors import PolicyError
    from policies.policy_examples import try_examples

    text, name = _policy(file, read_settings(config, home))
    try:
        results = try_examples(read_document(text, name))
    except PolicyError as error:
        _refuse(str(error))
    if as_json:
        print_json([one.as_json() for one in results])
    else:
        for one in results:
            typer.echo(f"{'passed ' if not one.differs else 'differs'}  {harmless(one.name)}")
            for name in one.differs:
                typer.echo(
                    f"           {name}: expected {one.expected[name]}, found {one.found[name]} (line {one.line})"
                )
        typer.echo(f"{sum(not one.differs for one in results)} of {len(results)} examples are as expected.")
    raise typer.Exit(1 if any(one.differs for one in results) else 0)


@app.command()
def graph(
    file: FileArgument = None,
    form: Annotated[Literal["svg", "mermaid"], typer.Option("--format", help="svg or mermaid.")] = "svg",
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """Print the workflow that the policy describes as a picture: SVG for people, Mermaid for documents."""
    from policies.errors import PolicyError
    from policies.policy_graph import mermaid, policy_graph, svg

    text, name = _policy(file, read_settings(config, home))
    try:
        picture = policy_graph(read_document(text, name))
    except PolicyError as error:
        _refuse(str(error))
    typer.echo((svg if form == "svg" else mermaid)(picture), nl=False)


app.command()(policy_ledger.explain)
app.command()(policy_ledger.activate)


def print_results(results: Sequence[ClaimResult]) -> None:
    """Print each claim with "proved", or with the shortest story of why it does not hold."""
    for one in results:
        said = {True: "proved ", False: "refuted", None: "not asked"}[one.proved]
        typer.secho(f"{said}  {one.claim.says}", fg={True: "green", False: "red", None: "yellow"}[one.proved])
        if one.because:
            typer.echo(f"    {one.because}")
        for story in one.counterexamples[:1]:
            typer.echo(f"    line {story.line}, {harmless(story.field)}: {harmless(story.subject)}")
            for number, step in enumerate(story.steps, start=1):
                typer.echo(f"    {number}. {harmless(step)}")
        for story in one.counterexamples[1:]:
            typer.echo(f"    also line {story.line}, {harmless(story.field)}: {harmless(story.subject)}")


def read_file(path: Path) -> str:
    """The text of a file; a usage error where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}") from error


def read_document(text: str, name: str) -> PolicyDocument:
    """The policy in a text; `name` is where it came from. Raises `PolicyInvalid`."""
    from policies.document import load_policy

    return load_policy(text, name)


def _policy(file: Path | None, settings: Settings) -> tuple[str, str]:
    """The text of the policy that is meant, and where it came from."""
    path = file or settings.policy
    if path is not None:
        return read_file(path), str(path)
    from ledger.errors import LedgerError
    from ledger.policy_store import active_policy
    from tasks.resources import Resources

    try:
        with Resources(settings).ledger.reading() as connection:
            stored = active_policy(connection)
    except LedgerError:
        stored = None
    if stored is None:
        raise typer.BadParameter("no FILE is given, the settings name no policy and the ledger has none; name one")
    return stored.body, f"policy {stored.sha256[:12]} of the ledger"


def _roster_in_ledger(settings: Settings) -> RosterDocument | None:
    from ledger.errors import LedgerError
    from tasks.check_policy import roster_in_ledger
    from tasks.resources import Resources

    resources = Resources(settings)
    try:
        with resources.ledger.reading() as connection:
            return roster_in_ledger(resources, connection)
    except LedgerError:  # a policy file may be checked where there is no ledger yet
        return None


def _refuse(message: str) -> NoReturn:
    typer.secho(f"error: {harmless(message)}", err=True, fg="red")
    raise typer.Exit(2)


def _type_name(dtype: Any) -> str:
    kind = str(dtype)
    names = {"String": "text", "Int64": "whole number", "Float64": "number", "Boolean": "yes or no"}
    return names.get(kind, "list of texts")
