"""Rules 5, 6 and 7: bytes move through effects, one open at a time; one version is published; what is held stays."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from policies.lifecycle import State
from tests.ledger.approval_world import RULE, ApprovalWorld
from tests.ledger.state_museum import LATER, StateMuseum, museum

__all__ = ["museum"]

OWN_EFFECT = "signoff: rule 5: this action needs its own effect, done, for these bytes"
ONCE = "signoff: rule 5: an effect brings one change of state"
FIT = "signoff: rule 5: this effect does not fit the state or the bytes of the version"
ONE_OPEN = "signoff: rule 7: at most one open effect a version"
TERMS = "signoff: rule 7: an effect is closed once and keeps its terms"
KEPT = "signoff: rule 6: what is held or retained is not disposed of"
HOLD = "signoff: rule 6: a hold is placed once and released once"
FITTING = {
    "publish": {"approved", "withdrawn"},
    "withdraw": {"published"},
    "archive": {"withdrawn", "rejected", "superseded", "changes_requested", "quarantined"},
    "restore": {"archived"},
    "dispose": {"archived", "rejected", "superseded", "withdrawn"},
}

_numbers = count(1)
_ids = count(9_000)

Steps = Callable[[], Any]


class Press:
    """Callables that each try one thing on effects and publications by raw SQL."""

    def __init__(self, museum: StateMuseum) -> None:
        """On the museum's ledger."""
        self.raw, self.world, self.versions = museum.raw, museum.world, museum.versions

    def open(self, kind: str, version_id: int, **more: Any) -> Steps:
        """Insert an effect; its id is the version's, in the nine thousands of a kind."""
        ((sha256,),) = self.raw.execute("SELECT sha256 FROM versions WHERE version_id = ?", version_id)
        row = {"effect_id": self.id_of(kind, version_id), "version_id": version_id, "kind": kind, "sha256": sha256}
        row |= {"status": "open", "reason": "because", "opened_at": LATER} | more
        return lambda: self.raw.insert("effects", **row)

    def id_of(self, kind: str, version_id: int) -> int:
        """The id that `open` gives."""
        return 9_000 + 100 * sorted(FITTING).index(kind) + version_id % 100

    def close(self, kind: str, version_id: int, status: str = "done") -> Steps:
        """Close that effect."""
        effect_id = self.id_of(kind, version_id)
        return self.do("UPDATE effects SET status = ?, closed_at = ? WHERE effect_id = ?", status, LATER, effect_id)

    def step(self, action: str, state: str, to_state: str, version_id: int | None = None, **more: Any) -> Steps:
        """Append the event of a step from a state."""
        version_id = version_id or self.versions[state]
        ((number,),) = self.raw.execute("SELECT round FROM versions WHERE version_id = ?", version_id)
        columns = {"from_state": state, "to_state": to_state, "round": number, "reason": "rights", "at": LATER} | more
        return lambda: self.raw.event(action, version_id, **columns)

    def do(self, sql: str, *values: Any) -> Steps:
        """Send a statement."""
        return lambda: self.raw.execute(sql, *values)

    def attempt(self, *steps: Steps) -> str:
        """The refusal, or an empty string."""
        return self.raw.attempt(*steps)


@pytest.fixture
def press(museum: StateMuseum) -> Press:
    """Short ways to try things."""
    return Press(museum)


STEPS = [
    ("publish", "publish", "approved", "published"),
    ("republish", "publish", "withdrawn", "published"),
    ("withdraw", "withdraw", "published", "withdrawn"),
    ("archive", "archive", "rejected", "archived"),
    ("restore", "restore", "archived", "rejected"),
    ("dispose", "dispose", "superseded", "disposed"),
]


