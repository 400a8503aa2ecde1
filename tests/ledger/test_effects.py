"""Effects: opened with the decision, completed once, cancelled when overtaken; failures leave them open."""

from __future__ import annotations

import pytest

from ledger.effects import (
    Carried,
    begin_effects,
    cancelled_attempts,
    complete_archivings,
    complete_publications,
    complete_withdrawals,
    custody_in_use,
    load_open_effects,
    note_cleared,
    note_failure,
    open_effects,
    published_custody,
)
from ledger.errors import RuleBroken, StaleVersion
from tests.ledger.approval_world import BRAND, RULE, ApprovalWorld, sha256_of


def test_an_open_effect_says_all_that_is_needed(world: ApprovalWorld) -> None:
    """Where the bytes are, what they are, where they go."""
    effect = world.effect(world.approved())
    sha256 = sha256_of("one")
    assert (effect.kind, effect.sha256, effect.state, effect.bucket, effect.key) == (
        "publish", sha256, "approved", "intake", "spring/a.jpg"
    )  # fmt: skip
    assert (effect.custody_form, effect.custody_bucket, effect.custody_key, effect.custody_etag) == (
        "copied", "workspace", f"masters/{sha256}", f"etag-{sha256[:8]}"
    )  # fmt: skip
    assert (effect.media_type, effect.attempts, effect.size_bytes) == ("image/jpeg", 0, 3)
    with world.ledger.reading() as connection:
        assert load_open_effects(connection, ["archive", "withdraw"]) == []
        assert load_open_effects(connection, ["publish"]) == [effect]


def test_publishing_replaces_the_version_before(world: ApprovalWorld) -> None:
    """Both happen in one transaction; the older is withdrawn as superseded, without an effect of its own."""
    older = world.published("spring/a.jpg", "one")
    newer = world.published("spring/a.jpg", "two")
    assert [world.state(older), world.state(newer)] == ["withdrawn", "published"]
    sql = "SELECT action, reason, effect_id FROM events WHERE version_id = ? ORDER BY seq DESC LIMIT 1"
    assert world.ask(sql, older) == [("withdraw", "superseded", None)]
    with world.ledger.reading() as connection:
        held = published_custody(connection, "intake", "spring/a.jpg")
        assert held is not None
        assert (held.version_id, held.sha256, held.custody_key) == (
            newer, sha256_of("two"), f"masters/{sha256_of('two')}"
        )  # fmt: skip
        assert published_custody(connection, "intake", "spring/b.jpg") is None


@pytest.mark.parametrize("how", ["twice", "cancelled"])
def test_a_closed_effect_is_not_completed(world: ApprovalWorld, how: str) -> None:
    """Completed twice, or cancelled while its bytes were moved: stale, and whoever carried it out is told which."""
    version_id = world.approved()
    carried = Carried(world.effect(version_id), {"key": "spring/a.jpg"})
    if how == "twice":
        with world.writing() as tx:
            complete_publications(tx, [carried])
    else:
        world.screen(world.submit("spring/a.jpg", "two"), "automatic", rule=RULE)
    events = world.ask("SELECT COUNT(*) FROM events")
    with pytest.raises(StaleVersion, match="an open effect") as caught, world.writing() as tx:
        complete_publications(tx, [carried])
    assert caught.value.version_ids == (version_id,)
    assert world.ask("SELECT COUNT(*) FROM events") == events


def test_a_batch_is_completed_whole_or_not_at_all(world: ApprovalWorld) -> None:
    """One stale effect among others: none is marked, so that they can be marked one by one."""
    first, second = world.approved("spring/a.jpg", "one"), world.approved("spring/b.jpg", "two")
    batch = [Carried(world.effect(first)), Carried(world.effect(second))]
    world.carry_out(second)
    with pytest.raises(StaleVersion) as caught, world.writing() as tx:
        complete_publications(tx, batch)
    assert caught.value.version_ids == (second,)
    assert world.state(first) == "approved"
    with world.writing() as tx:
        complete_publications(tx, batch[:1])
    assert world.state(first) == "published"


def test_withdrawing_and_publishing_again(world: ApprovalWorld) -> None:
    """Withdrawn for its rights, published again when they are good: the same bytes, by effects of their own."""
    version_id = world.withdrawn(reason="rights: expired")
    world.open_effect("publish", version_id, "rights: cleared")
    world.carry_out(version_id)
    assert world.state(version_id) == "published"
    assert world.story(version_id)[-4:] == ["open_effect", "withdraw", "open_effect", "republish"]


def test_a_withdrawal_keeps_its_reason(world: ApprovalWorld) -> None:
    """The event says what the effect was opened for."""
    version_id = world.published()
    world.open_effect("withdraw", version_id, "takedown: court order")
    with world.writing() as tx:
        complete_withdrawals(tx, [Carried(world.effect_now(tx, version_id), {"key": "spring/a.jpg"})])
    assert world.ask("SELECT reason FROM events WHERE action = 'withdraw'") == [("takedown: court order",)]


