"""The lifecycle of a version as data: which action leads from which state to which, and what guards it.

The ledger seeds its `lifecycle` table from `TRANSITIONS`; triggers there refuse every event whose
(from, action, to) is not in it. Nothing else in Signoff knows which transition is legal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a version stands. A version is born without a state (`UNBORN` in the lifecycle table)."""

    SUBMITTED = "submitted"
    QUARANTINED = "quarantined"
    IN_REVIEW = "in_review"
    CHANGES_REQUESTED = "changes_requested"
    APPROVED = "approved"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    ARCHIVED = "archived"
    DISPOSED = "disposed"


UNBORN = ""
"""The `from` of `submit`: a version that has no state yet."""


class Action(StrEnum):
    """What can happen to a version's state."""

    SUBMIT = "submit"
    QUARANTINE = "quarantine"
    RELEASE = "release"
    OPEN_GATES = "open_gates"
    APPROVE = "approve"
    REQUEST_CHANGES = "request_changes"
    REJECT = "reject"
    REOPEN = "reopen"
    PUBLISH = "publish"
    REVIEW_AGAIN = "review_again"
    WITHDRAW = "withdraw"
    REPUBLISH = "republish"
    SUPERSEDE = "supersede"
    ARCHIVE = "archive"
    RESTORE = "restore"
    DISPOSE = "dispose"


@dataclass(frozen=True, slots=True)
class Transition:
    """One legal step: `action` leads from `from_state` to `to_state` if `guard` holds."""

    from_state: str
    action: Action
    to_state: State
    guard: str


def _steps(from_states: tuple[str, ...], action: Action, to: State, guard: str) -> tuple[Transition, ...]:
    return tuple(Transition(str(state), action, to, guard) for state in from_states)


_S = State
_ARCHIVABLE = (_S.WITHDRAWN, _S.REJECTED, _S.SUPERSEDED, _S.CHANGES_REQUESTED, _S.QUARANTINED)

TRANSITIONS: tuple[Transition, ...] = (
    *_steps((UNBORN,), Action.SUBMIT, _S.SUBMITTED, "the bytes are in custody and their SHA-256 is recorded"),
    *_steps((_S.SUBMITTED,), Action.QUARANTINE, _S.QUARANTINED, "inspection failed, or quarantine_when holds"),
    *_steps((_S.QUARANTINED,), Action.RELEASE, _S.SUBMITTED, "a person of the owner group, with a reason"),
    *_steps((_S.SUBMITTED,), Action.OPEN_GATES, _S.IN_REVIEW, "the route has at least one gate"),
    *_steps((_S.SUBMITTED,), Action.APPROVE, _S.APPROVED, "an automatic rule of the pinned policy holds"),
    *_steps((_S.IN_REVIEW,), Action.APPROVE, _S.APPROVED, "every gate of the route passed in this round"),
    *_steps((_S.IN_REVIEW,), Action.REQUEST_CHANGES, _S.CHANGES_REQUESTED, "a decision, or a deadline's outcome"),
    *_steps(
        (_S.IN_REVIEW, _S.QUARANTINED, _S.CHANGES_REQUESTED),
        Action.REJECT,
        _S.REJECTED,
        "a decision, or a deadline's outcome",
    ),
    *_steps((_S.REJECTED, _S.CHANGES_REQUESTED), Action.REOPEN, _S.SUBMITTED, "another person, or the submitter once"),
    *_steps((_S.APPROVED,), Action.PUBLISH, _S.PUBLISHED, "its publish effect is done; same SHA-256; clearance good"),
    *_steps((_S.APPROVED, _S.WITHDRAWN), Action.REVIEW_AGAIN, _S.IN_REVIEW, "clearance turned worse, or a person asks"),
    *_steps((_S.PUBLISHED,), Action.WITHDRAW, _S.WITHDRAWN, "with a reason: rights, takedown, superseded, person"),
    *_steps((_S.WITHDRAWN,), Action.REPUBLISH, _S.PUBLISHED, "withdrawn for rights, which are good again"),
    *_steps(
        (_S.SUBMITTED, _S.QUARANTINED, _S.IN_REVIEW, _S.CHANGES_REQUESTED, _S.APPROVED),
        Action.SUPERSEDE,
        _S.SUPERSEDED,
        "a newer version has left screening without quarantine",
    ),
    *_steps(_ARCHIVABLE, Action.ARCHIVE, _S.ARCHIVED, "the copy in the archive read back equal"),
    *(Transition(_S.ARCHIVED, Action.RESTORE, state, "to the state before archiving") for state in _ARCHIVABLE),
    *_steps(
        (_S.ARCHIVED, _S.REJECTED, _S.SUPERSEDED, _S.WITHDRAWN),
        Action.DISPOSE,
        _S.DISPOSED,
        "no hold, retention over, plan approved by a second person",
    ),
)

WAITING_FOR_PEOPLE = frozenset({State.IN_REVIEW, State.QUARANTINED, State.CHANGES_REQUESTED})
"""States in which a person must act: each has an owner, a deadline and an end."""

SUPERSEDABLE = frozenset(State(t.from_state) for t in TRANSITIONS if t.action is Action.SUPERSEDE)
"""States which a newer version of the same asset ends."""


def allowed(from_state: str, action: Action) -> frozenset[State]:
    """States to which `action` may lead from `from_state`; empty if the lifecycle forbids it.

    >>> sorted(allowed("in_review", Action.APPROVE))
    [<State.APPROVED: 'approved'>]
    >>> allowed("submitted", Action.PUBLISH)
    frozenset()
    """
    return frozenset(t.to_state for t in TRANSITIONS if t.from_state == from_state and t.action is action)