@pytest.mark.parametrize(("action", "kind", "state", "to_state"), STEPS)
def test_storage_steps_need_their_effect(press: Press, action: str, kind: str, state: str, to_state: str) -> None:
    """None, an open one, a cancelled one, one of another kind, another version's: refused. Its own, done: taken."""
    version_id = press.versions[state]
    own = press.id_of(kind, version_id)
    begun, done = press.open(kind, version_id), press.close(kind, version_id)
    took = press.step(action, state, to_state, effect_id=own)
    assert press.attempt(press.step(action, state, to_state)) == OWN_EFFECT
    assert press.attempt(begun, took) == "signoff: rule 7: an open effect must be done or cancelled first"
    assert press.attempt(begun, press.close(kind, version_id, "cancelled"), took) == OWN_EFFECT
    assert press.attempt(press.step(action, state, to_state, effect_id=4711)) == OWN_EFFECT
    assert press.attempt(begun, done, press.step(action, state, to_state)) == OWN_EFFECT
    assert press.attempt(begun, done, took) == ""


@pytest.mark.parametrize(("action", "kind", "state", "to_state"), STEPS)
def test_another_versions_effect_does_not_serve(
    press: Press, action: str, kind: str, state: str, to_state: str
) -> None:
    """An effect of the same kind that is done, but for another version, brings no step."""
    ways = {
        "approved": lambda w, k: w.approved(k, "other"),
        "withdrawn": lambda w, k: w.withdrawn(k, "other"),
        "published": lambda w, k: w.published(k, "other"),
        "rejected": lambda w, k: w.turned_down(k, "other", "reject"),
        "archived": lambda w, k: w.archived(k, "other"),
        "superseded": lambda w, k: w.superseded(k),
    }
    other = ways[state](press.world, f"effects/{next(_numbers)}.jpg")
    if state == "approved":
        effect_id = press.world.effect(other).effect_id
        begun = press.do("UPDATE effects SET status = 'done', closed_at = 1 WHERE effect_id = ?", effect_id)
        assert press.attempt(begun, press.step(action, state, to_state, effect_id=effect_id)) == OWN_EFFECT
        return
    foreign = [press.open(kind, other), press.close(kind, other)]
    taken = press.step(action, state, to_state, effect_id=press.id_of(kind, other))
    assert press.attempt(*foreign, taken) == OWN_EFFECT


def test_an_effect_is_used_once(press: Press) -> None:
    """The effect that published a version does not publish it again; nor does an effect serve two versions."""
    version_id = press.versions["withdrawn"]
    sql = "SELECT effect_id FROM effects WHERE version_id = ? AND kind = 'publish'"
    ((used,),) = press.raw.execute(sql, version_id)
    assert press.attempt(press.step("republish", "withdrawn", "published", effect_id=used)) == ONCE


@pytest.mark.parametrize("state", [str(state) for state in State])
@pytest.mark.parametrize("kind", sorted(FITTING))
def test_effects_fit_their_state(press: Press, state: str, kind: str) -> None:
    """Only the kinds that a state allows can be opened, and only for the version's own bytes."""
    version_id = press.versions[state]
    assert press.attempt(press.open(kind, version_id)) == ("" if state in FITTING[kind] else FIT)
    assert press.attempt(press.open(kind, version_id, sha256="ff" * 32)) == FIT


@pytest.mark.parametrize(
    ("kind", "action", "state", "to_state", "actor"),
    [
        ("archive", "reopen", "rejected", "submitted", "person:5"),
        ("dispose", "reopen", "rejected", "submitted", "person:5"),
        ("archive", "reopen", "changes_requested", "submitted", "system:ingest_assets"),
        ("archive", "reject", "changes_requested", "rejected", "system:enforce_deadlines"),
        ("archive", "reject", "quarantined", "rejected", "system:enforce_deadlines"),
    ],
)
def test_nobody_decides_against_an_open_effect(
    press: Press, kind: str, action: str, state: str, to_state: str, actor: str
) -> None:
    """While bytes are moved the version stays where it is: whoever decides otherwise cancels the effect first."""
    version_id = press.versions[state]
    ((number,),) = press.raw.execute("SELECT round FROM versions WHERE version_id = ?", version_id)
    decided = press.step(action, state, to_state, actor=actor, round=number + (action == "reopen"))
    begun, cancelled = press.open(kind, version_id), press.close(kind, version_id, "cancelled")
    assert press.attempt(decided) == ""
    assert press.attempt(begun, decided) == "signoff: rule 7: an open effect must be done or cancelled first"
    assert press.attempt(begun, cancelled, decided) == ""


