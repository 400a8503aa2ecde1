"""What shows that a form is ours: a key of its run that nobody can guess, a mark in it that nobody can forge.

Both come from a random token of the round, which only the ledger holds. Whoever reaches Prefect's API can make runs and
exchange their inputs, but cannot make a form that carries the mark.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from ledger.canonical import canonical_json

_KEY_DIGITS: Final = 20
_OURS: Final = "x-signoff"


def key_mark(token: str) -> str:
    """The part of a run's idempotency key that cannot be known before the run exists.

    >>> key_mark("a token") == key_mark("another one")
    False
    """
    return _hmac(token, b"key")[:_KEY_DIGITS]


def marked_schema(token: str | None, schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    """The schema with the hash of the text above it and with the round's mark over all of that.

    A round of before rounds had tokens gets its schema back as it is.
    """
    if token is None:
        return dict(schema)
    own = {**schema.get(_OURS, {}), "description": hashlib.sha256(description.encode()).hexdigest()}
    whole = {**schema, _OURS: own}
    return {**schema, _OURS: {**own, "mark": _schema_mark(token, whole)}}


def is_own_schema(token: str | None, schema: Any) -> bool:
    """Whether a form is one that this round was given; always so for a round of before rounds had tokens."""
    if token is None:
        return True
    own = schema.get(_OURS) if isinstance(schema, Mapping) else None
    if not isinstance(own, Mapping) or not isinstance(own.get("mark"), str):
        return False
    unmarked = {**schema, _OURS: {name: value for name, value in own.items() if name != "mark"}}
    try:
        expected = _schema_mark(token, unmarked)
    except (TypeError, ValueError, RecursionError):  # what no form of ours holds
        return False
    return hmac.compare_digest(own["mark"].encode("utf-8", "replace"), expected.encode())


def is_own_description(schema: Mapping[str, Any], description: Any) -> bool:
    """Whether the text above a form that `is_own_schema` is the one it was given with."""
    promised = schema.get(_OURS, {}).get("description")
    if promised is None:
        return True
    if not isinstance(description, str):
        return False
    return bool(hashlib.sha256(description.encode("utf-8", "surrogatepass")).hexdigest() == promised)


def _schema_mark(token: str, schema: Mapping[str, Any]) -> str:
    return _hmac(token, b"form" + canonical_json(dict(schema)))


def _hmac(token: str, message: bytes) -> str:
    return hmac.new(token.encode(), message, hashlib.sha256).hexdigest()
