"""Rounds of reviews have a token each, which the database gives them and nobody exchanges."""

from __future__ import annotations

import re

from ledger.reviews import gates_without_review, open_reviews
from ledger.rounds import close_round, parkings_to_do, tokens_of_rounds
from tests.ledger.approval_world import BRAND, LEGAL, ApprovalWorld
from tests.ledger.raw_sql import RawSql

STAYS = "signoff: rule 4: the token of a round stays"


def test_every_round_gets_a_token_of_its_own(world: ApprovalWorld, raw: RawSql) -> None:
    """Two reviews and a second round: three random tokens, which no statement exchanges or takes away."""
    world.screen(world.submit(), "review", BRAND, LEGAL)
    with world.writing() as tx:
        first, second = open_reviews(tx, [[gate] for gate in gates_without_review(tx.connection)])
        close_round(tx, first, 1, "replaced", "asked again")
    rounds = [(first, 1), (first, 2), (second, 1)]
    with world.ledger.reading() as connection:
        tokens = tokens_of_rounds(connection, [*rounds, (second, 2)])
        assert parkings_to_do(connection) == rounds[1:]
    assert (sorted(tokens), len(set(tokens.values()))) == (rounds, 3)
    assert all(re.fullmatch("[0-9a-f]{32}", token) for token in tokens.values())
    again = {"review_id": first, "round": 1, "token": "guessed"}
    for step in (
        lambda: raw.execute("UPDATE round_tokens SET token = 'guessed'"),
        lambda: raw.execute("DELETE FROM round_tokens"),
        lambda: raw.insert("round_tokens", **again),
    ):
        assert STAYS in raw.attempt(step)
    if raw.is_sqlite:
        replace = "REPLACE INTO round_tokens (review_id, round, token) VALUES (?, 1, 'guessed')"
        assert STAYS in raw.attempt(lambda: raw.execute(replace, first))
