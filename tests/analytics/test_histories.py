"""Random histories: bit by bit gives what all at once gives, and both what plain Python works out from the events."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.warehouse import answer_query, content_hash
from policies.lifecycle import TRANSITIONS
from tasks.refresh_metrics import refresh_metrics
from tests.analytics.scripted_ledger import START, ScriptedLedger

WORK = {"submitted", "quarantined", "in_review", "changes_requested", "approved"}
ENDS = ("passed", "rejected", "changes_requested", "voided")
NEXT = {
    state: sorted({(str(t.action), str(t.to_state)) for t in TRANSITIONS if t.from_state == state})
    for state in {t.from_state for t in TRANSITIONS}
}

number = st.integers(0, 1_000)
minutes = st.integers(-3, 500)  # a clock that is set back now and then
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("birth"), number, minutes),
        st.tuples(st.just("move"), number, number, minutes),
        st.tuples(st.just("move"), number, number, minutes),
        st.tuples(st.just("tell"), number, minutes),
        st.tuples(st.just("gate"), number, number, minutes),
        st.tuples(st.just("close gate"), number, number, minutes),
        st.tuples(st.just("due without an event"), number, minutes),
        st.tuples(st.just("screen again without an event"), number, number),
        st.tuples(st.just("refresh")),
    ),
    max_size=40,
)


@dataclass
class History:
    """A random history told to a ledger, with what a test needs to know of it."""

    ledger: ScriptedLedger
    now: datetime = START
    versions: int = 0
    gates: int = 0

    def tell(self, step: tuple[Any, ...]) -> None:
        """Write one step; steps that make no sense yet are left out."""
        kind, *args = step
        if kind == "birth":
            self._birth(*args)
        elif self.versions:
            {
                "move": self._move,
                "tell": self._tell,
                "gate": self._gate,
                "close gate": self._close,
                "due without an event": self._due,
                "screen again without an event": self._screen,
            }[kind](*args)

    def _pass(self, minutes: int) -> datetime:
        self.now += timedelta(minutes=minutes, microseconds=minutes)
        return self.now

    def _version(self, pick: int) -> int:
        return pick % self.versions + 1

    def _birth(self, pick: int, minutes: int) -> None:
        self.versions += 1
        self.ledger.born(self.versions, collection=("spring", "autumn")[pick % 2])
        self.ledger.event(self._pass(minutes), "submit", self.versions, "submitted")

    def _move(self, pick: int, way: int, minutes: int) -> None:
        version_id = self._version(pick)
        ways = NEXT.get(self.ledger.states[version_id])
        if ways:
            action, to_state = ways[way % len(ways)]
            self.ledger.event(self._pass(minutes), action, version_id, to_state)

    def _tell(self, pick: int, minutes: int) -> None:
        self.ledger.event(self._pass(minutes), "notice", self._version(pick) if pick % 3 else None)

    def _gate(self, pick: int, stage: int, minutes: int) -> None:
        self.gates += 1
        self._pass(minutes)
        row = {"version_id": self._version(pick), "round": self.gates, "stage": ("brand", "legal")[stage % 2]}
        opened_at = None if stage % 5 == 0 else self.now
        self.ledger.add("gates", gate_id=self.gates, **row, **_TERMS, opened_at=opened_at)
        self.ledger.event(self.now, "open", row["version_id"])

    def _close(self, pick: int, end: int, minutes: int) -> None:
        if self.gates:
            self._pass(minutes)
            key = {"gate_id": pick % self.gates + 1}
            self.ledger.change("gates", key, outcome=ENDS[end % 4], closed_at=self.now)

    def _due(self, pick: int, minutes: int) -> None:
        if self.gates:
            key = {"gate_id": pick % self.gates + 1}
            self.ledger.change("gates", key, due_at=self.now + timedelta(minutes=minutes))

    def _screen(self, pick: int, label: int) -> None:
        version_id = self._version(pick)
        round_number = sum(1 for one in self._screened if one == version_id) + 1
        self._screened.append(version_id)
        self.ledger.screening(version_id, ("portrait", "other", None)[label % 3], round_number=round_number)

    def __post_init__(self) -> None:
        """Nothing has been screened."""
        self._screened: list[int] = []


_TERMS = {"step": 0, "quorum": 1, "four_eyes": True, "signature": "none"}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(STEPS)
def test_bit_by_bit_equals_all_at_once_and_plain_python(steps: list[tuple[Any, ...]]) -> None:
    """Whatever happened and whenever it was refreshed, the warehouse holds what the ledger says."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ledger = ScriptedLedger.at(folder)
        history = History(ledger)
        bit_by_bit, at_once = folder / "bits.duckdb", folder / "once.duckdb"
        for step in [*steps, ("refresh",)]:
            if step[0] == "refresh":
                refresh_metrics(ledger.url, bit_by_bit, history.now)
            else:
                history.tell(step)
        refresh_metrics(ledger.url, at_once, history.now)
        assert content_hash(bit_by_bit) == content_hash(at_once)
        check_against_plain_python(bit_by_bit, ledger, history.now)
        ledger.close()


