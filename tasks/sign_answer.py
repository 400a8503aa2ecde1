"""Sign an answer: look at the code that came with a form, as of the moment in which the run was resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ledger.review import Review
from ledger.signatures import NotSigned, Signed, sign
from ledger.transaction import Transaction
from policies.review_form import Answer
from tasks.resources import Resources

_SUSPENDED = "PAUSED"


@dataclass(frozen=True, slots=True)
class Given:
    """What a resumed run carries, as Prefect stored it (never shown: it holds a code), and when it was given."""

    raw: Any = field(repr=False)
    at: datetime


def carries_code(raw: Any) -> bool:
    """Whether a form as it was submitted has a code in it, right or wrong."""
    return isinstance(raw, Mapping) and "code" in raw


def given_at(resources: Resources, flow_run_id: str) -> datetime:
    """When a run was resumed, as Signoff's clock showed it: its first state after the one in which it waited.

    The server stamps states itself. A worker that comes late changes nothing: the code was good when it was given. Nor
    does whoever replaces the form meanwhile win time for a code that was overheard.
    """
    states = resources.prefect.find(f"flow_run_states/?flow_run_id={flow_run_id}") or []
    told = sorted((datetime.fromisoformat(one["timestamp"]), str(one["type"])) for one in states)
    waited = [place for place, (_, kind) in enumerate(told) if kind == _SUSPENDED]
    after = told[waited[-1] + 1 :] if waited else told
    return resources.clock.shown_at(after[0][0]) if after else resources.clock.now()


def sign_answer(
    tx: Transaction, resources: Resources, review: Review, answer: Answer, at: datetime
) -> Signed | NotSigned:
    """Use up the code of an answer for its review, in the transaction that records what it decides."""
    from tasks.identity_keys import read_key_ring

    ring = read_key_ring(resources.settings)
    return sign(tx, ring, answer.person_id, answer.code, at, "answer", review_id=review.review_id)