def test_archiving_moves_custody(world: ApprovalWorld) -> None:
    """The archive is the place of custody from then on; the working copy is needed while another version has it."""
    other = world.turned_down("spring/b.jpg", "one", "reject")
    version_id = world.archived("spring/a.jpg", "one")
    assert world.state(version_id) == "archived"
    rows = world.ask(
        "SELECT form, released_at IS NULL FROM custody WHERE version_id = ? ORDER BY custody_id", version_id
    )
    assert rows == [("copied", False), ("archived", True)]
    master = f"masters/{sha256_of('one')}"
    with world.ledger.reading() as connection:
        assert custody_in_use(connection, "workspace", [master, "masters/none"]) == {master}
    world.open_effect("archive", other, "old rejects")
    world.carry_out(other)
    with world.ledger.reading() as connection:
        assert custody_in_use(connection, "workspace", [master]) == set()


def test_archiving_from_another_state_is_stale(world: ApprovalWorld) -> None:
    """Superseded while its bytes were copied: the effect was cancelled, and the copy proves nothing."""
    version_id = world.turned_down("spring/a.jpg", "one", "request_changes")
    world.open_effect("archive", version_id, "old")
    carried = Carried(world.effect(version_id), {"bucket": "archive", "key": "k", "etag": "e"})
    world.screen(world.submit("spring/a.jpg", "two"), "review", BRAND)
    with pytest.raises(StaleVersion), world.writing() as tx:
        complete_archivings(tx, [carried])
    assert world.state(version_id) == "superseded"


def test_failures_leave_an_effect_open(world: ApprovalWorld) -> None:
    """A new reason is audited once; the effect waits for the next sweep; a closed one takes none."""
    version_id = world.approved()
    effect = world.effect(version_id)
    for error in ("store away", "store away", "bytes differ"):
        with world.writing() as tx:
            begin_effects(tx, [effect.effect_id])
            note_failure(tx, effect, error)
    failed = "SELECT reason FROM events WHERE action = 'effect_failed' ORDER BY seq"
    assert world.ask(failed) == [("store away",), ("bytes differ",)]
    assert world.ask("SELECT status, attempts, last_error FROM effects") == [("open", 3, "bytes differ")]
    world.carry_out(version_id)
    with world.writing() as tx:
        assert begin_effects(tx, [effect.effect_id]) == set()
        note_failure(tx, effect, "too late")
    assert world.ask("SELECT status, attempts, last_error FROM effects") == [("done", 3, "bytes differ")]


def test_what_a_cancelled_attempt_may_have_left_is_cleared_once(world: ApprovalWorld) -> None:
    """Only attempts that were begun can have left bytes behind."""
    begun, idle = world.approved("spring/a.jpg", "one"), world.approved("spring/b.jpg", "two")
    effect = world.effect(begun)
    with world.writing() as tx:
        assert begin_effects(tx, [effect.effect_id]) == {effect.effect_id}
    for key in ("spring/a.jpg", "spring/b.jpg"):
        world.screen(world.submit(key, "newer"), "review", BRAND)
    with world.ledger.reading() as connection:
        (left,) = cancelled_attempts(connection)
    assert (left.effect_id, left.bucket, left.key) == (effect.effect_id, "intake", "spring/a.jpg")
    with world.writing() as tx:
        note_cleared(tx, effect.effect_id, {"cleared": "removed"})
    with world.ledger.reading() as connection:
        assert cancelled_attempts(connection) == []
    assert [world.state(begun), world.state(idle)] == ["superseded", "superseded"]


def test_a_publication_ends_an_open_withdrawal_of_the_version_before(world: ApprovalWorld) -> None:
    """The older is withdrawn as superseded; what its own withdrawal may have deleted is looked at afterwards."""
    older = world.published("spring/a.jpg", "one")
    world.open_effect("withdraw", older, "rights: expired")
    effect = world.effect(older)
    with world.writing() as tx:
        begin_effects(tx, [effect.effect_id])
    newer = world.published("spring/a.jpg", "two")
    assert [world.state(older), world.state(newer)] == ["withdrawn", "published"]
    assert world.story(older)[-2:] == ["effect_cancelled", "withdraw"]
    with world.ledger.reading() as connection:
        assert [one.effect_id for one in cancelled_attempts(connection)] == [effect.effect_id]
    with pytest.raises(StaleVersion), world.writing() as tx:
        complete_withdrawals(tx, [Carried(effect)])


def test_a_second_open_effect_is_refused(world: ApprovalWorld) -> None:
    """In our words, with the rule; nothing of the transaction is kept."""
    version_id = world.withdrawn()
    world.open_effect("archive", version_id, "cold")
    with pytest.raises(RuleBroken, match=r"^rule 7: at most one open effect a version$"), world.writing() as tx:
        open_effects(tx, "publish", [version_id], reason="again")
    waiting = world.submitted("spring/c.jpg", "three")
    with pytest.raises(RuleBroken, match=r"^rule 5: this effect does not fit"), world.writing() as tx:
        open_effects(tx, "withdraw", [waiting])
