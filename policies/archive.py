"""Which archive rule is due for which version: to the archive, or to its end, and never before retention is over.

Precedence: a hold, then the longest retention, then disposal, then archiving; among rules of one action the first of
the policy. A version is named once, with the one thing that is to be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from policies.errors import ArchiveInputInvalid
from policies.lifecycle import TRANSITIONS, Action, State
from policies.quantities import Duration, Unit

_INSTANT: Final = pl.Datetime("us", "UTC")

DUE_SCHEMA: Final[dict[str, pl.DataType]] = {
    "version_id": pl.Int64(),
    "rule": pl.String(),
    "action": pl.String(),
    "reason": pl.String(),
    "due_at": _INSTANT,
    "storage_class": pl.String(),
    "retain_until_at": _INSTANT,
}
"""Columns of what is due. `retain_until_at` is how long an archived version is kept at least: the longest retention
that any matching rule asks, from now on; NULL for a disposal and where no rule asks for one."""

_REQUIRED: Final[dict[str, pl.DataType]] = {"version_id": pl.Int64(), "state": pl.String(), "state_since": _INSTANT}
_OPTIONAL: Final[dict[str, pl.DataType]] = {"held": pl.Boolean(), "retain_until_at": _INSTANT}
_OFFSETS: Final = {Unit.MINUTE: "m", Unit.HOUR: "h", Unit.DAY: "d", Unit.WEEK: "w", Unit.MONTH: "mo", Unit.YEAR: "y"}
_PRECEDENCE: Final = (Action.DISPOSE, Action.ARCHIVE)


@dataclass(frozen=True, slots=True)
class ArchiveRule:
    """One rule of the policy's archive section.

    `when` is the compiled predicate over a version's facts; unknown counts as false, for nothing is destroyed or put
    away on a guess. `event` is the state whose beginning starts the clock, `days` how many calendar days (24 hours
    each) it runs. `action` is `archive` or `dispose`. `storage_class` and `retain`, the least keeping time in calendar
    units, go with archiving.
    """

    name: str
    when: pl.Expr
    event: State
    days: int
    action: Action
    storage_class: str | None = None
    retain: Duration | None = None

    def __post_init__(self) -> None:
        """Refuse an action that no archive rule has, and days that are none."""
        if self.action not in _PRECEDENCE:
            raise ArchiveInputInvalid(f"archive rule {self.name!r} has action {self.action}; allowed: dispose, archive")
        if self.days < 0:
            raise ArchiveInputInvalid(f"archive rule {self.name!r} has negative days; allowed: 0 and more")


def due_for_archive(versions: pl.DataFrame, rules: Sequence[ArchiveRule], now: datetime) -> pl.DataFrame:
    """Decide what is to be done to which version at `now`: a frame of `DUE_SCHEMA`, by `version_id`.

    `versions` has `version_id`, `state`, `state_since` (UTC) and the facts that the rules' predicates ask for; `age`
    (days in this state) is worked out if it is not there. `held` (bool; NULL counts as held) and `retain_until_at` are
    heeded if there.
    A rule applies if its predicate is true, the version is in the rule's state for so many days, and the lifecycle
    allows the action from there. A held version is not disposed of. Disposal waits for the retention the version has
    and for that of every rule that matches it, due or not.

    Raises `ArchiveInputInvalid` if a column is missing or of another type, or `now` is naive.
    """
    known = _checked(versions, now)
    at = pl.lit(now.astimezone(UTC), dtype=_INSTANT)
    matches = [_matches(known, rule, order, at) for order, rule in enumerate(rules)]
    if not matches:
        return pl.DataFrame(schema=DUE_SCHEMA)
    disposal = pl.col("action") == Action.DISPOSE
    due = (
        pl.concat(matches)
        .with_columns(
            retain_until_at=pl.when(~disposal).then(pl.col("kept_from_now_at").max().over("version_id")),
            kept_until_at=pl.max_horizontal("retained_until_at", pl.col("kept_from_event_at").max().over("version_id")),
        )
        .with_columns(due_at=pl.when(disposal).then(pl.max_horizontal("due_at", "kept_until_at")).otherwise("due_at"))
        .filter((pl.col("due_at") <= at) & pl.col("legal") & ~(disposal & pl.col("held")))
        .sort("version_id", "rank", "order")
        .unique("version_id", keep="first", maintain_order=True)
    )
    return due.select(pl.col(name).cast(dtype) for name, dtype in DUE_SCHEMA.items())


def _checked(versions: pl.DataFrame, now: datetime) -> pl.DataFrame:
    if now.tzinfo is None:
        raise ArchiveInputInvalid(f"now is {now.isoformat()} without a time zone; give an aware UTC time")
    for name, dtype in {**_REQUIRED, **_OPTIONAL}.items():
        if name in _REQUIRED and name not in versions.columns:
            raise ArchiveInputInvalid(f"the frame of versions lacks {name}; it needs {', '.join(_REQUIRED)}")
        found = versions.schema.get(name, pl.Null())
        if found not in (dtype, pl.Null()):
            raise ArchiveInputInvalid(f"column {name} has type {found}, declared is {dtype}; cast it where it is built")
    given = versions.with_columns(
        pl.col("held").fill_null(value=True) if "held" in versions.columns else pl.lit(value=False).alias("held"),
        pl.col("retain_until_at").cast(_INSTANT)
        if "retain_until_at" in versions.columns
        else pl.lit(None, dtype=_INSTANT).alias("retain_until_at"),
    )
    if "age" in given.columns:
        return given
    spent = pl.lit(now.astimezone(UTC), dtype=_INSTANT) - pl.col("state_since")
    return given.with_columns(age=spent.dt.total_microseconds() / 86_400e6)


def _matches(versions: pl.DataFrame, rule: ArchiveRule, order: int, at: pl.Expr) -> pl.DataFrame:
    """The versions that `rule` speaks of, with when it is due and until when it keeps them."""
    sources = [t.from_state for t in TRANSITIONS if t.action is rule.action]
    since = pl.col("state_since")
    days = f"{rule.days} days"
    return versions.filter(rule.when.fill_null(value=False) & (pl.col("state") == rule.event)).select(
        "version_id",
        "held",
        retained_until_at="retain_until_at",
        rule=pl.lit(rule.name),
        action=pl.lit(str(rule.action)),
        reason=pl.format(
            f"In state {{}} since {{}}; the {days} of rule “{{}}” are over",
            "state",
            since.dt.strftime("%-d %B %Y"),
            pl.lit(rule.name),
        ),
        due_at=since + pl.duration(days=rule.days),
        storage_class=pl.lit(rule.storage_class, dtype=pl.String),
        kept_from_event_at=_later(since, rule.retain),
        kept_from_now_at=_later(at, rule.retain),
        legal=pl.col("state").is_in(sources),
        rank=pl.lit(_PRECEDENCE.index(rule.action)),
        order=pl.lit(order),
    )


def _later(since: pl.Expr, by: Duration | None) -> pl.Expr:
    return pl.lit(None, dtype=_INSTANT) if by is None else since.dt.offset_by(f"{by.amount}{_OFFSETS[by.unit]}")
