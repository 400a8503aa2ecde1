"""What the macros answer, on a history whose answers were worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from analytics.errors import QueryRefused
from analytics.headlines import Headline, format_length, read_as_of, read_headlines
from analytics.macros import MACROS
from analytics.warehouse import answer_query
from tasks.refresh_metrics import refresh_metrics
from tests.analytics.scripted_ledger import ScriptedLedger, hour

H = 3600.0


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Five versions after 48 h: published, withdrawn and in review again; reopened; rejected; open; superseded."""
    folder = tmp_path_factory.mktemp("macros")
    ledger = ScriptedLedger.at(folder)
    for version_id, collection in ((1, "spring"), (2, "spring"), (3, "autumn"), (4, "autumn"), (5, "autumn")):
        ledger.born(version_id, collection=collection)
    for version_id, label in ((1, "portrait"), (2, "portrait"), (3, "portrait"), (4, None)):
        ledger.screening(version_id, label)
    ledger.walk(1, (0, "submit", "submitted"), (1, "open_gates", "in_review"))
    ledger.walk(1, (5, "approve", "approved"), (6, "publish", "published"), (30, "withdraw", "withdrawn"))
    ledger.walk(1, (40, "review_again", "in_review"), round_number=2)
    ledger.walk(2, (0, "submit", "submitted"), (2, "open_gates", "in_review"), (4, "reject", "rejected"))
    ledger.walk(2, (10, "reopen", "submitted"), (11, "open_gates", "in_review"), round_number=2)
    ledger.walk(2, (15, "approve", "approved"), (16, "publish", "published"), round_number=2)
    ledger.walk(3, (1, "submit", "submitted"), (2, "open_gates", "in_review"), (9, "reject", "rejected"))
    ledger.walk(4, (2, "submit", "submitted"), (3, "open_gates", "in_review"))
    ledger.walk(5, (3, "submit", "submitted"), (4, "quarantine", "quarantined"), (13, "supersede", "superseded"))
    ledger.gate(1, 1, "brand", opened_at=1, due_at=6, closed_at=5, outcome="passed")
    ledger.gate(2, 1, "legal", round=2, opened_at=40, due_at=60)
    ledger.gate(3, 2, "brand", opened_at=2, due_at=3, closed_at=4, outcome="rejected")
    ledger.gate(4, 2, "legal", step=1, closed_at=4, outcome="voided")
    ledger.gate(5, 2, "brand", round=2, opened_at=11, closed_at=15, outcome="passed")
    ledger.gate(6, 3, "brand", opened_at=2, closed_at=9, outcome="rejected")
    ledger.gate(7, 4, "brand", opened_at=3, due_at=10)
    ledger.gate(8, 4, "legal", opened_at=3, due_at=10, closed_at=20, outcome="voided")
    path = folder / "analytics.duckdb"
    refresh_metrics(ledger.url, path, hour(48))
    yield path
    ledger.close()


def ask(path: Path, query: str) -> list[dict[str, Any]]:
    """The rows of an answer by column name."""
    columns, rows = answer_query(path, query)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def quantiles(p50: float | None, p85: float | None, p95: float | None, p99: float | None) -> dict[str, float | None]:
    """The columns that every duration macro ends with."""
    return {"p50_s": p50, "p85_s": p85, "p95_s": p95, "p99_s": p99}


def outcomes(name: str, published: int, rejected: int, superseded: int, open_: int) -> dict[str, Any]:
    """The counts of lead_time."""
    total = published + rejected + superseded + open_
    counts = {"published": published, "rejected": rejected, "superseded": superseded, "other_ends": 0, "open": open_}
    return {"name": name, "versions": total, **counts}


def test_lead_time_counts_the_open_version(warehouse: Path) -> None:
    """Ends after 6, 8, 10 and 16 h, one open at 46 h: the median is 10 h, where ended ones alone would say 8."""
    assert ask(warehouse, "FROM lead_time()") == [outcomes("all", 2, 1, 1, 1) | quantiles(10 * H, None, None, None)]


