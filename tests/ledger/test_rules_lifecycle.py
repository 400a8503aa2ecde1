"""Rule 2: states change only along the lifecycle, from where the version stands, and identities never change."""

from __future__ import annotations

from typing import Any

import pytest

from policies.lifecycle import TRANSITIONS, Action, State
from tests.ledger.raw_sql import REFUSED
from tests.ledger.state_museum import LATER, StateMuseum, museum

__all__ = ["museum"]

STATES = ("", *(str(state) for state in State))
LEGAL = frozenset((one.from_state, str(one.action), str(one.to_state)) for one in TRANSITIONS)
STALE = "signoff: rule 2: stale: the version is not in the state that the event starts from"
IMMUTABLE = "signoff: rule 2: the identity of a version is immutable"


def step(museum: StateMuseum, version_id: int, action: str, from_state: str | None, to_state: str | None, **more: Any):
    """A callable that appends the event of a step, with a reason and the right round."""
    begins_round = action in ("reopen", "review_again")
    columns = {"reason": "because", "round": museum.round_of(version_id) + begins_round, **more}
    return lambda: museum.raw.event(action, version_id, from_state=from_state, to_state=to_state, **columns)


def test_every_state_is_on_show(museum: StateMuseum) -> None:
    """The museum holds what its labels say."""
    shown = {museum.world.ask("SELECT state FROM versions WHERE version_id = ?", one)[0][0] or "": one
             for one in museum.versions.values()}  # fmt: skip
    assert shown == museum.versions
    assert set(shown) == set(STATES)


@pytest.mark.parametrize("action", [str(action) for action in Action])
@pytest.mark.parametrize("from_state", STATES)
def test_steps_outside_the_lifecycle_are_refused(museum: StateMuseum, from_state: str, action: str) -> None:
    """From every state, every action to every state that the lifecycle does not list."""
    version_id = museum.versions[from_state]
    outcomes = {
        to_state: museum.raw.attempt(step(museum, version_id, action, from_state, to_state))
        for to_state in STATES
        if (from_state, action, to_state) not in LEGAL
    }
    assert outcomes == dict.fromkeys(outcomes, "signoff: rule 2: this step is not in the lifecycle")


@pytest.mark.parametrize(("from_state", "action", "to_state"), sorted(LEGAL))
def test_steps_from_where_the_version_is_not_are_stale(
    museum: StateMuseum, from_state: str, action: str, to_state: str
) -> None:
    """Every legal step, tried on a version in each of the other states and on one that does not exist."""
    others = {state: one for state, one in museum.versions.items() if state != from_state} | {"none": 12_345}
    outcomes = {}
    for state, version_id in others.items():
        event = {"from_state": from_state, "to_state": to_state, "reason": "because", "round": 1}
        outcomes[state] = museum.raw.attempt(lambda v=version_id, e=event: museum.raw.event(action, v, **e))
    assert outcomes == dict.fromkeys(others, STALE)


@pytest.mark.parametrize(("from_state", "action", "to_state"), sorted(LEGAL))
@pytest.mark.parametrize("off", [-1, 1])
def test_rounds_are_counted(museum: StateMuseum, from_state: str, action: str, to_state: str, off: int) -> None:
    """No step may skip a round, repeat one, or begin one that it does not begin."""
    version_id = museum.versions[from_state]
    wrong = museum.round_of(version_id) + (action in ("reopen", "review_again")) + off
    refusal = museum.raw.attempt(step(museum, version_id, action, from_state, to_state, round=wrong))
    assert refusal == "signoff: rule 2: only reopen and review_again begin a new round"


@pytest.mark.parametrize(
    ("action", "from_state", "to_state"),
    [
        ("approve", None, "approved"),
        ("approve", "in_review", None),
        ("approve", None, None),
        ("publish", None, None),
        ("dispose", None, None),
    ],
)
def test_an_action_of_the_lifecycle_names_its_states(
    museum: StateMuseum, action: str, from_state: str | None, to_state: str | None
) -> None:
    """An event that only tells cannot bear the name of a step, nor a step hide one of its states."""
    refusal = museum.raw.attempt(step(museum, museum.versions["in_review"], action, from_state, to_state))
    assert refusal == "signoff: rule 2: an action of the lifecycle names the states it leads from and to"


