"""The form of a review and what a submitted form says: pure and strict; the ledger judges the answer again."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.one_time_code import CODE_PATTERN, is_code
from policies.review_page import form_description
from policies.review_sheet import Decision, Reviewer, ReviewItem, ReviewSheet
from policies.shown_text import plain_text

__all__ = [
    "COMMENT_LIMIT",
    "Answer",
    "Decision",
    "Forged",
    "GateDecision",
    "Refusal",
    "ReviewItem",
    "ReviewSheet",
    "Reviewer",
    "form_description",
    "form_schema",
    "read_answer",
]

COMMENT_LIMIT = 4_000
"""Characters of a comment."""

_HYDRATED = "__prefect_kind"
_SAYS_SOMETHING = r"\S"
"""Of a comment that is needed: blanks alone are refused while the form is still open."""
_REASON_LIMIT = 1_000
_CODE = {
    "type": "string",
    "title": "Code from your authenticator app",
    "description": "Six digits. Type it last: it is good for half a minute, and once.",
    "pattern": CODE_PATTERN,
    "position": 4,
}


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What the answer says of one gate."""

    gate_id: int
    decision: Decision
    comment: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer: who says it, for whom, and one decision for every gate of the review, by position."""

    person_id: int
    on_behalf_of: int
    decisions: tuple[GateDecision, ...]
    code: str | None = field(default=None, repr=False)
    """From the authenticator app, where the form asks for it; looked at and used up by the ledger, kept nowhere."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a submitted form decides nothing: `field` is where, `reason` is for the person who sent it."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Forged:
    """What came back is no answer to the form that was parked, whatever it says; `flaw` says why."""

    flaw: str


