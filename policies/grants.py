"""Grants in numbers: a contracts table (CSV or Parquet) in, checked grants or every problem out; grants as a frame.

A table has one row a grant and the columns of `Grant`. Lists stand in one cell with `;` between the words (Parquet may
have lists). An empty cell is a value that was not given. A table is refused as a whole: half a contract is worse than
none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import polars as pl
from pydantic import ValidationError

from policies.channels import CHANNELS
from policies.errors import GrantsInvalid, Problem
from policies.grant import Effect, Grant, NotAllowed, Release, Source, when_in_words
from policies.territories import expand_territories
from policies.validation import nearest_word

__all__ = ["GRANTS_SCHEMA", "Effect", "Grant", "Release", "Source", "grants_frame", "parse_grants"]

_COLUMNS: Final = tuple(name for name in Grant.model_fields if name != "source")
_REQUIRED: Final = ("id", "effect", "actions", "channels", "territories")
_INSTANT: Final = pl.Datetime("us", "UTC")

GRANTS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "grant_id": pl.String(),
    "source": pl.String(),
    "effect": pl.String(),
    "asset": pl.String(),
    "collection": pl.String(),
    "actions": pl.List(pl.String()),
    "channels": pl.List(pl.String()),
    "countries": pl.String(),
    "licensee": pl.String(),
    "exclusive": pl.Boolean(),
    "credit_line": pl.String(),
    "releases": pl.List(pl.String()),
    "max_uses": pl.Int64(),
    "start_at": _INSTANT,
    "end_at": _INSTANT,
    "embargo_at": _INSTANT,
    "start_text": pl.String(),
    "end_text": pl.String(),
    "embargo_text": pl.String(),
    "sha256": pl.String(),
}
"""Columns of a frame of grants: `channels` are leaves, `countries` ISO codes in order with blanks between them,
`*_text` the dates in words of the source's time zone, `sha256` the digest of everything the grant says."""


def parse_grants(data: bytes, filename: str, source: Source = Source.CONTRACT) -> list[Grant]:
    """The grants of a contracts table, in its order; all of `source`.

    Raises `GrantsInvalid` with every problem of the file: line (of a CSV file, the header is 1; of Parquet, the row
    plus 1), column, what was found, what is allowed. `filename` names the file in problems; its bytes say what it is.
    """
    rows, problems = _read_parquet(data, filename) if data.startswith(b"PAR1") else _read_csv(data, filename)
    grants: list[Grant] = []
    seen: dict[tuple[str, int], int] = {}
    for line, row in rows:
        try:
            grant = Grant.model_validate({**row, "source": source})
        except ValidationError as error:
            problems += [_problem(filename, line, row, details) for details in error.errors(include_url=False)]
            continue
        first = seen.setdefault((grant.id, grant.revision), line)
        if first != line:
            found = f"{grant.id!r} revision {grant.revision}, which line {first} has already"
            problems.append(Problem(filename, line, "id", found, "each id once in each revision"))
        grants.append(grant)
    if problems:
        raise GrantsInvalid(tuple(sorted(problems, key=lambda problem: problem.line)))
    return grants


def grants_frame(grants: Iterable[Grant]) -> pl.DataFrame:
    """The grants that count, as `check_rights` takes them: of each id of each source the highest revision."""
    latest: dict[tuple[str, str], Grant] = {}
    for grant in grants:
        known = latest.get((grant.source, grant.id))
        if known is None or known.revision < grant.revision:
            latest[grant.source, grant.id] = grant
    return pl.DataFrame([_row(grant) for grant in latest.values()], schema=GRANTS_SCHEMA, orient="row")


