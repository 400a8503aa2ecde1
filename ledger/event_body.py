"""The hashed body of an event: canonical JSON, written faster than by going through a general value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ledger.canonical import canonical_json

_EXACT = 2**53
_KEPT = 1_000


class EventBodies:
    """Writes the bodies of one transaction's events, byte for byte what `canonical_json` makes of the same fields."""

    def __init__(self, at: int, flow_run_id: str | None) -> None:
        """`at`: microseconds since the epoch; both stand in every event of the transaction."""
        self._at = _number(at)
        self._quoted: dict[str | None, bytes] = {None: b"null"}
        self._flow_run = self._text(flow_run_id)

    def write(
        self,
        *,
        seq: int,
        actor: str,
        action: str,
        version_id: int | None,
        from_state: str | None,
        to_state: str | None,
        round_number: int | None,
        policy_sha256: str | None,
        rule: str | None,
        reason: str | None,
        effect_id: int | None,
        details: Mapping[str, Any],
        previous: str,
    ) -> bytes:
        """The body of one event, keys in their canonical order. Raises `ValueError` for what has no canonical form.

        >>> EventBodies(7, None).write(seq=1, actor="system:x", action="tell", version_id=None, from_state=None,
        ...     to_state=None, round_number=None, policy_sha256=None, rule=None, reason=None, effect_id=None,
        ...     details={}, previous="00").partition(b',"effect_id"')[0]
        b'{"action":"tell","actor":"system:x","at":7,"details":{}'
        """
        text = self._text
        return b"".join(
            (
                b'{"action":', text(action),
                b',"actor":', text(actor),
                b',"at":', self._at,
                b',"details":', canonical_json(details),
                b',"effect_id":', _number(effect_id),
                b',"flow_run":', self._flow_run,
                b',"from":', text(from_state),
                b',"policy":', text(policy_sha256),
                b',"prev":', orjson.dumps(previous),
                b',"reason":', text(reason),
                b',"round":', _number(round_number),
                b',"rule":', text(rule),
                b',"seq":', _number(seq),
                b',"to":', text(to_state),
                b',"version_id":', _number(version_id),
                b"}",
            )
        )  # fmt: skip

    def _text(self, value: str | None) -> bytes:
        """A string as JSON; the few that a transaction repeats thousands of times are written once."""
        known = self._quoted.get(value)
        if known is None:
            known = canonical_json(value)
            if len(self._quoted) < _KEPT:
                self._quoted[value] = known
        return known


def _number(value: int | None) -> bytes:
    if value is None:
        return b"null"
    return b"%d" % value if -_EXACT <= value <= _EXACT else canonical_json(value)
