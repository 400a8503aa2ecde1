"""Every action says what decided it: which fields the event of each action has, in the code and in a ledger."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

import ledger as package
from ledger.engine import Ledger
from policies.lifecycle import Action
from tests.ledger.raw_sql import RawSql
from tests.ledger.test_verify_records import told  # noqa: F401 (a fixture: a ledger in which much has happened)

_VERSION = ("version_id", "round", "policy_sha256")
_MOVE = ("from_state", "to_state", *_VERSION)
_SIGNED = ("review", "review_round", "sha256", "signature", "comment_hash", "counted")
TOLD: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # along the lifecycle: before and after are columns
    "submit": (_MOVE, ("bucket", "key", "number", "sha256", "size_bytes", "custody")),
    "quarantine": ((*_MOVE, "rule", "reason"), ("facts", "verdict", "screening")),
    "open_gates": (_MOVE, ("facts", "verdict", "screening", "gates")),
    "approve": (_MOVE, ()),
    "request_changes": (_MOVE, ()),
    "reject": (_MOVE, ()),
    "release": ((*_MOVE, "reason"), (*_SIGNED, "findings")),
    "reopen": ((*_MOVE, "reason"), ()),
    "publish": ((*_MOVE, "effect_id"), ()),
    "republish": ((*_MOVE, "effect_id"), ()),
    "withdraw": ((*_MOVE, "reason"), ()),
    "review_again": ((*_MOVE, "reason"), ("gates",)),
    "supersede": (_MOVE, ("by_number",)),
    "archive": ((*_MOVE, "effect_id"), ()),
    "restore": ((*_MOVE, "effect_id"), ()),
    "dispose": ((*_MOVE, "effect_id"), ()),
    # about versions, their gates and effects
    "decide": (_VERSION, (*_SIGNED, "stage", "verdict", "on_behalf_of")),
    "say_of_held": (_VERSION, (*_SIGNED, "verdict")),
    "disown": (("version_id", "round"), ("person", "decision", "of_versions")),
    "recheck_rights": (_VERSION, ("before", "status", "digest", "clearance")),
    "open_effect": ((*_VERSION, "effect_id"), ("kind", "sha256")),
    "effect_cancelled": ((*_VERSION, "effect_id", "reason"), ("kind",)),
    "effect_failed": ((*_VERSION, "effect_id", "reason"), ("kind",)),
    "gate_cannot_pass": ((*_VERSION, "reason"), ("stage", "reviewers", "owner")),
    "change_eligibility": (_VERSION, ("gate", "stage", "added", "revoked", "before")),
    "change_stand_ins": (_VERSION, ("gate", "stage", "begin", "end")),
    "remind": ((*_VERSION, "rule"), ("rung", "planned_at", "due_before", "due_at")),
    "escalate": ((*_VERSION, "rule"), ("rung", "planned_at", "due_before", "due_at", "to", "added", "before")),
    "open_step": (("policy_sha256",), ("gates",)),
    # reviews: a round has a policy, and the number of its review
    "open_review": (_VERSION, ("review", "stage", "position")),
    "park_review": (("policy_sha256",), ("review", "round", "flow_run", "due_at", "basis")),
    "close_review": (("policy_sha256",), ("review", "round", "status")),
    "lose_run": (("policy_sha256", "reason"), ("review", "round", "flow_run")),
    "refuse_answer": (("reason",), ()),  # the run may belong to no review
    # policies, grants and what is not taken
    "store_policy": (("policy_sha256",), ("name", "rules")),
    "propose_policy": (("policy_sha256",), ()),
    "activate_policy": (("policy_sha256",), ("by", "seconded_by", "before")),
    "policy_check_failed": (("policy_sha256",), ("refuted", "stories")),
    "import_grants": ((), ("source", "sha256", "added", "changed", "retired", "grants")),
    "refuse_object": (("reason",), ("bucket", "key", "etag")),
    # people: no policy decides on them, and their names stay out of the chain
    "join_roster": ((), ("person",)),
    "leave_roster": ((), ("person",)),
    "join_group": ((), ("person", "group")),
    "leave_group": ((), ("person", "group")),
    "forget_person": ((), ("person", "comments")),
    "delegate": ((), ("delegation", "principal", "delegate", "from", "until")),
    "undelegate": ((), ("delegation", "principal", "delegate")),
    "begin_enrolment": ((), ("person", "secret")),
    "confirm_enrolment": ((), ("person", "secret")),
    "end_enrolment": ((), ("person", "secret", "for")),
    "recover_person": ((), ("person", "by", "second", "signed_by_code")),
    "seal_secrets": ((), ("key", "secrets")),
    "refuse_code": (("reason",), ("person", "purpose")),
    # messages and seals
    "send_notices": ((), ()),
    "give_up_notices": (("reason",), ("notices",)),
    "retry_notice": ((), ("notice", "anew")),
    "announce_seal_key": ((), ()),
    "replace_seal_key": ((), ()),
    "move_seals": ((), ("place", "before")),
}
"""Action → columns, and names among the details, that each event of it has; at, actor and flow run stand in all."""
_IN_OTHER_WORDS = {"remind", "escalate", "announce_seal_key", "replace_seal_key", "move_seals"}
"""Actions that reach their event through a variable."""


def test_no_action_is_left_out() -> None:
    """Whoever writes a new kind of event says here what it tells; each call that makes one names those columns."""
    calls = list(_drafts())
    assert {action for _, action, _ in calls} | _IN_OTHER_WORDS | {str(one) for one in Action} == TOLD.keys()
    for place, action, named in calls:
        wanted = set(TOLD[action][0])
        if action == "refuse_answer" and "details" not in named:
            wanted.discard("policy_sha256")
        assert wanted <= named, f"{place}: {action} does not name {wanted - named}"


def _drafts() -> list[tuple[str, str, set[str]]]:
    """(place, action, columns that are named) of every call in the package that makes an event of a known action."""
    found = []
    for path in sorted(Path(package.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Draft":
                named = {one.arg: one.value for one in node.keywords if one.arg}
                action = node.args[0] if node.args else named.get("action")
                positional = {"version_id"} if len(node.args) > 1 else set()
                if isinstance(action, ast.Constant):
                    found.append((f"{path.name}:{node.lineno}", str(action.value), {*named, *positional}))
    return found


@pytest.mark.parametrize("told", ["sqlite"], indirect=True)
def test_each_event_tells_what_decided_it(told: tuple[Ledger, RawSql]) -> None:  # noqa: F811
    """In a ledger where much has happened, no event lacks what its action tells; `at` and `actor` stand in all."""
    columns = ("from_state", "to_state", "version_id", "round", "policy_sha256", "rule", "reason", "effect_id")
    seen = set()
    for seq, action, actor, body, *values in told[1].execute(
        f"SELECT seq, action, actor, body, {', '.join(columns)} FROM events ORDER BY seq"
    ):
        wanted, names = TOLD[action]
        event = dict(zip(columns, values, strict=True))
        assert not [one for one in wanted if event[one] is None], (seq, action)
        assert not [one for one in names if one not in json.loads(body)["details"]], (seq, action)
        assert re.fullmatch(r"(system|operator|person):\w+", actor), (seq, actor)
        if action == "approve" and event["from_state"] == "submitted":
            assert event["rule"], seq
            assert "facts" in json.loads(body)["details"], seq
        seen.add(action)
    assert len(seen) >= 20
