"""Carrying out effects: what fails stops nothing else, and what may not be in the library does not stay there."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from ledger.effects import begin_effects, load_open_effects
from ledger.transitions import cancel_open_effects
from tasks import carry_out_effects
from tasks.carry_out_effects import ATTEMPT_ENDS_WITHIN, EffectsSummary, carry_out, reconcile_key
from tasks.clock import OffsetClock
from tasks.errors import NotRestored, StorageAway
from tasks.hold_back import held_back
from tasks.resources import Resources
from tests.workplace import Workplace

pytestmark = pytest.mark.stack

ACTOR = "system:test"
MET_WITHIN_S = 60.0
NOTES = tuple(f"notes/{number}.txt" for number in range(3))


def put_notes(workplace: Workplace) -> dict[str, str]:
    """Notes that a rule approves; nothing is published yet. Key → SHA-256."""
    return {key: workplace.put(key, f"A note called {key} that a rule approves.") for key in NOTES}


@pytest.fixture
def unpublished(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> tuple[Workplace, dict[str, str]]:
    """A workplace whose notes are approved and not published."""
    sha256s = put_notes(workplace)
    with monkeypatch.context() as patched:
        patched.setattr("flows.ingest_assets.carry_out", lambda *_: EffectsSummary())
        workplace.ingest()
    assert set(workplace.states().values()) == {"approved"}
    return workplace, sha256s


def test_a_store_that_is_away_for_one_object_stops_no_other(
    unpublished: tuple[Workplace, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are published and marked, the trouble is raised, and the next sweep does the rest."""
    workplace, sha256s = unpublished
    real = workplace.resources.storage.copy

    def copy(source: Any, bucket: str, key: str, **options: Any) -> Any:
        if key == NOTES[0]:
            raise StorageAway("the store is away for this one")
        return real(source, bucket, key, **options)

    with monkeypatch.context() as patched:
        patched.setattr(workplace.resources.storage, "copy", copy)
        with pytest.raises(StorageAway, match="for this one"):
            carry_out(workplace.resources, ACTOR)
    assert workplace.states() == {NOTES[0]: "approved", NOTES[1]: "published", NOTES[2]: "published"}
    carry_out(workplace.resources, ACTOR)
    assert workplace.library() == sha256s


def test_two_sweeps_at_once_publish_each_version_once(
    unpublished: tuple[Workplace, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both list the same effects, copy the same bytes and come to mark them together: one of them marks each."""
    workplace, sha256s = unpublished
    listed, copied = Barrier(2, timeout=MET_WITHIN_S), Barrier(2, timeout=MET_WITHIN_S)

    def together(barrier: Barrier, real: Callable[..., Any]) -> Callable[..., Any]:
        def meet(*arguments: Any) -> Any:
            barrier.wait()
            return real(*arguments)

        return meet

    monkeypatch.setattr("tasks.carry_out_effects.held_back", together(listed, held_back))
    monkeypatch.setattr("tasks.carry_out_effects._complete", together(copied, carry_out_effects._complete))
    sweeps = [Resources(workplace.resources.settings) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        summaries = list(pool.map(lambda one: carry_out(one, ACTOR), sweeps))
    for one in sweeps:
        one.close()
    assert sum(one.done.get("publish", 0) for one in summaries) == len(NOTES)
    assert workplace.library() == sha256s
    assert workplace.states() == dict.fromkeys(NOTES, "published")
    assert workplace.rows("SELECT status, attempts FROM effects") == [("done", 2)] * len(NOTES)
    assert [workplace.actions(key).count("publish") for key in NOTES] == [1] * len(NOTES)
    assert carry_out(workplace.resources, ACTOR) == EffectsSummary()


def test_what_was_cancelled_before_its_turn_is_not_copied(
    unpublished: tuple[Workplace, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled between the listing of effects and the attempt: no byte reaches the library."""
    workplace, sha256s = unpublished
    resources = workplace.resources
    copied: list[str] = []

    def cancel_then_check(*arguments: Any) -> dict[int, str]:
        with resources.ledger.writing(resources.origin(ACTOR)) as tx:
            cancel_open_effects(tx, [arguments[1][0].version_id], "a takedown")
        return held_back(*arguments)

    def copy(source: Any, bucket: str, key: str, **options: Any) -> Any:
        copied.append(key)
        return real_copy(source, bucket, key, **options)

    real_copy = resources.storage.copy
    monkeypatch.setattr("tasks.carry_out_effects.held_back", cancel_then_check)
    monkeypatch.setattr(resources.storage, "copy", copy)
    assert carry_out(resources, ACTOR).done == {"publish": 2}
    assert sorted(copied) == sorted(workplace.library()) == sorted(list(sha256s)[1:])


def test_a_late_copy_of_a_cancelled_publication_is_taken_back(unpublished: tuple[Workplace, dict[str, str]]) -> None:
    """A run that dies after its effect was cancelled, and cleared up once, leaves nothing for long."""
    workplace, _ = unpublished
    resources = workplace.resources
    with resources.ledger.reading() as connection:
        (effect, *_) = load_open_effects(connection, ["publish"])
    with resources.ledger.writing(resources.origin(ACTOR)) as tx:
        begin_effects(tx, [effect.effect_id])
        cancel_open_effects(tx, [effect.version_id], "a takedown")
    others = set(NOTES) - {effect.key}
    for _ in range(2):
        workplace.client.put_object(Bucket=workplace.buckets.library, Key=effect.key, Body=b"a late copy")
        carry_out(resources, ACTOR)
        assert set(workplace.library()) == others
    assert workplace.rows(f"SELECT result FROM effects WHERE effect_id = {effect.effect_id}") == [(None,)]
    resources.clock = OffsetClock(ATTEMPT_ENDS_WITHIN + timedelta(minutes=1))
    carry_out(resources, ACTOR)
    cleared = workplace.rows(f"SELECT result FROM effects WHERE effect_id = {effect.effect_id}")
    assert cleared == [('{"cleared":"removed"}',)]


def test_bytes_that_cannot_be_put_back_are_removed(workplace: Workplace) -> None:
    """Strange bytes under a published key are replaced, or removed if those in custody are gone."""
    sha256s = put_notes(workplace)
    workplace.ingest()
    library, (key, gone, kept) = workplace.buckets.library, NOTES
    for one in (key, gone):
        workplace.client.put_object(Bucket=library, Key=one, Body=b"never approved")
    (custody,) = (row for row in workplace.story(gone)["custody"])
    workplace.client.delete_object(Bucket=custody["bucket"], Key=gone, VersionId=custody["object_version"])
    intake = workplace.buckets.intake
    assert reconcile_key(workplace.resources, intake, key) == "restored"
    with pytest.raises(NotRestored, match="does not exist"):
        reconcile_key(workplace.resources, intake, gone)
    assert reconcile_key(workplace.resources, intake, kept) == "kept"
    assert workplace.library() == {key: sha256s[key], kept: sha256s[kept]}
