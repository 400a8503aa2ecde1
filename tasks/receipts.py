"""Receipts of decisions, as they are sent, and taking back what somebody says was not them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger.announce import announce_disowned
from ledger.errors import LedgerError
from ledger.receipts import Disowned, Receipt, disown, make_receipts_key, read_token, receipts_key, token_of
from ledger.transaction import Transaction
from ledger.transitions import present_versions
from policies.shown_text import cut_middle
from tasks.errors import PermanentError
from tasks.identity_keys import ensure_key_ring, read_key_ring
from tasks.resources import Resources

ACTOR: Final = "operator:people"
_KEY_LIMIT: Final = 40
_ELSE: Final = "Tell those who run Signoff at once."


def receipt_text(resources: Resources, person_id: int, body: Mapping[str, Any], review: int | None) -> str:
    """What a receipt tells its person, with the command that takes the decision back if it was not them.

    The token is made here, when the message is: the ledger holds none. Where the identity key does not open, the
    receipt is sent all the same, without it.
    """
    keys = [cut_middle(str(key), _KEY_LIMIT) for key in body.get("keys") or ()]
    more = ", …" if body["assets"] > len(keys) else ""
    said = ", ".join(f"{str(one).replace('_', ' ')} {count}" for one, count in sorted(body["verdicts"].items()))
    stage = str(body.get("stage")).replace("_", " ")
    told = f"You decided in review {review} ({stage}): {said} ({', '.join(keys)}{more})."
    receipt = Receipt(person_id, bool(body["of_versions"]), body["first"], body["last"])
    try:
        token = token_of(receipt, _key(resources))
    except (LedgerError, PermanentError):
        return f"{told} Was this not you? {_ELSE}"
    return f"{told} Was this not you? Run: signoff people disown {token}"


def disown_decision(resources: Resources, token: str) -> Disowned:
    """Take back what the token of a receipt stands for, and tell the owners of what it was about.

    Raises `ReceiptUnknown`, and `IdentityKeyUnknown`.
    """
    ring = read_key_ring(resources.settings)
    with resources.ledger.writing(resources.origin(ACTOR)) as tx:
        key = None if ring is None else receipts_key(tx.connection, ring)
        done = disown(tx, read_token(token, key))
        if done.decisions:
            announce_disowned(tx, _owners(resources, tx, done), done.unchanged)
    return done


def _owners(resources: Resources, tx: Transaction, done: Disowned) -> dict[str, set[int]]:
    """Group → versions: those who own their collections, and the quarantine."""
    from policies.errors import PolicyInvalid

    owners: dict[str, set[int]] = {}
    for one in present_versions(tx.connection, done.versions).values():
        try:
            policy = resources.policy(one.policy_sha256)
        except PolicyInvalid:
            policy = resources.active_policy().document
        own = {collection.owner for collection in policy.collections if collection.name == one.collection}
        for group in own | {policy.screening.quarantine.owner}:
            owners.setdefault(group, set()).add(one.version_id)
    return owners


def _key(resources: Resources) -> bytes:
    ring = ensure_key_ring(resources.settings)
    with resources.ledger.reading() as connection:
        found = receipts_key(connection, ring)
    if found is not None:
        return found
    with resources.ledger.writing(resources.origin(ACTOR)) as tx:
        return make_receipts_key(tx, ring)