def test_lead_time_by_collection(warehouse: Path) -> None:
    """Spring ended after 6 and 16 h; autumn after 8 and 10 h with one open."""
    assert ask(warehouse, "FROM lead_time(per := 'collection')") == [
        outcomes("autumn", 0, 1, 1, 1) | quantiles(10 * H, None, None, None),
        outcomes("spring", 2, 0, 0, 0) | quantiles(6 * H, 16 * H, 16 * H, 16 * H),
    ]


def test_lead_time_by_label_keeps_unlabelled_versions(warehouse: Path) -> None:
    """Versions without a label, screened or not, stand under (none)."""
    assert ask(warehouse, "FROM lead_time(per := 'label')") == [
        outcomes("(none)", 0, 0, 1, 1) | quantiles(10 * H, None, None, None),
        outcomes("portrait", 2, 1, 0, 0) | quantiles(8 * H, 16 * H, 16 * H, 16 * H),
    ]


def test_lead_time_of_a_cohort(warehouse: Path) -> None:
    """`since` and `until` pick by submission, half-open: only the version of hour 1."""
    query = "FROM lead_time(since := '2026-03-02 01:00', until := '2026-03-02 02:00')"
    assert ask(warehouse, query) == [outcomes("all", 0, 1, 0, 0) | quantiles(8 * H, 8 * H, 8 * H, 8 * H)]


def test_publication_time_is_to_the_first_publication(warehouse: Path) -> None:
    """Published after 6 and 16 h; a withdrawal and a new review change nothing of that."""
    expected = {"name": "all", "published": 2} | quantiles(6 * H, 16 * H, 16 * H, 16 * H)
    assert ask(warehouse, "FROM publication_time()") == [expected]


def test_cycle_time_by_stage(warehouse: Path) -> None:
    """Brand: 2, 4, 4, 7 h and one open at 45; legal: one open, one voided; the unopened does not count."""
    assert ask(warehouse, "FROM cycle_time()") == [
        {"name": "brand", "gates": 5, "decided": 4, "voided": 0, "open": 1} | quantiles(4 * H, None, None, None),
        {"name": "legal", "gates": 2, "decided": 0, "voided": 1, "open": 1} | quantiles(None, None, None, None),
    ]


def test_state_time_counts_every_entry(warehouse: Path) -> None:
    """Submitted: five times 1 h and once 2 h; in review: 2, 4, 4, 7 h and open at 8 and 45."""
    rows = {row["name"]: row for row in ask(warehouse, "FROM state_time()")}
    assert rows["submitted"] == {"name": "submitted", "stays": 6, "closed": 6, "open": 0} | quantiles(
        1 * H, 2 * H, 2 * H, 2 * H
    )
    assert rows["in_review"] == {"name": "in_review", "stays": 6, "closed": 4, "open": 2} | quantiles(
        4 * H, None, None, None
    )
    assert {name: row["stays"] for name, row in rows.items()} == {
        "approved": 2,
        "in_review": 6,
        "published": 2,
        "quarantined": 1,
        "rejected": 2,
        "submitted": 6,
        "superseded": 1,
        "withdrawn": 1,
    }


def test_deadlines(warehouse: Path) -> None:
    """One on time, one late, one overdue; in legal one still in time and one voided."""
    empty = {"on_time": 0, "late": 0, "open_in_time": 0, "overdue": 0, "voided": 0}
    assert ask(warehouse, "FROM deadlines()") == [
        {"name": "brand", "gates": 3} | empty | {"on_time": 1, "late": 1, "overdue": 1},
        {"name": "legal", "gates": 2} | empty | {"open_in_time": 1, "voided": 1},
    ]


def test_wip(warehouse: Path) -> None:
    """Two in review, for 8 and 45 h; what is published, withdrawn or ended is not in process."""
    expected = {"name": "in_review", "versions": 2, "median_age_s": 8 * H, "oldest_age_s": 45 * H}
    assert ask(warehouse, "FROM wip()") == [expected]


