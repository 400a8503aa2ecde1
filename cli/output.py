"""How commands print: JSON for programs, tables for people, nothing in them that a terminal would obey."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import typer


def print_json(value: Any) -> None:
    """Print one JSON document; instants in ISO 8601 with Z. What a terminal would obey is written as JSON escapes."""
    typer.echo(_escaped(json.dumps(value, indent=2, ensure_ascii=False, default=_plain)))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Print rows under `columns`, or the sentence `empty` when there are none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[shown(value) for value in row] for row in rows]
    if not cells:
        typer.echo(empty)
        return
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    width = (
        None
        if sys.stdout.isatty()
        else max(120, sum(max(map(len, column)) + 2 for column in zip(columns, *cells, strict=True)))
    )
    Console(width=width, highlight=False).print(table)


def shown(value: Any) -> str:
    """A value in a cell: short, on one line, and without anything that could act on a terminal.

    >>> shown("a.txt\\nb.txt  published"), shown(None)
    ('a.txt\\\\nb.txt  published', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:.2f}"
    return harmless(str(value)).replace("\n", "\\n")


def harmless(text: str) -> str:
    """Text from outside with everything invisible that could act on a terminal made visible.

    >>> harmless("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return "".join(repr(char)[1:-1] if _acts(char) else char for char in text)


def _escaped(document: str) -> str:
    r"""A JSON document that means the same, with what could act on a terminal as `\uXXXX`.

    >>> _escaped(json.dumps("caf\xe9 \x9b31m \u202e", ensure_ascii=False))
    '"café \\u009b31m \\u202e"'
    """
    escapes = {ord(char): json.dumps(char)[1:-1] for char in set(document) if _acts(char)}
    return document.translate(escapes) if escapes else document


def _acts(char: str) -> bool:
    if char.isprintable() or char in "\n\u200d":  # whatever could act is not printable
        return False
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, frozenset | set | tuple):
        return list(value)
    return str(value)
