"""The one declared schema of facts: what screening knows about a version, and what a predicate may ask.

One row a version. Frames that reach `policies.routing` have exactly the columns of `FACTS_SCHEMA`; archive predicates
see `ARCHIVE_FACTS_SCHEMA`, which adds where the version stands and for how long.

Predicates see facts by these names and nothing else. `size` is in bytes and `duration` in seconds; a predicate may
compare them with a plain number (`size > 2147483648`) or with a quoted quantity (`size > '2 GiB'`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import polars as pl

from policies.errors import FactsInvalid
from policies.lifecycle import State

KINDS = ("image", "document", "text", "video", "audio", "other")
"""What an asset can be, by its content."""

CLEARANCES = ("conflict", "restricted", "embargoed", "expired", "unknown", "expiring", "cleared")
"""What a rights check can say, worst first."""


class Use(StrEnum):
    """Which predicates may name a fact."""

    NOWHERE = "nowhere"  # identity of the row: carried along, not asked about
    EVERYWHERE = "everywhere"
    ARCHIVE = "archive"  # known only once the version has a state


@dataclass(frozen=True, slots=True)
class Fact:
    """One column: its type, whether it may be NULL, the values it is limited to, the unit it is counted in."""

    name: str
    dtype: pl.DataType
    nullable: bool
    values: tuple[str, ...] | None
    unit: str | None
    description: str
    use: Use = Use.EVERYWHERE
    range: tuple[float, float] | None = None
    """Smallest and largest value that makes sense: a predicate that compares with another is refused."""


def _fact(
    name: str,
    dtype: pl.DataType,
    description: str,
    *,
    nullable: bool = False,
    values: tuple[str, ...] | None = None,
    unit: str | None = None,
    use: Use = Use.EVERYWHERE,
    within: tuple[float, float] | None = None,
) -> Fact:
    return Fact(name, dtype, nullable, values, unit, description, use, within)


_TEXT, _INT, _FLOAT, _BOOL = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()

_DECLARED = (
    _fact("version_id", _INT, "key of the version in the ledger", use=Use.NOWHERE),
    _fact("sha256", _TEXT, "SHA-256 of the bytes, hex", use=Use.NOWHERE),
    _fact("key", _TEXT, "key of the asset in its source bucket"),
    _fact("collection", _TEXT, "collection of the policy that the key falls into"),
    _fact("submitter", _TEXT, "roster group that submitted the asset; NULL if not known", nullable=True),
    _fact("version", _INT, "number of the version, 1 first"),
    _fact("kind", _TEXT, "what the content is", values=KINDS),
    _fact("media_type", _TEXT, "media type by content"),
    _fact("type_mismatch", _BOOL, "the content is of another type than its name says"),
    _fact("size", _INT, "size", unit="bytes"),
    _fact("width", _INT, "width", nullable=True, unit="pixels"),
    _fact("height", _INT, "height", nullable=True, unit="pixels"),
    _fact("pages", _INT, "pages of a document", nullable=True),
    _fact("duration", _FLOAT, "playing time", nullable=True, unit="s"),
    _fact("inspection_failed", _BOOL, "the content could not be read"),
    _fact("label", _TEXT, "label the classifier gave; NULL if it abstained", nullable=True),
    _fact("score", _FLOAT, "score of the label, 0 to 1", nullable=True, within=(0.0, 1.0)),
    _fact("margin", _FLOAT, "distance to the second label's score, 0 to 1", nullable=True, within=(0.0, 1.0)),
    _fact("second_label", _TEXT, "label that came second", nullable=True),
    _fact(
        "risk",
        _FLOAT,
        "bound on the error of the label, 0 to 1; NULL without a calibration",
        nullable=True,
        within=(0.0, 1.0),
    ),
    _fact("unsafe_score", _FLOAT, "score of unsafe content, 0 to 1", nullable=True, within=(0.0, 1.0)),
    _fact("language", _TEXT, "language of the text, ISO 639-1", nullable=True),
    _fact("clearance", _TEXT, "worst status of the rights check over the intended uses", values=CLEARANCES),
    _fact("clearance_reasons", pl.List(pl.String()), "codes of the rights findings"),
    _fact("duplicate_of", _TEXT, "key of another asset with the same bytes", nullable=True),
    _fact("duplicate_of_published", _BOOL, "an asset with the same bytes is published"),
    _fact("near_duplicate_of", _TEXT, "key of an asset that looks alike", nullable=True),
    _fact("people_detected", _BOOL, "people can be recognised", nullable=True),
    _fact("state", _TEXT, "where the version stands", values=tuple(State), use=Use.ARCHIVE),
    _fact("age", _FLOAT, "time in this state", unit="days", use=Use.ARCHIVE),
)

FACTS: Mapping[str, Fact] = MappingProxyType({fact.name: fact for fact in _DECLARED})

FACTS_SCHEMA: dict[str, pl.DataType] = {fact.name: fact.dtype for fact in _DECLARED if fact.use is not Use.ARCHIVE}
"""Columns of a frame of facts, as `route_versions` takes it."""

ARCHIVE_FACTS_SCHEMA: dict[str, pl.DataType] = {fact.name: fact.dtype for fact in _DECLARED}
"""The same with `state` and `age`, for archive predicates."""


def check_facts(frame: pl.DataFrame, schema: Mapping[str, pl.DataType] = FACTS_SCHEMA) -> pl.DataFrame:
    """The columns of `schema`, in order, once every value is one that the schema declares.

    Further columns are dropped; an all-NULL column without a type gets the declared one. Raises `FactsInvalid` if a
    column is missing or of another type, if a fact that is never NULL is, or if a value is not among a fact's values.
    """
    missing = [name for name in schema if name not in frame.columns]
    if missing:
        raise FactsInvalid(f"the frame of facts lacks {', '.join(missing)}; it needs every column of FACTS_SCHEMA")
    for name, dtype in schema.items():
        found = frame.schema[name]
        if found not in (dtype, pl.Null()):
            raise FactsInvalid(f"fact {name} has type {found}, declared is {dtype}; cast it where the frame is built")
    facts = frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    for name in schema:
        _check_values(facts, FACTS[name])
    return facts


def _check_values(facts: pl.DataFrame, fact: Fact) -> None:
    column = facts.get_column(fact.name)
    if not fact.nullable and column.null_count():
        raise FactsInvalid(f"fact {fact.name} is NULL in {column.null_count()} rows; it is declared never to be")
    if fact.values is not None:
        strange = column.filter(~column.is_in(list(fact.values))).unique().sort().head(3).to_list()
        if strange:
            raise FactsInvalid(f"fact {fact.name} is {strange[0]!r}; allowed are {', '.join(fact.values)}")