def test_effects_belong_to_a_version(press: Press) -> None:
    """None is opened for a version that does not exist."""
    row = {"effect_id": next(_ids), "version_id": 4711, "kind": "publish", "sha256": "ff", "status": "open"}
    assert press.attempt(lambda: press.raw.insert("effects", **row, opened_at=1)) == FIT


def test_one_open_effect_a_version(press: Press) -> None:
    """A second one waits until the first is closed; none is born closed."""
    version_id = press.versions["withdrawn"]
    first, second = press.open("archive", version_id), press.open("publish", version_id)
    assert press.attempt(first, second) == ONE_OPEN
    assert press.attempt(first, press.close("archive", version_id, "cancelled"), second) == ""
    assert press.attempt(press.open("archive", version_id, status="done")) == ONE_OPEN
    assert press.attempt(press.open("archive", version_id, closed_at=1)) == ONE_OPEN
    assert press.attempt(press.open("archive", version_id, effect_id=1)) == ONE_OPEN


@pytest.mark.parametrize(
    "change",
    ["effect_id = 4711", "version_id = 1", "kind = 'publish'", "sha256 = 'ff'", "opened_at = 1", "reason = 'x'",
     "rule = 'x'", "storage_class = 'GLACIER'", "status = 'done'", "closed_at = 1"],
)  # fmt: skip
def test_terms_of_an_effect_are_immutable(press: Press, change: str) -> None:
    """An open effect keeps what it was opened for; its status and its end change together."""
    version_id = press.versions["withdrawn"]
    effect_id = press.id_of("archive", version_id)
    changed = press.do(f"UPDATE effects SET {change} WHERE effect_id = ?", effect_id)
    assert press.attempt(press.open("archive", version_id), changed) == TERMS


@pytest.mark.parametrize("status", ["done", "cancelled"])
@pytest.mark.parametrize(
    "change",
    ["status = 'open', closed_at = NULL", "status = 'cancelled'", "status = 'done'", "closed_at = 1", "attempts = 9"],
)
def test_an_effect_is_closed_once(press: Press, status: str, change: str) -> None:
    """What is done or cancelled stays so; what was cleared up after it can be noted once."""
    version_id = press.versions["withdrawn"]
    effect_id = press.id_of("archive", version_id)
    closed = [press.open("archive", version_id), press.close("archive", version_id, status)]
    noted = press.do("UPDATE effects SET result = '{}' WHERE effect_id = ?", effect_id)
    if change != f"status = '{status}'":
        changed = press.do(f"UPDATE effects SET {change} WHERE effect_id = ?", effect_id)
        assert press.attempt(*closed, changed) == TERMS
    assert press.attempt(*closed, noted) == ""
    assert press.attempt(*closed, noted, noted) == TERMS


@pytest.mark.parametrize("sql", ["DELETE FROM effects", "DELETE FROM effects WHERE status = 'cancelled'"])
def test_effects_are_not_deleted(press: Press, sql: str) -> None:
    """Done, open or cancelled."""
    assert press.attempt(press.do(sql)) == "signoff: rule 7: an effect is never deleted"


@pytest.mark.parametrize("how", ["REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE"])
@pytest.mark.parametrize("museum", ["sqlite"], indirect=True)
def test_replacing_is_no_way_around(press: Press, how: str) -> None:
    """REPLACE takes out no effect, by its id or by its being open."""
    assert press.attempt(press.do(f"{how} INTO effects SELECT * FROM effects")) == ONE_OPEN


