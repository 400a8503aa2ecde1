"""`signoff doctor`: a check-up of everything, and with `--fix` what can be put right without asking anybody."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cli.options import ConfigOption, HomeOption, JsonOption, read_settings
from cli.output import harmless, print_json, print_table


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Register deployments, park lost reviews again, close runs that nobody wants.")
    ] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at every part and say what is wrong, why it matters and what to do. Exit code 1 when something is."""
    from cli.stack.checkup import check_up, put_right, sweeps
    from tasks.errors import TaskError
    from tasks.resources import Resources
    from tasks.settings import config_path

    resources = Resources(read_settings(config, home))
    done = list(put_right(resources, config_path(config))) if fix else []
    found = check_up(resources, lambda _: None)
    try:
        runs = sweeps(resources)
    except TaskError:
        runs = []
    if as_json:
        print_json({"healthy": not found, "findings": [asdict(one) for one in found], "done": done, "sweeps": runs})
    else:
        for one in done:
            typer.echo(f"done: {harmless(one)}")
        for finding in found:
            typer.secho(f"{finding.part}: {harmless(finding.what)}", bold=True)
            typer.echo(f"  {finding.why} {harmless(finding.do)}")
            if finding.repairable and not fix:
                typer.echo("  `signoff doctor --fix` sees to it.")
        columns = ("flow", "ended_at", "state")
        print_table(("flow", "last ended", "as"), ([one[name] for name in columns] for one in runs), empty="")
        typer.echo(f"{len(found)} findings." if found else "Everything is as it should be.")
    resources.close()
    if found:
        raise typer.Exit(1)