class _Unreadable(Exception):
    """Carries a refusal out of the nested readers below."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.refusal = Refusal(field, reason)


def form_schema(sheet: ReviewSheet) -> dict[str, Any]:
    """The JSON Schema of the form made for this very round: its assets and its people are the only choices.

    There is no default for a decision, and a decision that is not an approval needs a comment. `x-signoff` carries the
    round and the basis hash of each gate; validators and the UI ignore it.
    """
    comment = {"type": "string", "title": "Comment", "maxLength": COMMENT_LIMIT}
    decisions = [str(decision) for decision in sheet.decisions]
    exception = {
        "type": "object",
        "title": "Exception",
        "properties": {
            "asset": {"type": "string", "title": "Asset", "enum": [item.choice for item in sheet.items]},
            "decision": {"type": "string", "title": "Decision", "enum": decisions},
            "comment": comment,
        },
        "required": ["asset", "decision"],
        "additionalProperties": False,
        **_comment_where_needed(sheet),
    }
    return {
        "type": "object",
        "title": sheet.title,
        "properties": {
            "decision": {
                "type": "string",
                "title": "Decision",
                "description": "For every asset that is not listed under exceptions.",
                "enum": decisions,
                "position": 0,
            },
            "reviewer": {
                "type": "string",
                "title": "Reviewer",
                "description": "Who you are.",
                "enum": [reviewer.choice for reviewer in sheet.reviewers],
                "position": 1,
            },
            "comment": {
                **comment,
                "description": "Why: needed for each decision."
                if len(sheet.explained) == len(sheet.decisions)
                else f"Needed when {_waived(sheet)}changes are requested or the review is rejected.",
                "position": 2,
            },
            "exceptions": {
                "type": "array",
                "title": "Exceptions",
                "description": "Assets for which you decide otherwise.",
                "items": exception,
                "maxItems": len(sheet.items),
                "position": 3,
            },
            **({"code": _CODE} if sheet.signed else {}),
        },
        "required": ["decision", "reviewer", *(["code"] if sheet.signed else [])],
        "additionalProperties": False,
        **_comment_where_needed(sheet),
        "x-signoff": {
            "review": sheet.review_id,
            "round": sheet.round,
            "basis": {str(item.gate_id): item.basis for item in sheet.items},
        },
    }


def read_answer(raw: Mapping[str, Any] | Forged | None, sheet: ReviewSheet) -> Answer | Refusal:
    """Decide whether a submitted form is a complete answer to this round; nothing is guessed, trimmed or defaulted.

    `raw` is what Prefect stored (None: the run was resumed without a form). The ledger is asked afterwards whether
    these people may decide these gates now.
    """
    try:
        return _read_form(raw, sheet)
    except _Unreadable as unreadable:
        # it may quote what was sent, and goes where no odd character may go: into a database, onto the next form
        return Refusal(unreadable.refusal.field, plain_text(unreadable.refusal.reason, _REASON_LIMIT))


def _waived(sheet: ReviewSheet) -> str:
    return "rights are waived, " if Decision.WAIVE in sheet.decisions else ""


def _comment_where_needed(sheet: ReviewSheet) -> dict[str, Any]:
    explained = [str(decision) for decision in sheet.explained]
    return {
        "if": {"properties": {"decision": {"enum": explained}}, "required": ["decision"]},
        "then": {"properties": {"comment": {"type": "string", "pattern": _SAYS_SOMETHING}}, "required": ["comment"]},
    }


def _read_form(raw: Mapping[str, Any] | Forged | None, sheet: ReviewSheet) -> Answer:
    if isinstance(raw, Forged):
        raise _Unreadable(raw.flaw, f"{raw.flaw}. Look at this form and decide anew.")
    if raw is None:
        raise _Unreadable("", "The run was resumed without its form. Open the run, choose Resume and fill the form in.")
    asked = {"decision", "reviewer", "comment", "exceptions"} | ({"code"} if sheet.signed else set())
    fields = _read_object("", raw, asked)
    decision, comment = _read_verdict("", fields, sheet)
    people = {reviewer.choice: reviewer for reviewer in sheet.reviewers}
    reviewer = _read_person(fields.get("reviewer"), people)
    exceptions = _read_exceptions(fields.get("exceptions"), sheet)
    decisions = [GateDecision(item.gate_id, *exceptions.get(item.choice, (decision, comment))) for item in sheet.items]
    for item, one in zip(sheet.items, decisions, strict=True):
        _check_offered(sheet, item, one.decision, "exceptions" if item.choice in exceptions else "decision")
    code = _read_code(fields.get("code")) if sheet.signed else None
    return Answer(reviewer.person_id, reviewer.principal_id, tuple(decisions), code)


def _check_offered(sheet: ReviewSheet, item: ReviewItem, decision: Decision, field: str) -> None:
    offered = sheet.decisions_of(item)
    if decision in offered:
        return
    why = "its rights block" if item.blocked else "nothing blocks its rights"
    others = " or ".join(f"“{one}”" for one in offered)
    raise _Unreadable(
        field, f"“{decision}” is not for “{item.choice}”, as {why}: list it as an exception with {others}."
    )


def _read_exceptions(value: Any, sheet: ReviewSheet) -> dict[str, tuple[Decision, str | None]]:
    if value is None:
        return {}
    if not isinstance(value, list):
        raise _Unreadable("exceptions", f"Exceptions must be a list; found {_kind(value)}.")
    choices = [item.choice for item in sheet.items]
    if len(value) > len(choices):
        raise _Unreadable("exceptions", f"{len(value)} exceptions for {len(choices)} assets: list each asset once.")
    read: dict[str, tuple[Decision, str | None]] = {}
    for index, entry in enumerate(value):
        at = f"exceptions[{index}]"
        fields = _read_object(at, entry, {"asset", "decision", "comment"})
        asset = _read_choice(f"{at}.asset", fields.get("asset"), choices)
        if asset in read:
            raise _Unreadable(f"{at}.asset", f"“{asset}” is listed twice: one exception for each asset.")
        read[asset] = _read_verdict(f"{at}.", fields, sheet)
    return read


def _read_verdict(prefix: str, fields: Mapping[str, Any], sheet: ReviewSheet) -> tuple[Decision, str | None]:
    allowed = [str(decision) for decision in sheet.decisions]
    decision = Decision(_read_choice(f"{prefix}decision", fields.get("decision"), allowed))
    comment = _read_comment(f"{prefix}comment", fields.get("comment"))
    if comment is None and decision in sheet.explained:
        said = decision.replace("_", " ")
        goes_on = decision in (Decision.RELEASE, Decision.REOPEN, Decision.WAIVE)
        why = "why it may go on" if goes_on else "what is wrong"
        raise _Unreadable(f"{prefix}comment", f"“{said}” needs a comment that says {why}.")
    return decision, comment


def _read_comment(field: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _Unreadable(field, f"A comment must be text; found {_kind(value)}.")
    if len(value) > COMMENT_LIMIT:
        raise _Unreadable(field, f"A comment has at most {COMMENT_LIMIT:,} characters; this one has {len(value):,}.")
    for char in value:
        if unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\r\t":
            raise _Unreadable(field, f"A comment holds the character U+{ord(char):04X}, which is not text: remove it.")
    return value.strip() or None


def _read_person(value: Any, people: Mapping[str, Reviewer]) -> Reviewer:
    """Neither what was said nor who is offered is quoted: a refusal outlives the people whom it would name."""
    if isinstance(value, str) and value in people:
        return people[value]
    found = "missing" if value is None else "nobody of this form" if isinstance(value, str) else _kind(value)
    raise _Unreadable("reviewer", f"reviewer is {found}: choose yourself from the list of the form.")


def _read_code(value: Any) -> str:
    """What was found is never quoted: a refusal stands on top of the next form, which others read."""
    if isinstance(value, str) and is_code(value):
        return value
    found = "missing" if value is None else "not six digits" if isinstance(value, str) else _kind(value)
    raise _Unreadable("code", f"code is {found}: type the six digits that your authenticator app shows.")


def _read_choice(field: str, value: Any, choices: list[str]) -> str:
    if isinstance(value, str) and value in choices:
        return value
    offered = ", ".join(f"“{choice}”" for choice in choices[:10]) + (", …" if len(choices) > 10 else "")
    if value is None:
        raise _Unreadable(field, f"{field} is missing: choose one of {offered}.")
    found = f"“{value[:60]}”" if isinstance(value, str) else _kind(value)
    raise _Unreadable(field, f"{field} is {found}: choose one of {offered}.")


def _read_object(field: str, value: Any, names: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _Unreadable(field, f"{field or 'The form'} must be an object; found {_kind(value)}.")
    if _HYDRATED in value:
        raise _Unreadable(field, f"{field or 'The form'} holds a Prefect reference; write the value itself.")
    if unknown := sorted(str(name)[:40] for name in value if name not in names):
        known = ", ".join(sorted(names))
        raise _Unreadable(field, f"{field or 'The form'} holds unknown fields {', '.join(unknown)}; known: {known}.")
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", bool: "true or false", int: "a number", float: "a number", str: "text"}
    if isinstance(value, Mapping) and _HYDRATED in value:
        return "a Prefect reference"
    return names.get(type(value), type(value).__name__)