@pytest.mark.parametrize("state", STATES[1:])
def test_no_update_sets_a_state(museum: StateMuseum, state: str) -> None:
    """From every state to every state, alone or with the sequence number of a real event of that version."""
    raw, version_id = museum.raw, museum.versions[state]
    last = "(SELECT MAX(seq) FROM events WHERE version_id = versions.version_id AND to_state IS NOT NULL)"
    for target in STATES[1:]:
        for also in ("", f", state_seq = {last}", ", state_seq = 999999"):
            sql = f"UPDATE versions SET state = ?{also} WHERE version_id = ?"
            refusal = raw.attempt(lambda sql=sql, target=target: raw.execute(sql, target, version_id))
            assert refusal == "signoff: rule 2: a state changes only through an event", (target, also)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ("sha256 = 'ff'", IMMUTABLE),
        ("number = 7", IMMUTABLE),
        ("asset_id = 900", IMMUTABLE),
        ("version_id = 901", IMMUTABLE),
        ("size_bytes = 7", IMMUTABLE),
        ("submitter = 'owners'", IMMUTABLE),
        ("submitter = NULL", IMMUTABLE),
        ("collection = 'summer'", IMMUTABLE),
        ("policy_sha256 = 'ff'", "signoff: rule 2: a state changes only through an event"),
        ("round = round + 1", "signoff: rule 2: a state changes only through an event"),
        ("archived_from = 'approved'", "signoff: rule 2: a state changes only through an event"),
        ("arrived_seq = 1", "signoff: rule 2: a state changes only through an event"),
    ],
)
def test_what_a_version_is_cannot_be_changed(museum: StateMuseum, change: str, refusal: str) -> None:
    """Bytes, number, asset, submitter, pinned policy, round: none by UPDATE."""
    raw, version_id = museum.raw, museum.versions["in_review"]
    sql = f"UPDATE versions SET {change} WHERE version_id = {version_id}"
    assert raw.attempt(lambda: raw.execute(sql)) == refusal


@pytest.mark.parametrize(
    ("born", "refusal"),
    [
        *(({"state": state}, "signoff: rule 2: a version is born without a state") for state in STATES[1:]),
        ({"state_seq": 1}, "signoff: rule 2: a version is born without a state"),
        ({"state_since": 1}, "signoff: rule 2: a version is born without a state"),
        ({"round": 2}, "signoff: rule 2: a version is born without a state"),
        ({"arrived_seq": 99}, "signoff: rule 2: a version is born without a state"),
        ({"archived_from": "rejected"}, "signoff: rule 2: a version is born without a state"),
        ({"number": 3}, "signoff: rule 2: a version is new bytes and takes the next number"),
        ({"number": 1}, "signoff: rule 2: a version is new bytes and takes the next number"),
        ({"sha256": "90" * 32}, "signoff: rule 2: a version is new bytes and takes the next number"),
        ({"version_id": 1}, "signoff: rule 2: a version is new bytes and takes the next number"),
        ({"asset_id": 4711, "number": 1}, "signoff: rule 2: a version is new bytes and takes the next number"),
        ({"policy_sha256": "ff" * 32}, "signoff: rule 2: a version is pinned to a policy that was activated"),
    ],
)
def test_births(museum: StateMuseum, born: dict[str, Any], refusal: str) -> None:
    """A version is born stateless, with new bytes, the next number, and an activated policy."""
    raw = museum.raw
    row = {"version_id": 950, "asset_id": 900, "number": 2, "sha256": "95" * 32, "size_bytes": 1}
    row |= {"collection": "spring", "policy_sha256": museum.world.policy}
    assert raw.attempt(lambda: raw.insert("versions", **row)) == ""
    assert raw.attempt(lambda: raw.insert("versions", **row | born)) == refusal


@pytest.mark.parametrize("how", ["INSERT OR REPLACE", "INSERT OR IGNORE", "REPLACE", "INSERT OR FAIL"])
@pytest.mark.parametrize("table", ["versions", "assets", "lifecycle", "custody"])
@pytest.mark.parametrize("museum", ["sqlite"], indirect=True)
def test_replacing_is_no_way_around(museum: StateMuseum, table: str, how: str) -> None:
    """SQLite's REPLACE skips delete triggers, and OR IGNORE would swallow a constraint: a refusal comes first."""
    raw = museum.raw
    columns = [row[1] for row in raw.execute(f"PRAGMA table_info({table})")]
    copied = f"{how} INTO {table} SELECT {', '.join(columns)} FROM {table} LIMIT 1"
    assert raw.attempt(lambda: raw.execute(copied)).startswith("signoff: rule 2: ")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO lifecycle VALUES ('submitted', 'publish', 'published', 'none')",
        "INSERT INTO lifecycle VALUES ('submitted', 'quarantine', 'quarantined', 'none') "
        "ON CONFLICT (from_state, action, to_state) DO UPDATE SET guard = 'none'",
        "UPDATE lifecycle SET to_state = 'published' WHERE action = 'open_gates'",
        "DELETE FROM lifecycle",
        "DELETE FROM lifecycle WHERE action = 'quarantine'",
        "DELETE FROM versions",
        "DELETE FROM assets",
        "UPDATE assets SET key = 'elsewhere'",
        "DELETE FROM custody",
        "UPDATE custody SET key = 'masters/other'",
        "UPDATE custody SET version_id = 900",
        "UPDATE custody SET released_at = 1 WHERE version_id = 900",
        "UPDATE custody SET released_at = NULL WHERE released_at IS NOT NULL",
        "INSERT INTO versions SELECT * FROM versions WHERE version_id = 900 "
        "ON CONFLICT (version_id) DO UPDATE SET state = 'published'",
    ],
)
def test_identities_and_the_lifecycle_are_immutable(museum: StateMuseum, sql: str) -> None:
    """Rows of the lifecycle, of versions, assets and custody are never changed or deleted."""
    raw = museum.raw
    assert raw.attempt(lambda: raw.execute(sql)).startswith("signoff: rule 2: ")


