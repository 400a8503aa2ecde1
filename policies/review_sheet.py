"""What a reviewer is shown in one round of a review: the assets, the people who may decide, what was found before."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from policies.shown_text import plain_text


class Decision(StrEnum):
    """What one person says of one gate, or of one version that is held or was sent back."""

    APPROVE = "approve"
    WAIVE = "waive"
    REQUEST_CHANGES = "request_changes"
    REJECT = "reject"
    RELEASE = "release"
    REOPEN = "reopen"
    WITHDRAW = "withdraw"


class Purpose(StrEnum):
    """What a review asks: to pass gates, to release what is held, or what becomes of what was sent back."""

    GATE = "gate"
    QUARANTINE = "quarantine"
    CHANGES = "changes_requested"


_DECISIONS: Final = {
    Purpose.GATE: (Decision.APPROVE, Decision.REQUEST_CHANGES, Decision.REJECT),
    Purpose.QUARANTINE: (Decision.RELEASE, Decision.REJECT),
    Purpose.CHANGES: (Decision.REOPEN, Decision.WITHDRAW),
}


@dataclass(frozen=True, slots=True)
class Reviewer:
    """One eligible person, standing for themselves (`on_behalf_of` is None) or for somebody who is absent."""

    person_id: int
    handle: str
    name: str | None
    on_behalf_of: int | None = None
    on_behalf_of_handle: str | None = None

    @property
    def principal_id(self) -> int:
        """The person whose part this is."""
        return self.person_id if self.on_behalf_of is None else self.on_behalf_of

    @property
    def choice(self) -> str:
        """How this reviewer is offered in the form.

        >>> Reviewer(7, "lea", "Lea Brandt", 9, "max").choice
        'lea · Lea Brandt, for max'
        """
        named = f"{self.handle} · {self.name}" if self.name else self.handle
        if self.on_behalf_of is not None:
            named += f", for {self.on_behalf_of_handle or self.on_behalf_of}"
        return plain_text(named, limit=120)


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One gate of the review with the version it decides on, as the reviewer is shown it.

    `position` is the number on the contact sheet, `score` and `margin` are 0 to 1, `link` opens the original,
    `basis` is the hash of what was shown, `changed_since` says which version it is compared with, `changes` and
    `text_diff` what differs, `doubts` what the machine was unsure of, `measures` how large or long it is.
    """

    position: int
    gate_id: int
    key: str
    version_number: int
    kind: str
    media_type: str
    size_bytes: int
    label: str | None
    score: float | None
    margin: float | None
    abstained: str | None
    clearance: str
    reasons: tuple[str, ...]
    link: str | None
    basis: str
    changed_since: str | None = None
    earlier_comments: tuple[str, ...] = ()
    held_because: str | None = None
    """In quarantine: what was found. Sent back by a deadline: which."""
    approvals: str | None = None
    """Where more than one is needed: how many there are."""
    changes: tuple[str, ...] = ()
    text_diff: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    measures: str = ""
    blocked: bool = False
    """Whether its rights block, at the gate that answers for them: it is not simply approved there."""
    waives: tuple[str, ...] = ()
    """Codes of the findings that a waiver there takes upon itself; none where they cannot be waived."""

    @property
    def choice(self) -> str:
        """How this asset is offered in the form: its number and the last part of its key."""
        name = self.key.rstrip("/").rpartition("/")[2] or self.key
        return f"{self.position} · {plain_text(name)}"


@dataclass(frozen=True, slots=True)
class ReviewSheet:
    """One round of a review: `reason` says why it was parked again, `contact_sheet` is a JPEG or PNG."""

    review_id: int
    round: int
    stage: str
    collection: str
    policy_name: str
    due_text: str | None
    reason: str | None
    previous_run_url: str | None
    reviewers: tuple[Reviewer, ...]
    items: tuple[ReviewItem, ...]
    contact_sheet: bytes | None = None
    purpose: Purpose = Purpose.GATE
    signed: bool = False
    """Whether an answer needs a code from the authenticator app of its person."""

    @property
    def quarantine(self) -> bool:
        """Whether it asks to release or to reject what is held."""
        return self.purpose is Purpose.QUARANTINE

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What may be said of any of its assets."""
        usual = _DECISIONS[self.purpose]
        if not any(item.blocked for item in self.items):
            return usual
        offered = {decision for item in self.items for decision in self.decisions_of(item)}
        return tuple(one for one in Decision if one in offered)

    def decisions_of(self, item: ReviewItem) -> tuple[Decision, ...]:
        """What may be said of one of its assets: what its rights block is waived, if that may be, and not approved."""
        usual = _DECISIONS[self.purpose]
        if not item.blocked or self.purpose is not Purpose.GATE:
            return usual
        other = tuple(one for one in usual if one is not Decision.APPROVE)
        return (Decision.WAIVE, *other) if item.waives else other

    @property
    def explained(self) -> tuple[Decision, ...]:
        """Those of them that need a comment."""
        return tuple(one for one in self.decisions if one is not Decision.APPROVE)

    @property
    def title(self) -> str:
        """The headline of the form and of the run."""
        again = f" · round {self.round}" if self.round > 1 else ""
        return f"Review {self.review_id} · {plain_text(self.stage)} · {plain_text(self.collection)}{again}"
