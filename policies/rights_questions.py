"""From queries to questions: what is asked is checked, the past cut off, and equal questions are answered once.

A batch asks the same thing again and again: the assets of a collection share its grants and its intended use, and most
files say the same of themselves, or nothing. Only what an answer depends on is kept in a question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from policies.channels import CHANNELS, UseAction, channels_frame, uses_frame
from policies.errors import QueriesInvalid
from policies.territories import TERRITORIES, territories_frame

INSTANT: Final = pl.Datetime("us", "UTC")
_TEXT, _WORDS, _BOOL = pl.String(), pl.List(pl.String()), pl.Boolean()

QUERY_SCHEMA: Final[dict[str, pl.DataType]] = {
    "version_id": pl.Int64(),
    "key": _TEXT,
    "collection": _TEXT,
    "kind": _TEXT,
    "action": _TEXT,
    "channel": _TEXT,
    "territories": _WORDS,
    "licensee": _TEXT,
    "from_at": INSTANT,
    "until_at": INSTANT,
    "embedded_status": _TEXT,
    "embedded_prohibits": _WORDS,
    "embedded_conflicts": _WORDS,
    "expires_at": INSTANT,
    "model_release": _TEXT,
    "property_release": _TEXT,
    "people_detected": _BOOL,
    "credit_line": _TEXT,
}
"""Columns of a frame of queries, one row an intended use of a version. Only the first seven are needed in every row:
an empty licensee is this house, an empty `from_at` is now, an empty `until_at` is the moment of `from_at`."""

OPTIONAL: Final[dict[str, pl.DataType]] = {"property_detected": _BOOL}
"""Columns that are taken if they are there."""

EMBEDDED: Final = (
    *("embedded_status", "embedded_prohibits", "embedded_conflicts", "expires_at", "model_release"),
    *("property_release", "people_detected", "property_detected", "credit_line"),
)
"""What a file, or a look at it, says of its own rights."""

USE: Final = ("action", "channel", "territories_asked", "licensee", "starts_at", "stops_at")
QUESTION: Final = ("asset", "collection", *USE, "carried", "people", "property", "model_claim", "property_claim")
CELL: Final = ("question", "channel", "country")
"""A cell is one channel in one country of one question: what a licence covers or leaves open."""


def check_queries(queries: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The queries with the declared types, codes folded, and the interval that is still ahead.

    The past can be neither cleared nor lapse any more, so a use is looked at from `now` on, and for a moment at least.
    Raises `QueriesInvalid` if a column is missing or has another type, or if `now` is naive.
    """
    if now.tzinfo is None:
        raise QueriesInvalid(f"now is {now.isoformat()} without a time zone; give an aware UTC time")
    missing = [name for name in QUERY_SCHEMA if name not in queries.columns]
    if missing:
        raise QueriesInvalid(f"the frame of queries lacks {', '.join(missing)}; it needs every column of QUERY_SCHEMA")
    schema: Mapping[str, pl.DataType] = {**QUERY_SCHEMA, **OPTIONAL}
    for name, dtype in schema.items():
        found = queries.schema.get(name, pl.Null())
        if found not in (dtype, pl.Null(), pl.List(pl.Null())):
            raise QueriesInvalid(
                f"query column {name} has type {found}, declared is {dtype}; cast it where it is built"
            )
    present = queries.with_columns(pl.lit(None).alias(name) for name in OPTIONAL if name not in queries.columns)
    empty = pl.lit([], dtype=_WORDS)
    typed = present.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    return (
        typed.with_columns(
            pl.col("territories", "embedded_prohibits", "embedded_conflicts").fill_null(empty),
            starts_at=pl.max_horizontal("from_at", pl.lit(now.astimezone(UTC), dtype=INSTANT)),
        )
        .with_columns(
            stops_at=pl.max_horizontal("until_at", pl.col("starts_at") + pl.duration(microseconds=1)),
            territories=pl.col("territories").list.eval(
                pl.element().fill_null("").str.strip_chars().str.to_uppercase().unique().sort()
            ),
            model_claim=pl.col("model_release").str.extract("([^/]*)$"),  # PLUS codes come bare or as addresses
            property_claim=pl.col("property_release").str.extract("([^/]*)$"),
        )
        .with_columns(
            territories_asked=pl.col("territories").list.join(";"),
            people=pl.col("people_detected").fill_null(value=False) | pl.col("model_claim").eq_missing("MR-LMR"),
            property=pl.col("property_detected").fill_null(value=False) | pl.col("property_claim").eq_missing("PR-LPR"),
        )
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: `rows` (`version_id`, `case`) in the order of the queries, distinct `cases`, distinct `questions`.

    A case is a `question` together with what the file says of itself.
    """

    rows: pl.DataFrame
    cases: pl.DataFrame
    questions: pl.DataFrame


def ask(queries: pl.DataFrame, grants: pl.DataFrame, uses: pl.DataFrame | None, now: datetime) -> Asked:
    """The checked queries as distinct cases and questions.

    An asset's own key matters only if a grant or a counted use names it, its credit line only if a grant asks for one.
    """
    named = grants.get_column("asset").drop_nulls()
    if uses is not None:
        named = pl.concat([named, uses.get_column("key").drop_nulls()])
    owed = grants.get_column("credit_line").is_not_null().any()
    asked = check_queries(queries, now).with_columns(
        asset=pl.when(pl.col("key").is_in(named.unique().implode())).then("key"),
        carried=pl.col("credit_line") if owed else pl.lit(None, dtype=pl.String),
    )
    rows, cases = _numbered(asked, "case", [*QUESTION, *EMBEDDED])
    cases, questions = _numbered(cases, "question", list(QUESTION))
    return Asked(rows.select("version_id", "case"), cases, questions)


def _numbered(rows: pl.DataFrame, name: str, columns: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`rows` in their order, each with the number of its values in `columns`, and the distinct values by number."""
    distinct = rows.select(columns).unique(maintain_order=True).with_row_index(name)
    return rows.join(distinct, on=columns, how="left", nulls_equal=True, maintain_order="left"), distinct


def cells_of(questions: pl.DataFrame) -> pl.DataFrame:
    """One row a cell, with its interval, the use in words (`use`), and whether it is `commercial`."""
    by_channel = (
        questions.select("question", "action", pl.col("channel").alias("code"), "starts_at", "stops_at")
        .join(channels_frame(), on="code")
        .join(uses_frame(), on=["action", "channel"])
    )
    by_country = (
        questions.select("question", pl.col("territories_asked").str.split(";").alias("code"))
        .explode("code")
        .join(territories_frame(), on="code")
        .select("question", "country")
        .unique()
    )
    return by_channel.drop("action", "code").join(by_country, on="question")


def unknown_codes(questions: pl.DataFrame) -> pl.DataFrame:
    """Every code of a question that nobody knows: `question` and what to say (`text`)."""
    territories = questions.select("question", pl.col("territories_asked").str.split(";").alias("code")).explode("code")
    strange = territories.filter(~pl.col("code").is_in(list(TERRITORIES)) & (pl.col("code") != ""))
    return pl.concat(
        [
            _unknown(questions, "action", list(UseAction)),
            _unknown(questions, "channel", list(CHANNELS)),
            strange.select("question", text=pl.format("{} is no territory that is known here", "code")),
            questions.filter(pl.col("territories_asked") == "").select(
                "question", text=pl.lit("The intended use names no territory")
            ),
        ]
    )


def _unknown(questions: pl.DataFrame, column: str, known: list[str]) -> pl.DataFrame:
    word = pl.col(column).fill_null("(none)")
    said = pl.format(f"{{}} is no {column} that is known here; known are {', '.join(known)}", word)
    return questions.filter(~word.is_in(known)).select("question", text=said)
