"""The refresh on a ledger that its own verbs wrote, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from analytics.warehouse import answer_query, content_hash
from ledger.decide import Ballot, decide
from ledger.engine import Ledger
from ledger.gates import GateTerms
from ledger.policy_store import activate_policy, store_policy
from ledger.review import load_review
from ledger.reviews import gates_without_review, open_reviews
from ledger.roster import RosterPerson, import_roster, person_id_of
from ledger.rounds import mark_parked
from ledger.schema import upgrade_ledger
from ledger.screen import Screened, record_screenings
from ledger.submit import Arrival, Custody, submit
from ledger.transaction import Origin
from tasks.refresh_metrics import MetricsRefreshed, refresh_metrics
from tests.postgresql_server import in_memory, running_postgresql

START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def at(hours: float) -> Origin:
    """Somebody acts so many hours after the start."""
    return Origin("system:test", START + timedelta(hours=hours))


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """Address of an empty database on a PostgreSQL server of this module's own."""
    with running_postgresql(in_memory()) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with a policy and a roster, on either database."""
    on_file = request.param == "sqlite"
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}" if on_file else request.getfixturevalue("postgresql"))
    upgrade_ledger(made)
    with made.writing(at(0)) as tx:
        import_roster(tx, [RosterPerson("lea", "Lea", None)], {"brand": ["lea"], "owners": ["lea"]})
        activate_policy(tx, store_policy(tx, "p", "name: p\n", ["routine"]), "operator:test")
    yield made
    made.close()


def test_a_review_from_submission_to_publication(ledger: Ledger, tmp_path: Path) -> None:
    """Refreshed after every step, the warehouse follows; the deadline comes without a version's event."""
    warehouse, url = tmp_path / "analytics.duckdb", ledger.url.render_as_string(hide_password=False)

    def refresh(hours: float) -> MetricsRefreshed:
        return refresh_metrics(url, warehouse, START + timedelta(hours=hours))

    with ledger.writing(at(0)) as tx:
        policy = tx.connection.scalar(sa.text("SELECT sha256 FROM policies"))
        (submission,) = submit(tx, [_arrival()], policy)
    first = refresh(1)
    assert first.rebuilt_because == "there was no warehouse yet"
    with ledger.writing(at(1)) as tx:
        record_screenings(tx, [_screened(submission.version_id, policy)], {})
    assert refresh(1) == MetricsRefreshed(first.watermark_seq + 1, 1, None, ())
    with ledger.writing(at(2)) as tx:
        (review_id,) = open_reviews(tx, [gates_without_review(tx.connection)])
        review = load_review(tx.connection, review_id, 1)
    assert refresh(2).caught_up == ()
    basis = {item.gate_id: item.basis for item in review.items}
    with ledger.writing(at(2)) as tx:
        mark_parked(tx, review_id, 1, "run-1", basis, START + timedelta(hours=50))
    assert refresh(3).caught_up == ("gates",)
    gate = "SELECT stage, opened_at, due_at, outcome FROM gates"
    opened, due = _naive(1), _naive(50)
    assert answer_query(warehouse, gate)[1] == [("brand", opened, due, None)]
    with ledger.writing(at(6)) as tx:
        person = person_id_of(tx.connection, "lea")
        assert person is not None
        decide(tx, review_id, 1, person, person, [Ballot(review.items[0].gate_id, "approve")])
    assert refresh(7).rebuilt_because is None
    assert answer_query(warehouse, gate)[1] == [("brand", opened, due, "passed")]
    assert answer_query(warehouse, "SELECT name, decided, p50_s FROM cycle_time()")[1] == [("brand", 1, 5 * 3600.0)]
    assert answer_query(warehouse, "SELECT name, versions, oldest_age_s FROM wip()")[1] == [("approved", 1, 3600.0)]
    at_once = tmp_path / "once.duckdb"
    refresh_metrics(url, at_once, START)
    assert content_hash(warehouse) == content_hash(at_once)


def _naive(hours: float) -> datetime:
    return (START + timedelta(hours=hours)).replace(tzinfo=None)


def _arrival() -> Arrival:
    custody = Custody("copied", "workspace", "masters/ab", None, "etag")
    return Arrival("intake", "spring/a.jpg", "etag", 10, START, "ab" * 32, "spring", None, custody)


def _screened(version_id: int, policy: str) -> Screened:
    gate = GateTerms("brand", 0, 1, False, "none", "brand", "owners")
    return Screened(
        version_id=version_id,
        round=1,
        policy_sha256=policy,
        kind="image",
        clearance="cleared",
        facts={"size": 10},
        explanation="{}",
        outcome="review",
        gates=(gate,),
        label="portrait",
    )