def test_ageing(warehouse: Path) -> None:
    """The oldest first, with its open gates and the nearest deadline; too little has ended to know the 85 percent."""
    unknown = {"state": "in_review", "state_p85_s": None, "beyond_p85": None}
    assert ask(warehouse, "FROM ageing") == [
        {"version_id": 4, "key": "spring/4.jpg", "collection": "autumn", "label": None, "stages": ["brand"]}
        | {"due_at": naive(10), "age_s": 45 * H, "since_submitted_s": 46 * H}
        | unknown,
        {"version_id": 1, "key": "spring/1.jpg", "collection": "spring", "label": "portrait", "stages": ["legal"]}
        | {"due_at": naive(60), "age_s": 8 * H, "since_submitted_s": 48 * H}
        | unknown,
    ]


def test_throughput_adds_up_to_wip(warehouse: Path) -> None:
    """Day by day what came, came back and left; days without movement stand there too."""
    quiet = {"arrived": 0, "returned": 0, "published": 0, "rejected": 0, "superseded": 0, "departed": 0}
    assert ask(warehouse, "FROM throughput()") == [
        {"starts_at": naive(0), "name": "all", "arrived": 5, "returned": 1, "published": 2, "rejected": 2}
        | {"superseded": 1, "departed": 5, "wip": 1},
        {"starts_at": naive(24), "name": "all", **quiet, "returned": 1, "wip": 2},
        {"starts_at": naive(48), "name": "all", **quiet, "wip": 2},
    ]


@pytest.mark.parametrize("every", ["week", "month"])
def test_throughput_of_longer_periods(warehouse: Path, every: str) -> None:
    """The whole history lies in one week and one month."""
    rows = ask(warehouse, f"SELECT arrived, returned, departed, wip FROM throughput(every := '{every}')")
    assert rows == [{"arrived": 5, "returned": 2, "departed": 5, "wip": 2}]


def naive(hours: float) -> datetime:
    """An instant as the warehouse stores it: UTC without a zone."""
    return hour(hours).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("FROM lead_time(per := 'colour')", "lead_time: per is colour; allowed are all, label, collection"),
        ("FROM throughput(every := 'hour')", "every is hour; allowed are day, week, month"),
        ("DELETE FROM events", "read-only"),
        ("FROM read_csv('/etc/passwd')", "disabled"),
        ("FROM nowhere", "signoff metrics macros"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(warehouse: Path, query: str, said: str) -> None:
    """The message names what is allowed; nothing can be written and no other file read."""
    with pytest.raises(QueryRefused, match=said):
        answer_query(warehouse, query)


@pytest.mark.parametrize("macro", MACROS, ids=lambda macro: macro.name)
def test_every_macro_can_be_asked_without_arguments(warehouse: Path, macro: Any) -> None:
    """Each has a default for every parameter and one sentence that ends."""
    called = macro.name if macro.parameters is None else f"{macro.name}()"
    assert answer_query(warehouse, f"FROM {called}")[0] != []
    assert macro.sentence.endswith(".")


def test_versions_carry_their_outcome(warehouse: Path) -> None:
    """The first publication decides; otherwise the end of the last state in process; open ones have none."""
    columns = "version_id, state, submitted_at, published_at, ended_at, outcome, lead_us"
    assert answer_query(warehouse, f"SELECT {columns} FROM versions ORDER BY 1")[1] == [
        (1, "in_review", naive(0), naive(6), naive(6), "published", 6 * 3600 * 10**6),
        (2, "published", naive(0), naive(16), naive(16), "published", 16 * 3600 * 10**6),
        (3, "rejected", naive(1), None, naive(9), "rejected", 8 * 3600 * 10**6),
        (4, "in_review", naive(2), None, None, None, None),
        (5, "superseded", naive(3), None, naive(13), "superseded", 10 * 3600 * 10**6),
    ]


def test_headlines_say_the_same(warehouse: Path) -> None:
    """The table for Prefect repeats the macros, states that nothing ever left are left out."""
    headlines = read_headlines(warehouse)
    assert headlines[0] == Headline("lead time: submission to outcome", 5, 1, 10 * H, None, None)
    assert headlines[2] == Headline("cycle time: gate brand", 5, 1, 4 * H, None, None)
    assert [one.what for one in headlines[4:]] == [
        f"time in state {state}"
        for state in ("approved", "in_review", "published", "quarantined", "rejected", "submitted", "withdrawn")
    ]
    assert read_as_of(warehouse) == "2026-03-04T00:00:00Z"
    assert format_length(headlines[2].p50_s) == "4.0 h"
