"""Sign an act that is not the answer of a form: a policy, an authenticator, a decision that was not theirs."""

from __future__ import annotations

from ledger.roster import person_id_of
from ledger.signatures import NotSigned, Signed, enrolled_people, refuse_code, sign
from ledger.transaction import Transaction
from tasks.errors import PermanentError
from tasks.identity_keys import read_key_ring
from tasks.resources import Resources


class CodeRefused(PermanentError):
    """A code was not taken; the message says why, and does not tell it."""

    def __init__(self, words: str) -> None:
        super().__init__(f"{words} Nothing was changed")
        self.words = words

    def __reduce__(self) -> tuple[type[CodeRefused], tuple[str]]:
        return (type(self), (self.words,))


def signs_with_a_code(resources: Resources, handle: str) -> bool:
    """Whether somebody is in the roster and enrolled, so that their acts take a code."""
    with resources.ledger.reading() as connection:
        return person_id_of(connection, handle) in enrolled_people(connection)


def sign_act(
    tx: Transaction, resources: Resources, person_id: int, code: str | None, purpose: str
) -> Signed | NotSigned | None:
    """Use up the code of somebody who is enrolled; None for who is not: their act is declared, not authenticated.

    A refusal is audited and counted in this transaction, which is to be committed before `CodeRefused` is raised.
    """
    if person_id not in enrolled_people(tx.connection):
        return None
    signed = sign(tx, read_key_ring(resources.settings), person_id, code, tx.origin.at, purpose)
    if isinstance(signed, NotSigned):
        refuse_code(tx, person_id, purpose, signed)
    return signed