def newer_than(world: ApprovalWorld, way: str) -> tuple[int, int]:
    """A published version, and a newer one of the same asset, approved by a rule, with its effect open."""
    key = f"effects/{next(_numbers)}-{way}.jpg"
    older = world.published(key, "older")
    newer = world.submit(key, "newer")
    world.screen(newer, "automatic", rule=RULE)
    return older, newer.version_id


@pytest.mark.parametrize("how", ["INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE"])
def test_at_most_one_version_is_published(press: Press, how: str) -> None:
    """Beside a published version no other one of the asset is published, whatever a conflict clause would do."""
    if not press.raw.is_sqlite:
        how = "INSERT"
    _, newer = newer_than(press.world, "one")
    effect_id = press.world.effect(newer).effect_id
    done = press.do("UPDATE effects SET status = 'done', closed_at = 1 WHERE effect_id = ?", effect_id)
    taken = press.step("publish", "approved", "published", newer, effect_id=effect_id, how=how)
    assert press.attempt(done, taken) == "signoff: rule 5: at most one version of an asset is published"


def test_superseded_is_a_reason_only_for_a_newer_publication(press: Press) -> None:
    """A published version gives way without an effect of its own only to a newer one that is about to be published."""
    older, newer = newer_than(press.world, "way")
    effect_id = press.world.effect(newer).effect_id
    done = press.do("UPDATE effects SET status = 'done', closed_at = 1 WHERE effect_id = ?", effect_id)
    cancelled = press.do("UPDATE effects SET status = 'cancelled', closed_at = 1 WHERE effect_id = ?", effect_id)
    gone = press.step("withdraw", "published", "withdrawn", older, reason="superseded")
    published = press.step("publish", "approved", "published", newer, effect_id=effect_id)
    refusal = "signoff: rule 5: superseded needs a newer version whose publish effect is done"
    assert press.attempt(gone) == refusal
    assert press.attempt(cancelled, gone) == refusal
    assert press.attempt(press.step("withdraw", "published", "withdrawn", reason="superseded")) == refusal
    assert press.attempt(done, gone, published) == ""


@pytest.mark.parametrize(("reason", "is_open"), [("takedown", False), ("person: asked", False), ("rights", True)])
def test_only_rights_bring_back_what_was_withdrawn(press: Press, reason: str, is_open: bool) -> None:
    """After a takedown nothing is published again without a new approval."""
    version_id = press.world.withdrawn(f"effects/{next(_numbers)}.jpg", "taken down", reason)
    begun = [press.open("publish", version_id), press.close("publish", version_id)]
    again = press.step("republish", "withdrawn", "published", version_id, effect_id=press.id_of("publish", version_id))
    refusal = "signoff: rule 5: only what was withdrawn for its rights is published again"
    assert press.attempt(*begun, again) == ("" if is_open else refusal)


def test_what_was_superseded_by_a_publication_does_not_come_back(press: Press) -> None:
    """The older version was withdrawn as superseded: it can neither be republished nor reviewed again."""
    world = press.world
    older, newer = newer_than(world, "back")
    world.carry_out(newer)
    assert [world.state(older), world.state(newer)] == ["withdrawn", "published"]
    begun = [press.open("publish", older), press.close("publish", older)]
    again = press.step("republish", "withdrawn", "published", older, effect_id=press.id_of("publish", older))
    assert press.attempt(*begun, again) == "signoff: rule 5: only what was withdrawn for its rights is published again"
    reviewed = press.step("review_again", "withdrawn", "in_review", older, round=2)
    assert press.attempt(reviewed) == (
        "signoff: rule 2: a version is not reviewed again once a newer one has left screening"
    )


def hold(press: Press, version_id: int, **more: Any) -> Steps:
    """Place a hold."""
    row = {"hold_id": next(_ids), "version_id": version_id, "matter": "case 7", "placed_by": "person:5"}
    return lambda: press.raw.insert("holds", **row | {"placed_at": LATER} | more)


