"""`signoff metrics`: refresh the warehouse, ask it in SQL, list what can be asked."""

from __future__ import annotations

import csv
import math
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Final

import typer

from cli.options import ConfigOption, HomeOption, read_settings
from cli.output import print_json, print_table

app: Final = typer.Typer(no_args_is_help=True, help="How long things take, and why: the warehouse in DuckDB.")


@app.command()
def refresh(config: ConfigOption = None, home: HomeOption = None) -> None:
    """Bring analytics.duckdb up to what the ledger holds."""
    from tasks.refresh_metrics import refresh_metrics

    settings = read_settings(config, home)
    done = refresh_metrics(settings.database_url, settings.analytics_path, settings.make_clock().now())
    how = f"built anew ({done.rebuilt_because})" if done.rebuilt_because else "continued"
    typer.echo(f"{settings.analytics_path}: {how}, {done.events_added} events added, up to event {done.watermark_seq}.")


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="For example: FROM lead_time(per := 'collection')")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array of objects.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """Ask the warehouse one question in SQL. It is opened for reading only."""
    from analytics.warehouse import answer_query

    if as_json and as_csv:
        raise typer.BadParameter("found both --json and --csv; choose one of them")
    columns, rows = answer_query(read_settings(config, home).analytics_path, sql)
    cells = [[_plain(value) for value in row] for row in rows]
    if as_json:
        records = [dict(zip(columns, row, strict=True)) for row in cells]
        print_json(records)
    elif as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([columns, *cells])
    else:
        words = ([None if value is None else str(value) for value in row] for row in cells)
        print_table(columns, words, empty="No rows.")


@app.command()
def macros() -> None:
    """List what can be asked: table macros and views, and the tables beneath."""
    from analytics.macros import MACROS
    from analytics.schema import TABLES

    for macro in MACROS:
        typer.echo(f"{macro.call}\n    {macro.sentence}")
    typer.echo(f"\nTables: {', '.join(TABLES)}, refresh. Times are UTC, lengths in µs there and in seconds above.")


def _plain(value: object) -> object:
    """A value of DuckDB as JSON and CSV can hold it: instants in ISO 8601 with Z, decimals as numbers."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
