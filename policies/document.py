"""The policy file: what it may say, section by section, and how it is read.

`load_policy` gives a `PolicyDocument` that has passed every check that needs no solver, or raises `PolicyInvalid` with
everything that is wrong. Nothing else builds one outside of tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection as Values
from typing import Annotated, Any, Final, Literal

from pydantic import Field, PrivateAttr, StrictBool, StrictInt, StringConstraints

from policies import policy_checks
from policies.calendars import Calendar
from policies.channels import UseAction
from policies.errors import PolicyInvalid, Problem
from policies.names import Name, StorageClass, Title
from policies.quantities import CalendarDuration, Duration, Share, SizeBytes, Unit, WorkingDuration
from policies.validation import Section, read_document
from policies.yaml_source import YamlSource

Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
PredicateText = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
"""Text of a predicate; `policies.predicates` reads it."""

Kind = Literal["image", "document", "text", "video", "audio", "other"]
Blocking = Literal["conflict", "restricted", "embargoed", "expired", "unknown", "expiring"]
Signature = Literal["none", "totp"]
SIGNATURES: Final = ("none", "totp")
"""What an installation can check."""


class IntendedUse(Section):
    """What a collection's assets are meant for: the question that the rights check answers.

    `channel` is one of `policies.channels.CHANNELS`, `territory` lists codes of `policies.territories.TERRITORIES`.
    """

    action: UseAction
    channel: str
    territory: Annotated[tuple[str, ...], Field(min_length=1)]
    licensee: Name | None = None
    lasting: CalendarDuration | None = None
    """How long the use goes on; without it, the use is of the moment."""


class Collection(Section):
    """Assets that share settings, chosen by key prefix; the longest prefix wins."""

    name: Name
    prefix: Annotated[str, StringConstraints(max_length=1024)]
    submitter: Name | None = None
    owner: Name
    use: Annotated[tuple[IntendedUse, ...], Field(min_length=1)]


class Escalation(Section):
    """A rung of a deadline: another group is made eligible as well, and gets this long."""

    to: Name
    within: WorkingDuration


class Deadline(Section):
    """A ladder in working time: reminders, then escalations in order, then an end, which is never approval."""

    within: WorkingDuration
    remind: tuple[Share, ...] = ()
    escalate: tuple[Escalation, ...] = ()
    outcome: Literal["reject", "request_changes"] = Field(alias="finally")


class Quarantine(Section):
    """Who looks at what was quarantined, and until when; `signature` is what a release or a rejection is signed with.

    It is `none` unless the policy says otherwise, so that a policy of an earlier release means what it meant.
    """

    owner: Name
    signature: Signature = "none"
    deadline: Deadline


class Screening(Section):
    """What is let in, and what is put aside before anybody is asked."""

    accept: Annotated[tuple[Kind, ...], Field(min_length=1)]
    max_size: SizeBytes
    quarantine_when: PredicateText | None = None
    quarantine: Quarantine


class Classification(Section):
    """Labels the classifiers choose from, each with a description that the models compare with."""

    labels: dict[Title, Text] = Field(default_factory=dict)


class Stage(Section):
    """A named approval step: opens a gate if `when` is true or unknown. The default stage takes what no other does."""

    name: Name
    when: PredicateText | None = None
    default: StrictBool = False
    reviewers: Name
    quorum: Annotated[StrictInt, Field(ge=1, le=20)] = 1
    signature: Signature = "totp"
    after: tuple[Name, ...] = ()
    deadline: Deadline


class AutomaticRule(Section):
    """Approves without a person, if `when` is true; a reproducible sample of what it takes goes to people instead."""

    name: Title
    when: PredicateText
    second_look: Share


def _default_rework() -> Deadline:
    return Deadline.model_validate({"within": "10 days", "remind": ["50%", "90%"], "finally": "reject"})


class Approval(Section):
    """Who must approve what."""

    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=32)]
    automatic: tuple[AutomaticRule, ...] = ()
    four_eyes: StrictBool = True
    review_size: Annotated[StrictInt, Field(ge=1, le=48)] = 24
    changes_requested: Deadline = Field(default_factory=_default_rework)
    """How long a submitter has for requested changes; the collection's owner group is the one that waits."""


