"""`signoff up`, `down`, `status`, `config`: the stack that everything else runs on."""

from __future__ import annotations

import json

import typer

from cli.options import ConfigOption, HomeOption, JsonOption, read_settings


def up(config: ConfigOption = None, home: HomeOption = None) -> None:
    """Start the embedded stack: object store, Prefect server, worker. What the settings name already is not started."""
    from rich.console import Console

    from cli.stack.stack import stack_status, start_stack
    from tasks.settings import config_path

    console = Console(stderr=True)
    settings = start_stack(
        read_settings(config, home),
        config_path(config),
        reload=lambda: read_settings(config, home),
        report=lambda step: console.print(step, style="dim", highlight=False),
    )
    status = stack_status(settings)
    typer.echo(f"Prefect        {status.prefect_ui}")
    typer.echo(f"Object store   {status.s3_endpoint}")
    typer.echo("Stop it with `signoff down`.")


def down(home: HomeOption = None, config: ConfigOption = None) -> None:
    """Stop every process of the embedded stack. What it stored stays."""
    from cli.stack.stack import stop_stack

    stopped = stop_stack(read_settings(config, home).home)
    typer.echo(f"Stopped: {', '.join(stopped)}" if stopped else "Nothing was running.")


def status(config: ConfigOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Say where the stack stands. Exit code 1 when a part does not run or a scheduled flow is late."""
    from cli.stack.stack import stack_status

    found = stack_status(read_settings(config, home))
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        _print_status(found.to_json())
    if not found.healthy:
        raise typer.Exit(1)


def config(config: ConfigOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Print every setting and where its value came from; secrets are masked."""
    from tasks.settings import public_values

    settings = read_settings(config, home)
    values, origins = public_values(settings), settings.origins
    if as_json:
        document = {name: {"value": value, "origin": origins[name]} for name, value in values.items()}
        typer.echo(json.dumps(document, indent=2))
        return
    wide = max(map(len, values))
    for name, value in values.items():
        typer.echo(f"{name:<{wide}}  {'' if value is None else value}  ({origins[name]})")


def _print_status(found: dict[str, object]) -> None:
    components = found.pop("components")
    late = found.pop("late")
    buckets = found.pop("buckets")
    for name, value in found.items():
        typer.echo(f"{name.replace('_', ' '):<16}{value or 'not configured'}")
    if isinstance(buckets, dict):
        typer.echo(f"{'buckets':<16}{', '.join(map(str, buckets.values()))}")
    for component in components if isinstance(components, list) else []:
        running = f"{component['state']} (pid {component['pid']})" if component["pid"] else component["state"]
        typer.echo(f"{component['name']:<16}{running}, log {component['log']}")
    if isinstance(late, list) and late:
        typer.echo(f"{'late':<16}{', '.join(late)}: due more than three intervals ago and not started")