def _row(grant: Grant) -> tuple[object, ...]:
    dates = (grant.start, grant.end, grant.embargo)
    return (
        grant.id,
        str(grant.source),
        str(grant.effect),
        grant.asset,
        grant.collection,
        [str(action) for action in grant.actions],
        sorted({str(leaf) for channel in grant.channels for leaf in CHANNELS[channel]}),
        _countries(grant.territories, grant.excluded_territories),
        grant.licensee,
        grant.exclusive,
        grant.credit_line,
        [str(release) for release in grant.releases],
        grant.max_uses,
        grant.start_at,
        grant.end_at,
        grant.embargo_at,
        *(None if when is None else when_in_words(when, grant.timezone) for when in dates),
        grant.sha256(),
    )


@lru_cache(maxsize=4096)
def _countries(territories: tuple[str, ...], excluded: tuple[str, ...]) -> str:
    return " ".join(sorted(expand_territories(territories, excluded).countries))


Rows = Iterable[tuple[int, dict[str, Any]]]


def _read_csv(data: bytes, filename: str) -> tuple[Rows, list[Problem]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return [], [Problem(filename, line, "file", f"the byte {data[error.start]:#04x}", "text in UTF-8, or Parquet")]
    try:
        records = list(_records(text))
    except csv.Error as error:
        line, found = error.args
        return [], [Problem(filename, line, "row", found, "a CSV table with commas, quoted with double quotes")]
    if not records:
        return [], [Problem(filename, 1, "file", "nothing", f"a header with the columns {', '.join(_COLUMNS)}")]
    header = [name.strip() for name in records[0][1]]
    problems = _header_problems(header, filename)
    if problems:
        return [], problems
    for line, cells in records[1:]:
        if len(cells) != len(header):
            problems.append(Problem(filename, line, "row", f"{len(cells)} cells", f"{len(header)}, as in the header"))
    return [(line, _given(header, cells)) for line, cells in records[1:] if len(cells) == len(header)], problems


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line on which it begins, without empty lines; a broken one as `csv.Error(line, text)`."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(line, str(error)) from error


def _read_parquet(data: bytes, filename: str) -> tuple[Rows, list[Problem]]:
    try:
        table = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        return [], [Problem(filename, 1, "file", f"broken Parquet ({error})", "a whole Parquet file")]
    problems = _header_problems(table.columns, filename)
    if problems:
        return [], problems
    return [(row, _given(table.columns, cells)) for row, cells in enumerate(table.iter_rows(), start=2)], []


def _given(header: list[str], cells: Iterable[object]) -> dict[str, Any]:
    """The cells of a row that hold a value, stripped."""
    stripped = (cell.strip() if isinstance(cell, str) else cell for cell in cells)
    return {name: cell for name, cell in zip(header, stripped, strict=True) if cell is not None and cell != ""}


def _header_problems(header: list[str], filename: str) -> list[Problem]:
    allowed = ", ".join(_COLUMNS)
    unknown = [name for name in header if name not in _COLUMNS]
    twice = sorted({name for name in header if header.count(name) > 1 and name in _COLUMNS})
    missing = [name for name in _REQUIRED if name not in header]
    return [
        *(
            Problem(filename, 1, n or "header", f"the unknown column {n!r}", allowed, nearest_word(n, _COLUMNS))
            for n in unknown
        ),
        *(Problem(filename, 1, name, "the column twice", "each column once") for name in twice),
        *(Problem(filename, 1, name, "no such column", "this column must be there") for name in missing),
    ]


def _problem(filename: str, line: int, row: Mapping[str, Any], details: Any) -> Problem:
    field = str(details["loc"][0])
    error = details.get("ctx", {}).get("error")
    if isinstance(error, NotAllowed):
        return Problem(filename, line, field, error.found, error.allowed, error.nearest)
    if details["type"] == "missing" or field not in row:
        return Problem(filename, line, field, "nothing", "a value; this cell must be filled")
    if details["type"] == "enum":
        allowed = details["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
        return Problem(
            filename, line, field, repr(row[field]), allowed, nearest_word(str(row[field]), allowed.split(", "))
        )
    return Problem(filename, line, field, repr(row[field])[:80], details["msg"])
