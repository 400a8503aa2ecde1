"""Rule 1 for seals: one after the other, each of an event that is there, never changed nor taken out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ledger.raw_sql import RawSql
from tests.ledger.state_museum import StateMuseum, museum

__all__ = ["museum"]

MUST_FOLLOW = "signoff: rule 1: a seal follows the one before and seals an event that is there"
APPEND_ONLY = "signoff: rule 1: seals are append-only"


def put_seal(raw: RawSql, seal_id: int, seq: int, *, how: str = "INSERT", **columns: Any) -> None:
    """Record a seal of an event, with the event's own hash unless `columns` say otherwise."""
    known = raw.execute("SELECT hash FROM events WHERE seq = ?", seq)
    row = {
        "seal_id": seal_id, "seq": seq, "hash": known[0][0] if known else "ff" * 32, "sealed_at": 1,
        "public_key": "k", "body": "{}", "signature": "s", "bucket": "archive", "key": f"seals/{seal_id}",
    }  # fmt: skip
    raw.insert("seals", how=how, **row | columns)


@pytest.mark.parametrize(
    ("seal_id", "seq", "columns", "refusal"),
    [
        (3, 9, {}, ""),
        (3, 5, {}, MUST_FOLLOW),
        (3, 4, {}, MUST_FOLLOW),
        (2, 9, {}, MUST_FOLLOW),
        (4, 9, {}, MUST_FOLLOW),
        (3, 100_000, {}, MUST_FOLLOW),
        (3, 9, {"hash": "ff" * 32}, MUST_FOLLOW),
    ],
)
def test_seals_follow_one_another(
    museum: StateMuseum, seal_id: int, seq: int, columns: dict[str, Any], refusal: str
) -> None:
    """After the seals 1 (event 3) and 2 (event 5) only number 3 comes, for a later event with its true hash."""
    raw = museum.raw
    before = (lambda: put_seal(raw, 1, 3), lambda: put_seal(raw, 2, 5))
    assert raw.attempt(*before, lambda: put_seal(raw, seal_id, seq, **columns)) == refusal


@pytest.mark.parametrize("sql", ["UPDATE seals SET hash = 'ff'", "UPDATE seals SET body = body", "DELETE FROM seals"])
def test_no_seal_is_changed_or_taken_out(museum: StateMuseum, sql: str) -> None:
    """UPDATE and DELETE are refused."""
    raw = museum.raw
    assert raw.attempt(lambda: put_seal(raw, 1, 3), lambda: raw.execute(sql)) == APPEND_ONLY


@pytest.mark.parametrize("how", ["REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE"])
@pytest.mark.parametrize("museum", ["sqlite"], indirect=True)
def test_no_seal_is_replaced(museum: StateMuseum, how: str) -> None:
    """REPLACE, which skips DELETE triggers, takes the place of no seal."""
    raw = museum.raw
    assert raw.attempt(lambda: put_seal(raw, 1, 3), lambda: put_seal(raw, 1, 9, how=how)) == MUST_FOLLOW