class Rights(Section):
    """Which stage answers for rights, which clearances block, and what happens when permission ends."""

    gate: Name
    expiring_within: CalendarDuration = Duration(30, Unit.DAY)
    block: Annotated[tuple[Blocking, ...], Field(min_length=1)]
    on_expiry: Literal["withdraw"] = "withdraw"


class After(Section):
    """The state whose beginning an archive rule counts from, and the calendar days it waits."""

    event: Literal["withdrawn", "rejected", "superseded", "changes_requested", "quarantined", "archived"]
    days: Annotated[StrictInt, Field(ge=0, le=36500)]


class ArchiveRule(Section):
    """What becomes of versions that nobody needs any more."""

    name: Title
    when: PredicateText
    after: After
    action: Literal["archive", "dispose"]
    storage_class: StorageClass | None = None
    retain: CalendarDuration | None = None


class Expectation(Section):
    """What should become of an example; what is left out may be anything. `stages` are all that open, in any order."""

    outcome: Literal["quarantine", "automatic", "review"]
    rule: str | None = None
    stages: tuple[Name, ...] | None = None


class Example(Section):
    """A version that the policy is tried on: the facts that matter, the rest ordinary (`policies.example_version`)."""

    name: Title
    facts: dict[str, Any] = Field(default_factory=dict)
    expect: Expectation


class PolicyDocument(Section):
    """One policy: everything that decides what happens to a version."""

    name: Name
    calendar: Calendar
    collections: Annotated[tuple[Collection, ...], Field(min_length=1)]
    screening: Screening
    classification: Classification = Field(default_factory=Classification)
    approval: Approval
    rights: Rights
    archive: tuple[ArchiveRule, ...] = ()
    examples: tuple[Example, ...] = ()

    _source: YamlSource = PrivateAttr(default_factory=lambda: YamlSource("policy", None, {}))

    @property
    def source(self) -> YamlSource:
        """Where each value of this document stands in its file."""
        return self._source

    @property
    def default_stage(self) -> Stage:
        """The stage that takes what no other stage does."""
        return next(stage for stage in self.approval.stages if stage.default)


def policy_sha256(text: str) -> str:
    """SHA-256, hex, of a policy's text in UTF-8: what versions are pinned to."""
    return hashlib.sha256(text.encode()).hexdigest()


def load_policy(text: str, filename: str, *, signatures: Values[str] = SIGNATURES) -> PolicyDocument:
    """The policy in `text`; raises `PolicyInvalid` with every problem if there is one.

    `filename` is only named in problems; nothing is opened. `signatures` are those that this installation can check:
    a stage that asks for another is refused, as nobody could ever pass it.
    """
    policy, problems = read_policy(text, filename, signatures=signatures)
    if policy is None or problems:
        raise PolicyInvalid(tuple(problems))
    return policy


def read_policy(
    text: str, filename: str, *, signatures: Values[str] = SIGNATURES
) -> tuple[PolicyDocument | None, list[Problem]]:
    """The policy in `text` as far as its shape allows, and every problem with it.

    For who explains faults. Nothing may be decided by a policy that has any: `load_policy` raises them.
    """
    policy, source, problems = read_document(PolicyDocument, text, filename)
    if policy is not None:
        policy._source = source
        problems = policy_checks.check_policy(policy, signatures)
    return policy, problems


def collection_for(policy: PolicyDocument, key: str) -> Collection:
    """The collection with the longest prefix of `key`. There always is one: the prefix "" is mandatory."""
    matching = (collection for collection in policy.collections if key.startswith(collection.prefix))
    return max(matching, key=lambda collection: len(collection.prefix))
