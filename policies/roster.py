"""The roster file: who the people are, which groups they form, who stands in for whom.

The policy names groups and never persons; the roster says who they are. `undefined_groups` compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from policies.calendars import MOMENTS_ALLOWED, is_moment
from policies.document import PolicyDocument
from policies.errors import Problem, RosterInvalid
from policies.names import Email, Handle, Name
from policies.validation import Section, nearest_word, problem_at, read_document
from policies.yaml_source import Path, YamlSource


class Person(Section):
    """Somebody who can be asked."""

    handle: Handle
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    email: Email | None = None


class Delegation(Section):
    """One person hands their part to another for a time."""

    principal: Handle
    delegate: Handle
    starts_at: AwareDatetime = Field(alias="from")
    ends_at: AwareDatetime = Field(alias="until")


class RosterDocument(Section):
    """People, the groups they form, and their absences."""

    people: Annotated[tuple[Person, ...], Field(min_length=1)]
    groups: Annotated[dict[Name, Annotated[tuple[Handle, ...], Field(min_length=1)]], Field(min_length=1)]
    delegations: tuple[Delegation, ...] = ()


def load_roster(text: str, filename: str) -> RosterDocument:
    """The roster in `text`; raises `RosterInvalid` with every problem if there is one.

    `filename` is only named in problems; nothing is opened.
    """
    roster, source, problems = read_document(RosterDocument, text, filename)
    if roster is not None:
        problems = [*_repeated_people(roster, source), *_group_faults(roster, source)]
        problems += _delegation_faults(roster, source)
        problems.sort(key=lambda problem: problem.line)
    if roster is None or problems:
        raise RosterInvalid(tuple(problems))
    return roster


def undefined_groups(policy: PolicyDocument, roster: RosterDocument) -> list[Problem]:
    """Groups that `policy` names and `roster` does not have, each with its place in the policy file."""
    known = sorted(roster.groups)
    return [
        problem_at(policy.source, path, f"the group {group!r}", f"a group of the roster: {', '.join(known)}", near)
        for path, group in groups_named(policy)
        if group not in roster.groups
        for near in [nearest_word(group, known)]
    ]


def unreachable_quorums(policy: PolicyDocument, roster: RosterDocument) -> list[Problem]:
    """Stages that too few people could ever pass, each with its place in the policy file.

    For each collection, those count who review the stage or own the collection. With four eyes, the people of the
    submitting group do not, and where no submitter is named the quorum is at least 2.
    """
    return [
        problem
        for position in range(len(policy.approval.stages))
        for problem in islice(_short_quorums(policy, roster, position), 1)
    ]


def _short_quorums(policy: PolicyDocument, roster: RosterDocument, position: int) -> Iterator[Problem]:
    stage, four_eyes = policy.approval.stages[position], policy.approval.four_eyes
    members = {group: frozenset(handles) for group, handles in roster.groups.items()}
    nobody = frozenset[str]()
    for collection in policy.collections:
        known = collection.submitter is not None
        quorum = stage.quorum if known or not four_eyes else max(stage.quorum, 2)
        excluded = members.get(collection.submitter or "", nobody) if four_eyes else nobody
        counted = members.get(stage.reviewers, nobody) | members.get(collection.owner, nobody)
        eligible = counted - excluded
        if len(eligible) < quorum:
            path = ("approval", "stages", position, "quorum")
            without = f" without those of {collection.submitter}, who submit" if counted & excluded else ""
            yield problem_at(
                policy.source,
                path,
                f"a quorum of {quorum} in the collection {collection.name}",
                f"at most {len(eligible)}: so many people are in {stage.reviewers} and {collection.owner}{without}",
            )


def groups_named(policy: PolicyDocument) -> Iterator[tuple[Path, str]]:
    """Every group that `policy` names, with the path of the field that names it.

    Submitters are among them: whose people are not known cannot be kept from approving their own work.
    """
    for position, collection in enumerate(policy.collections):
        yield ("collections", position, "owner"), collection.owner
        if collection.submitter is not None:
            yield ("collections", position, "submitter"), collection.submitter
    quarantine: Path = ("screening", "quarantine")
    yield (*quarantine, "owner"), policy.screening.quarantine.owner
    ladders = [
        ((*quarantine, "deadline"), policy.screening.quarantine.deadline),
        (("approval", "changes_requested"), policy.approval.changes_requested),
    ]
    for position, stage in enumerate(policy.approval.stages):
        yield ("approval", "stages", position, "reviewers"), stage.reviewers
        ladders.append((("approval", "stages", position, "deadline"), stage.deadline))
    for path, deadline in ladders:
        for rung, escalation in enumerate(deadline.escalate):
            yield (*path, "escalate", rung, "to"), escalation.to


def _repeated_people(roster: RosterDocument, source: YamlSource) -> Iterator[Problem]:
    seen: set[str] = set()
    for position, person in enumerate(roster.people):
        if person.handle in seen:
            yield problem_at(source, ("people", position, "handle"), repr(person.handle), "each handle once")
        seen.add(person.handle)


def _group_faults(roster: RosterDocument, source: YamlSource) -> Iterator[Problem]:
    handles = sorted({person.handle for person in roster.people})
    for group, members in roster.groups.items():
        for position, handle in enumerate(members):
            path = ("groups", group, position)
            if handle not in handles:
                yield problem_at(
                    source, path, f"the unknown handle {handle!r}", "a handle of people", nearest_word(handle, handles)
                )
            if handle in members[:position]:
                yield problem_at(source, path, f"the handle {handle!r} a second time", "each handle once in a group")


def _delegation_faults(roster: RosterDocument, source: YamlSource) -> Iterator[Problem]:
    handles = sorted({person.handle for person in roster.people})
    for position, delegation in enumerate(roster.delegations):
        path = ("delegations", position)
        for field in ("principal", "delegate"):
            handle = getattr(delegation, field)
            if handle not in handles:
                yield problem_at(
                    source,
                    (*path, field),
                    f"the unknown handle {handle!r}",
                    "a handle of people",
                    nearest_word(handle, handles),
                )
        for field, moment in (("from", delegation.starts_at), ("until", delegation.ends_at)):
            if not is_moment(moment):
                yield problem_at(source, (*path, field), moment.isoformat(), MOMENTS_ALLOWED)
        if delegation.starts_at >= delegation.ends_at:
            yield problem_at(source, (*path, "until"), delegation.ends_at.isoformat(), "an instant after `from`")
        if _leads_back(delegation, roster.delegations):
            yield problem_at(
                source,
                (*path, "delegate"),
                f"{delegation.delegate!r}, whose part comes back to {delegation.principal!r}",
                "delegations that do not go in a circle at any time",
            )


def _leads_back(start: Delegation, delegations: tuple[Delegation, ...]) -> bool:
    """Whether `start`'s part can come back to its principal while all delegations on the way run at once."""
    waiting = [(start.delegate, start.starts_at, start.ends_at)]
    seen = set(waiting)
    while waiting:
        holder, begins, ends = waiting.pop()
        if holder == start.principal:
            return True
        for step in delegations:
            overlap = (step.delegate, max(begins, step.starts_at), min(ends, step.ends_at))
            if step.principal == holder and overlap[1] < overlap[2] and overlap not in seen:
                seen.add(overlap)
                waiting.append(overlap)
    return False