def check_against_plain_python(path: Path, ledger: ScriptedLedger, now: datetime) -> None:
    """Work everything out again from the events, without a line of SQL, and compare."""
    visits: dict[int, list[tuple[str, datetime]]] = defaultdict(list)
    for event in ledger.events:
        if event["to_state"] is not None:
            visits[event["version_id"]].append((event["to_state"], event["at"]))
    closed = sorted(
        (version_id, state, micros(since, until))
        for version_id, path_taken in visits.items()
        for (state, since), (_, until) in pairwise(path_taken)
    )
    stored = answer_query(path, "SELECT version_id, state::VARCHAR, length_us FROM stays ORDER BY ALL")[1]
    assert stored == closed
    present = sorted((version_id, taken[-1][0]) for version_id, taken in visits.items())
    assert answer_query(path, "SELECT version_id, state FROM open_stays ORDER BY 1")[1] == present
    check_lead_time(path, visits, now)
    in_process = sum(1 for _, state in present if state in WORK)
    balance = answer_query(path, "SELECT coalesce(sum(arrived + returned - departed), 0)::BIGINT FROM throughput()")[1]
    assert balance == [(in_process,)]
    assert answer_query(path, "SELECT coalesce(sum(versions), 0)::BIGINT FROM wip()")[1] == [(in_process,)]


def check_lead_time(path: Path, visits: dict[int, list[tuple[str, datetime]]], now: datetime) -> None:
    """Outcomes and Kaplan–Meier quantiles, with fractions instead of floating point."""
    lengths: list[tuple[int, bool]] = []
    outcomes: Counter[str] = Counter()
    for taken in visits.values():
        outcome, ended_at = outcome_of(taken)
        outcomes[outcome] += 1
        lengths.append((micros(taken[0][1], ended_at or now), ended_at is not None))
    columns = "versions, published, rejected, superseded, open, p50_s, p85_s, p95_s, p99_s"
    expected = [
        (
            len(lengths),
            *(outcomes[one] for one in ("published", "rejected", "superseded", "open")),
            *(kaplan_meier(lengths, Fraction(percent, 100)) for percent in (50, 85, 95, 99)),
        )
    ]
    assert answer_query(path, f"SELECT {columns} FROM lead_time()")[1] == (expected if lengths else [])


def outcome_of(taken: list[tuple[str, datetime]]) -> tuple[str, datetime | None]:
    """What became of a version, and when: its first publication, or where its last state in process led."""
    for state, at in taken:
        if state == "published":
            return state, at
    after_work = None
    for state, at in taken:
        if state in WORK:
            after_work = None
        elif after_work is None:
            after_work = (state, at)
    return after_work or ("open", None)


def kaplan_meier(lengths: list[tuple[int, bool]], share: Fraction) -> float | None:
    """The shortest length at which no more than 1 - share are still running, in seconds."""
    running = Fraction(1)
    for length in sorted({length for length, _ in lengths}):
        at_risk = sum(1 for other, _ in lengths if other >= length)
        ends = sum(1 for other, ended in lengths if other == length and ended)
        running *= 1 - Fraction(ends, at_risk)
        if running <= 1 - share:
            return length / 1e6
    return None


def micros(since: datetime, until: datetime) -> int:
    """Microseconds in between, never below 0."""
    return max(0, (until - since) // timedelta(microseconds=1))
