"""Archive rules: what is due, in which order of precedence, and what keeps a version from disposal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from policies.archive import DUE_SCHEMA, ArchiveRule, due_for_archive
from policies.errors import ArchiveInputInvalid
from policies.lifecycle import Action, State, allowed
from policies.quantities import Duration, Unit

NOW = datetime(2026, 11, 1, tzinfo=UTC)
YEARS_7 = Duration(7, Unit.YEAR)
REJECTS = ArchiveRule("old rejects", pl.col("state") == "rejected", State.REJECTED, 30, Action.DISPOSE)
COLD = ArchiveRule(
    "cold masters", pl.col("state") == "withdrawn", State.WITHDRAWN, 90, Action.ARCHIVE, "GLACIER", YEARS_7
)
GONE = ArchiveRule("withdrawn", pl.lit(value=True), State.WITHDRAWN, 10, Action.DISPOSE)


def versions(*rows: dict[str, object]) -> pl.DataFrame:
    """A frame of versions with the types that the function declares."""
    schema = {"version_id": pl.Int64, "state": pl.String, "state_since": pl.Datetime("us", "UTC"), "kind": pl.String}
    optional = {"held": pl.Boolean, "retain_until_at": pl.Datetime("us", "UTC"), "age": pl.Float64}
    given = {name for row in rows for name in row}
    return pl.DataFrame(list(rows), schema={**schema, **{n: t for n, t in optional.items() if n in given}})


def version(number: int, state: str, days: float, **facts: object) -> dict[str, object]:
    """A version that has been in `state` for `days`."""
    return {"version_id": number, "state": state, "state_since": NOW - timedelta(days=days), "kind": "image", **facts}


def due(rows: list[dict[str, object]], *rules: ArchiveRule) -> list[tuple[object, ...]]:
    """Version, rule and action of what is due."""
    frame = due_for_archive(versions(*rows), rules, NOW)
    return [(row["version_id"], row["rule"], row["action"]) for row in frame.to_dicts()]


def test_due_rows_say_what_why_when_and_where() -> None:
    """A due version is told whole: rule, action, reason in words, when it became due, class and retention."""
    found = due_for_archive(versions(version(1, "rejected", 30), version(2, "withdrawn", 100)), [REJECTS, COLD], NOW)
    assert found.schema == DUE_SCHEMA
    assert found.to_dicts() == [
        {
            "version_id": 1,
            "rule": "old rejects",
            "action": "dispose",
            "reason": "In state rejected since 2 October 2026; the 30 days of rule “old rejects” are over",
            "due_at": NOW,
            "storage_class": None,
            "retain_until_at": None,
        },
        {
            "version_id": 2,
            "rule": "cold masters",
            "action": "archive",
            "reason": "In state withdrawn since 24 July 2026; the 90 days of rule “cold masters” are over",
            "due_at": NOW - timedelta(days=10),
            "storage_class": "GLACIER",
            "retain_until_at": datetime(2033, 11, 1, tzinfo=UTC),
        },
    ]


def test_due_at_the_very_instant_and_not_before() -> None:
    """A rule is due from the microsecond at which its days are over."""
    early = version(1, "rejected", 30) | {"state_since": NOW - timedelta(days=30) + timedelta(microseconds=1)}
    assert due([early, version(2, "rejected", 30)], REJECTS) == [(2, "old rejects", "dispose")]


def test_only_the_state_of_the_event_starts_the_clock() -> None:
    """A rule counts from the state it names, so it says nothing of versions that stand elsewhere."""
    anywhere = ArchiveRule("any", pl.lit(value=True), State.REJECTED, 0, Action.DISPOSE)
    states = [version(number, state, 1) for number, state in enumerate(State)]
    assert due(states, anywhere) == [(list(State).index(State.REJECTED), "any", "dispose")]


@pytest.mark.parametrize("action", [Action.ARCHIVE, Action.DISPOSE])
@pytest.mark.parametrize("state", list(State))
def test_lifecycle_has_the_last_word(state: State, action: Action) -> None:
    """A rule never names an action that the lifecycle forbids from that state."""
    rule = ArchiveRule("rule", pl.lit(value=True), state, 0, action)
    expected = [(1, "rule", str(action))] if allowed(state, action) else []
    assert due([version(1, state, 1)], rule) == expected


def test_unknown_predicate_does_not_fire() -> None:
    """A predicate that is neither true nor false destroys nothing."""
    rule = ArchiveRule("images", pl.col("kind") == "image", State.REJECTED, 0, Action.DISPOSE)
    assert due([version(1, "rejected", 5, kind=None), version(2, "rejected", 5)], rule) == [(2, "images", "dispose")]


def test_disposal_beats_archiving_and_the_first_rule_its_like() -> None:
    """Of several due rules one is named: disposal first, then the order of the policy."""
    archive = ArchiveRule("away", pl.lit(value=True), State.WITHDRAWN, 1, Action.ARCHIVE)
    again = ArchiveRule("again", pl.lit(value=True), State.WITHDRAWN, 1, Action.DISPOSE)
    assert due([version(1, "withdrawn", 20)], archive, GONE, again) == [(1, "withdrawn", "dispose")]


def test_hold_stops_disposal_and_lets_the_archive_keep_it() -> None:
    """A held version, or one of which nobody knows, is not disposed of; a copy in the archive keeps it."""
    archive = ArchiveRule("away", pl.lit(value=True), State.WITHDRAWN, 1, Action.ARCHIVE)
    rows = [version(number, "withdrawn", 20, held=held) for number, held in enumerate([True, None, False])]
    assert due(rows, archive, GONE) == [(0, "away", "archive"), (1, "away", "archive"), (2, "withdrawn", "dispose")]
    assert due(rows, GONE) == [(2, "withdrawn", "dispose")]


def test_disposal_waits_for_the_longest_retention() -> None:
    """Retention of the version and of every matching rule, due or not, comes before disposal."""
    later, over = NOW + timedelta(days=1), NOW - timedelta(days=1)
    rows = [version(1, "withdrawn", 20, retain_until_at=later), version(2, "withdrawn", 20, retain_until_at=over)]
    frame = due_for_archive(versions(*rows), [GONE], NOW)
    assert frame.select("version_id", "due_at").rows() == [(2, over)]
    assert due(rows, GONE, COLD) == []
    assert due([version(3, "withdrawn", 8 * 366)], GONE, COLD) == [(3, "withdrawn", "dispose")]


def test_age_is_worked_out() -> None:
    """A predicate may ask for days in this state without anybody having counted them."""
    rule = ArchiveRule("old", pl.col("age") > 20.5, State.REJECTED, 0, Action.DISPOSE)
    assert due([version(1, "rejected", 20.4), version(2, "rejected", 20.6)], rule) == [(2, "old", "dispose")]
    assert due([version(1, "rejected", 1, age=99.0)], rule) == [(1, "old", "dispose")]


def test_nothing_to_do_is_an_empty_frame() -> None:
    """No rules or no versions give the declared columns and no rows."""
    assert due_for_archive(versions(version(1, "rejected", 99)), [], NOW).equals(pl.DataFrame(schema=DUE_SCHEMA))
    assert due_for_archive(versions().clear(), [REJECTS], NOW).equals(pl.DataFrame(schema=DUE_SCHEMA))


def test_wrong_input_is_refused() -> None:
    """A naive clock, a missing column, a wrong type and an impossible rule are told apart from a decision."""
    frame = versions(version(1, "rejected", 99))
    with pytest.raises(ArchiveInputInvalid, match="without a time zone"):
        due_for_archive(frame, [REJECTS], datetime(2026, 11, 1))  # noqa: DTZ001 (the point of the test)
    with pytest.raises(ArchiveInputInvalid, match="lacks state_since"):
        due_for_archive(frame.drop("state_since"), [REJECTS], NOW)
    with pytest.raises(ArchiveInputInvalid, match="column version_id has type String, declared is Int64"):
        due_for_archive(frame.cast({"version_id": pl.String}), [REJECTS], NOW)
    with pytest.raises(ArchiveInputInvalid, match="has action publish; allowed: dispose, archive"):
        ArchiveRule("bad", pl.lit(value=True), State.APPROVED, 1, Action.PUBLISH)
    with pytest.raises(ArchiveInputInvalid, match="negative days"):
        ArchiveRule("bad", pl.lit(value=True), State.REJECTED, -1, Action.DISPOSE)
