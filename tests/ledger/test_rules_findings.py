"""Raw SQL against what a publication rests on: screenings, rights checks and grants; and what a review asks about."""

from __future__ import annotations

import pytest

from ledger.grants import import_grants, present_grants
from tests.ledger.approval_world import BRAND, ApprovalWorld
from tests.ledger.raw_sql import RawSql
from tests.ledger.test_waivers import blocked

SCREENED = "signoff: rule 5: what screening found is final"
CHECKED = "signoff: rule 5: a rights check is final"
GRANTED = "signoff: rule 5: a grant only ends"
ASKED = "signoff: rule 4: a review asks about what it was opened for"


@pytest.mark.parametrize(
    ("table", "statement", "refusal"),
    [
        ("screenings", """UPDATE screenings SET route = '{"blocked":{"result":false}}'""", SCREENED),
        ("screenings", "UPDATE screenings SET clearance_id = NULL", SCREENED),
        ("screenings", "DELETE FROM screenings", SCREENED),
        ("clearances", "UPDATE clearances SET status = 'cleared'", CHECKED),
        ("clearances", "DELETE FROM clearances", CHECKED),
        ("grants", "UPDATE grants SET body = '{}'", GRANTED),
        ("grants", "UPDATE grants SET source = 'x', retired_at = 1", GRANTED),
        ("grants", "UPDATE grants SET retired_at = NULL", GRANTED),
        ("grants", "DELETE FROM grants", GRANTED),
        ("review_gates", "UPDATE review_gates SET position = 7", ASKED),
        ("review_gates", "DELETE FROM review_gates", ASKED),
    ],
)
def test_findings_are_final(world: ApprovalWorld, raw: RawSql, table: str, statement: str, refusal: str) -> None:
    """Nobody changes or removes what rights were found, so that a block goes away, or puts another row in its place."""
    blocked(world, "a", "unknown", "no_licence")
    world.park()
    with world.writing() as tx:
        import_grants(tx, "contracts.csv", "e1", "ab" * 32, {"g1": "[]"})
    assert raw.attempt(lambda: raw.execute(statement)) == refusal
    if raw.is_sqlite:
        again = f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1"
        assert raw.attempt(lambda: raw.execute(again)) == refusal
    else:
        truncate = lambda: raw.execute(f"TRUNCATE {table} CASCADE")  # noqa: E731 (as short as its use)
        assert raw.attempt(truncate) == "signoff: rule 1: records are never truncated"


def test_tokens_are_not_truncated(world: ApprovalWorld, raw: RawSql) -> None:
    """Without its token a round takes the answer of any form: TRUNCATE is no way around what keeps them."""
    world.in_review()
    if not raw.is_sqlite:
        truncate = raw.attempt(lambda: raw.execute("TRUNCATE round_tokens"))
        assert truncate == "signoff: rule 1: records are never truncated"
    assert raw.execute("SELECT COUNT(*) FROM round_tokens") == [(1,)]


def test_what_is_not_over_yet_goes_on(world: ApprovalWorld, raw: RawSql) -> None:
    """What waits in screening is screened anew, and a grant ends once, with the next import."""
    submission = world.submit()
    row = {"version_id": submission.version_id, "round": 1, "policy_sha256": world.policy, "kind": "image"}
    row |= {"clearance": "cleared", "facts": "{}", "route": "{}", "screened_at": 1}
    raw.insert("screenings", **row)
    world.screen(submission, "review", BRAND)
    assert raw.execute("SELECT COUNT(*), MAX(label) FROM screenings") == [(1, "portrait")]
    for body in ("[]", "{}"):
        with world.writing() as tx:
            import_grants(tx, "contracts.csv", "e1", "ab" * 32, {"g1": body})
    with world.ledger.reading() as connection:
        assert present_grants(connection) == ["{}"]
    assert raw.attempt(lambda: raw.execute("UPDATE grants SET retired_at = 1")) == GRANTED