def retain(press: Press, version_id: int, until_at: int) -> Steps:
    """Set a retention."""
    row = {"retention_id": next(_ids), "version_id": version_id, "until_at": until_at, "set_at": LATER}
    return lambda: press.raw.insert("retentions", **row)


def test_what_is_kept_is_not_disposed_of(press: Press) -> None:
    """A hold or a retention that is not over forbids the effect; without them it may open."""
    version_id = press.versions["rejected"]
    begun = press.open("dispose", version_id)
    released = press.do("UPDATE holds SET released_at = 1, released_by = 'person:5' WHERE version_id = ?", version_id)
    assert press.attempt(hold(press, version_id), begun) == KEPT
    assert press.attempt(hold(press, version_id), released, hold(press, version_id), begun) == KEPT
    assert press.attempt(hold(press, version_id), released, begun) == ""
    assert press.attempt(retain(press, version_id, LATER + 1), begun) == KEPT
    assert press.attempt(retain(press, version_id, LATER + 1), retain(press, version_id, 1), begun) == KEPT
    assert press.attempt(retain(press, version_id, LATER), begun) == ""


def test_the_disposal_itself_looks_again(press: Press) -> None:
    """Between the effect and the event a hold may have come: the event is refused."""
    version_id = press.versions["rejected"]
    begun = [press.open("dispose", version_id), press.close("dispose", version_id)]
    gone = press.step("dispose", "rejected", "disposed", effect_id=press.id_of("dispose", version_id))
    assert press.attempt(*begun, hold(press, version_id), gone) == KEPT
    assert press.attempt(*begun, retain(press, version_id, LATER + 1), gone) == KEPT
    assert press.attempt(*begun, gone) == ""


def test_no_hold_slips_into_an_open_disposal(press: Press) -> None:
    """It cancels the disposal first; what is disposed of cannot be held any more."""
    version_id = press.versions["rejected"]
    begun = press.open("dispose", version_id)
    cancelled = press.close("dispose", version_id, "cancelled")
    placed, kept = hold(press, version_id), retain(press, version_id, LATER)
    assert press.attempt(begun, placed) == "signoff: rule 6: a hold cancels an open disposal before it is placed"
    assert press.attempt(begun, kept) == "signoff: rule 6: a retention cancels an open disposal before it is set"
    assert press.attempt(begun, cancelled, placed) == ""
    gone = press.versions["disposed"]
    for late in (hold(press, gone), retain(press, gone, LATER), hold(press, 4711)):
        assert press.attempt(late) == "signoff: rule 6: what is disposed of cannot be kept"


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        ("DELETE FROM holds", HOLD),
        ("UPDATE holds SET matter = 'other'", HOLD),
        ("UPDATE holds SET version_id = 1", HOLD),
        ("UPDATE holds SET released_at = 1", HOLD),
        ("UPDATE holds SET released_at = 1, released_by = ' '", HOLD),
        ("UPDATE retentions SET until_at = 1", "signoff: rule 6: a retention is never shortened"),
        ("UPDATE retentions SET version_id = 1", "signoff: rule 6: a retention is never shortened"),
        ("DELETE FROM retentions", "signoff: rule 6: a retention is never shortened"),
    ],
)  # fmt: skip
def test_holds_and_retentions_stay(press: Press, sql: str, refusal: str) -> None:
    """A hold is only released, by somebody; a retention only followed by a longer one."""
    version_id = press.versions["rejected"]
    kept = [hold(press, version_id), retain(press, version_id, LATER)]
    assert press.attempt(*kept, press.do(sql)) == refusal


@pytest.mark.parametrize("table", ["holds", "retentions"])
@pytest.mark.parametrize("museum", ["sqlite"], indirect=True)
def test_no_hold_is_replaced(press: Press, table: str) -> None:
    """REPLACE takes out neither."""
    version_id = press.versions["rejected"]
    kept = [hold(press, version_id), retain(press, version_id, LATER)]
    again = press.do(f"REPLACE INTO {table} SELECT * FROM {table}")
    assert press.attempt(*kept, again).startswith("signoff: rule 6: ")