@pytest.mark.parametrize("museum", ["sqlite"], indirect=True)
def test_hidden_row_numbers_are_no_way_around(museum: StateMuseum) -> None:
    """A row could be taken by the rowid that SQLite hides; tables keyed by words have none."""
    raw = museum.raw
    with pytest.raises(REFUSED, match="no column named rowid"):
        raw.execute(
            "INSERT OR REPLACE INTO lifecycle (rowid, from_state, action, to_state, guard) VALUES (1, '', '', '', '')"
        )
    with pytest.raises(REFUSED, match="no column named rowid"):
        raw.execute("INSERT OR REPLACE INTO policies (rowid, sha256, name, body, stored_at) VALUES (1, 'x', '', '', 1)")


@pytest.mark.parametrize(
    ("state", "action", "to_state", "more", "refusal"),
    [
        ("published", "withdraw", "withdrawn", {"reason": None}, "this action needs a reason"),
        ("published", "withdraw", "withdrawn", {"reason": " "}, "this action needs a reason"),
        ("quarantined", "release", "submitted", {"reason": ""}, "this action needs a reason"),
        ("quarantined", "reject", "rejected", {"reason": None}, "this action needs a reason"),
        ("changes_requested", "reject", "rejected", {"reason": None}, "this action needs a reason"),
        ("rejected", "reopen", "submitted", {"reason": None}, "this action needs a reason"),
        ("withdrawn", "review_again", "in_review", {"reason": None}, "this action needs a reason"),
        ("submitted", "quarantine", "quarantined", {"reason": None}, "this action needs a reason"),
        ("archived", "restore", "rejected", {"reason": None}, "this action needs a reason"),
        ("archived", "restore", "withdrawn", {}, "restore leads to the state before archiving"),
        ("quarantined", "release", "submitted", {"actor": "system:sweep"},
         "release is for a person, while there is no newer version"),
        ("quarantined", "release", "submitted", {"actor": "person:999"},
         "release is for a person, while there is no newer version"),
        ("in_review", "supersede", "superseded", {}, "supersede needs a newer version that has left screening"),
        ("rejected", "reopen", "submitted", {"policy_sha256": "ff" * 32},
         "only reopen and review_again pin another policy, one that was activated"),
        ("in_review", "approve", "approved", {"policy_sha256": "ff" * 32},
         "only reopen and review_again pin another policy, one that was activated"),
    ],
)  # fmt: skip
def test_guards_of_steps(
    museum: StateMuseum, state: str, action: str, to_state: str, more: dict[str, Any], refusal: str
) -> None:
    """A legal step whose guard does not hold is refused, with what is missing."""
    tried = step(museum, museum.versions[state], action, state, to_state, **more)
    assert museum.raw.attempt(tried) == f"signoff: rule 2: {refusal}"


def test_who_rejected_does_not_reopen(museum: StateMuseum) -> None:
    """Another person may, who rejected may not."""
    raw, lea, ben = museum.raw, museum.world.person("lea"), museum.world.person("ben")
    rejected = museum.versions["rejected"]
    by_lea = step(museum, rejected, "reopen", "rejected", "submitted", actor=f"person:{lea}")
    by_ben = step(museum, rejected, "reopen", "rejected", "submitted", actor=f"person:{ben}")
    assert raw.attempt(by_lea) == "signoff: rule 2: who rejected a version does not reopen it"
    assert raw.attempt(by_ben) == ""


def test_submit_needs_custody(museum: StateMuseum) -> None:
    """Without its bytes in custody a version is not submitted; with them it is."""
    raw = museum.raw
    row = {"version_id": 950, "asset_id": 900, "number": 2, "sha256": "95" * 32, "size_bytes": 1}
    born = lambda: raw.insert("versions", **row, collection="spring", policy_sha256=museum.world.policy)  # noqa: E731
    submitted = lambda: raw.event("submit", 950, from_state="", to_state="submitted", at=LATER)  # noqa: E731
    assert raw.attempt(born, submitted) == "signoff: rule 2: submit needs the bytes in custody"
    assert raw.attempt(step(museum, 900, "submit", "", "submitted")) == ""
