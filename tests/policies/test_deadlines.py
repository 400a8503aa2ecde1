"""Ladders: each rung at its instant in working time, in order, with its whole interval however late the one before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.calendars import Calendar, due_at, working_s
from policies.deadlines import FiredRung, Rung, RungKind, due_by, fire, ladder_of, next_rung
from policies.document import Deadline

BERLIN = Calendar(timezone="Europe/Berlin", days="mon-fri", hours="09:00-17:00", holidays="DE")
DAY = timedelta(hours=8)
LADDER = Deadline.model_validate(
    {
        "within": "2 days",
        "remind": ["50%", "90%"],
        "escalate": [{"to": "leads", "within": "1 day"}, {"to": "board", "within": "4 hours"}],
        "finally": "reject",
    }
)
RUNGS = ladder_of(LADDER, BERLIN)


def local(text: str) -> datetime:
    """An instant on the wall clocks of Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"))


def climb(start: datetime, late: dict[int, datetime] | None = None) -> list[FiredRung]:
    """Every rung, fired at its instant or, where `late` names one, then."""
    fired: list[FiredRung] = []
    while planned := next_rung(RUNGS, BERLIN, start, fired):
        fired.append(fire(planned, (late or {}).get(planned.rung.number, planned.at)))
    return fired


def test_the_rungs_of_a_deadline() -> None:
    """Reminders at their shares, escalations one after the other from the end of the first time, then the outcome."""
    expected = (
        Rung(0, RungKind.REMIND, DAY),
        Rung(1, RungKind.REMIND, 1.8 * DAY),
        Rung(2, RungKind.ESCALATE, 2 * DAY, to="leads"),
        Rung(3, RungKind.ESCALATE, 3 * DAY, to="board"),
        Rung(4, RungKind.FINALLY, 3.5 * DAY, outcome="reject"),
    )
    assert expected == RUNGS
    assert ladder_of(Deadline.model_validate({"within": "1 hour", "finally": "request_changes"}), BERLIN) == (
        Rung(0, RungKind.FINALLY, timedelta(hours=1), outcome="request_changes"),
    )


def test_a_week_without_an_outage() -> None:
    """From Thursday noon over a weekend: what people would reckon on their fingers."""
    start = local("2026-11-19T12:00")
    assert [one.planned_at for one in climb(start)] == [
        local("2026-11-20T12:00"),
        local("2026-11-23T10:24"),
        local("2026-11-23T12:00"),
        local("2026-11-24T12:00"),
        local("2026-11-24T16:00"),
    ]
    assert due_by(RUNGS, BERLIN, start, []) == due_at(BERLIN, start, LADDER.within)


def test_both_clock_changes() -> None:
    """An hour that the night takes or gives is nobody's working time."""
    for start, due in (("2026-03-27T12:00", "2026-03-31T12:00"), ("2026-10-23T12:00", "2026-10-27T12:00")):
        assert due_by(RUNGS, BERLIN, local(start), []) == local(due)


def test_a_sweep_of_every_five_minutes_moves_nothing() -> None:
    """Rungs that fire a few minutes after their instant leave the others, and what reviewers were told, as they are."""
    start = local("2026-11-16T10:00")
    late = {one.number: one.planned_at + timedelta(minutes=4) for one in climb(start)}
    assert [one.planned_at for one in climb(start, late)] == [one.planned_at for one in climb(start)]


def test_after_an_outage_of_weeks_each_rung_has_its_whole_interval() -> None:
    """The first reminder comes three weeks late: then 0.8 of a working day to the second, and so on."""
    start = local("2026-11-02T10:00")
    fired = climb(start, {0: local("2026-11-23T10:00")})
    assert [one.fired_at for one in fired] == [
        local("2026-11-23T10:00"),
        local("2026-11-23T16:24"),
        local("2026-11-24T10:00"),
        local("2026-11-25T10:00"),
        local("2026-11-25T14:00"),
    ]
    assert due_by(RUNGS, BERLIN, start, fired[:1]) == local("2026-11-24T10:00")
    assert due_by(RUNGS, BERLIN, start, fired[:3]) == local("2026-11-25T10:00")
    assert due_by(RUNGS, BERLIN, start, fired) is None


def test_a_night_without_sweeps_is_no_outage() -> None:
    """What was due at closing time and fires in the morning had no working time in between."""
    start = local("2026-11-16T09:00")  # the second day ends with the deadline
    fired = climb(start, {2: local("2026-11-18T09:02")})
    assert fired[2].planned_at == local("2026-11-17T17:00")
    assert fired[3].planned_at == local("2026-11-18T17:00")


@settings(max_examples=60, deadline=None)
@given(
    start_s=st.integers(0, 2 * 365 * 86_400),
    lags_s=st.lists(st.integers(0, 40 * 86_400), min_size=5, max_size=5),
)
def test_no_rung_comes_early(start_s: int, lags_s: list[int]) -> None:
    """Whatever the outages: in order, never before its instant, and with its interval but for a few sweeps' time."""
    begun = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=start_s)
    fired: list[FiredRung] = []
    for lag_s in lags_s:
        planned = next_rung(RUNGS, BERLIN, begun, fired)
        assert planned is not None
        before_at = fired[-1].fired_at if fired else begun
        before = RUNGS[planned.rung.number - 1].after if fired else timedelta()
        interval_s = (planned.rung.after - before).total_seconds()
        assert working_s(BERLIN, before_at, planned.at) >= 0.9 * interval_s - 1
        fired.append(fire(planned, max(planned.at, before_at) + timedelta(seconds=lag_s)))
    assert next_rung(RUNGS, BERLIN, begun, fired) is None


def test_more_rungs_than_the_ladder_has_do_not_take_its_end() -> None:
    """Five reminders that nobody planned: the outcome comes all the same, at its instant, and then nothing."""
    start = local("2026-11-16T09:00")
    burnt = [FiredRung(number, RungKind.REMIND, start, start) for number in range(5)]
    planned = next_rung(RUNGS, BERLIN, start, burnt)
    assert planned is not None
    assert (planned.rung.number, planned.rung.kind, planned.at) == (5, RungKind.FINALLY, climb(start)[-1].planned_at)
    assert due_by(RUNGS, BERLIN, start, burnt) == planned.at
    assert next_rung(RUNGS, BERLIN, start, [*burnt, fire(planned, planned.at)]) is None
