"""Seals: signed, linked, handed from key to key; which can be relied on when somebody meddles with the store."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.canonical import canonical_json
from ledger.errors import SealKeyUnreadable
from ledger.seal import (
    BEFORE_THE_FIRST,
    Seal,
    SignedSeal,
    StoredSeal,
    key_from_text,
    key_to_pem,
    public_text,
    read_seal,
    sign_seal,
)
from ledger.seal_chain import check_seals

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(4)]
NAMES = [public_text(key) for key in KEYS]


PLACE = ("archive", "seals/")
LEDGER = f"{1:064x}"


def chain(
    *signers: int, announced: dict[int, int] | None = None, first: str = BEFORE_THE_FIRST, placed_from: int = 1
) -> list[SignedSeal]:
    """Seals signed by these keys in turn; `announced` says after which seal which key is announced.

    Those before `placed_from` are of the format that names no place.
    """
    made: list[SignedSeal] = []
    for number, signer in enumerate(signers, start=1):
        previous = made[-1].seal.digest if made else first
        coming = (announced or {}).get(number)
        seal = Seal(
            number, number * 10, f"{number:064x}", MONDAY + timedelta(hours=number), previous, NAMES[signer],
            None if coming is None else NAMES[coming],
            *((*PLACE, LEDGER) if number >= placed_from else ()),
        )  # fmt: skip
        made.append(sign_seal(seal, KEYS[signer]))
    return made


def stored(*seals: SignedSeal) -> list[StoredSeal]:
    """As they lie in the store."""
    return [StoredSeal(one.seal.number, f"seals/{one.seal.number}", "v1", one.to_bytes(), PLACE) for one in seals]


def test_a_seal_reads_back_as_it_was_written() -> None:
    """The signed bytes are canonical JSON with everything that is sealed."""
    (made,) = chain(0)
    assert read_seal(made.to_bytes()) == made
    assert json.loads(made.seal.body) == {
        "format": "signoff seal 2", "number": 1, "seq": 10, "hash": f"{1:064x}", "sealed_at": 1772445600000000,
        "previous": "0" * 64, "public_key": NAMES[0], "next_key": None, "bucket": "archive", "prefix": "seals/",
        "ledger": LEDGER,
    }  # fmt: skip


def test_a_seal_of_the_first_format_is_verified_still() -> None:
    """It names no place; a chain may begin with such seals and go on with those of today, not the other way round."""
    (old,) = chain(0, placed_from=2)
    assert json.loads(old.seal.body).keys() == {
        "format", "number", "seq", "hash", "sealed_at", "previous", "public_key", "next_key",
    }  # fmt: skip
    assert read_seal(old.to_bytes()) == old
    made = chain(0, 0, 0, placed_from=2)
    found = check_seals(stored(*made), NAMES[:1])
    assert (len(found.seals), found.problems) == (3, ())
    forgot = sign_seal(replace(made[2].seal, bucket=None, prefix=None, ledger=None), KEYS[0])
    found = check_seals(stored(*made[:2], forgot), NAMES[:1])
    assert (len(found.seals), found.problems) == (
        2, ("seal 3: it seals another ledger than the seal before it, or does not say which",),
    )  # fmt: skip


def test_a_seal_counts_only_where_and_for_what_it_was_signed() -> None:
    """Not in another bucket or under another prefix, though its key is genuine; nor behind one of another ledger."""
    made = chain(0, 0)
    elsewhere = [replace(one, place=("archive", "copies/")) for one in stored(*made)]
    found = check_seals(elsewhere, NAMES[:1])
    assert (found.seals, found.problems) == (
        (), ("seal 1: it was signed for s3://archive/seals/, not for this place",),
    )  # fmt: skip
    other = sign_seal(replace(made[1].seal, ledger="ab" * 32), KEYS[0])
    found = check_seals(stored(made[0], other), NAMES[:1])
    assert (len(found.seals), found.problems) == (
        1, ("seal 2: it seals another ledger than the seal before it, or does not say which",),
    )  # fmt: skip


def test_seals_say_how_the_ledger_began() -> None:
    """The first event is among those that are known from elsewhere, whenever the first seal was made."""
    made = chain(0, 0)
    assert check_seals(stored(*made), NAMES[:1]).sealed == {1: LEDGER, 10: f"{1:064x}", 20: f"{2:064x}"}
    assert check_seals(stored(*chain(0, placed_from=2)), NAMES[:1]).sealed == {10: f"{1:064x}"}


@pytest.mark.parametrize(
    "changes",
    [{"bucket": 7}, {"prefix": None}, {"ledger": "ff"}, {"bucket": "b" * 2_000}, {"format": "signoff seal 1"}],
)
def test_a_place_of_a_wrong_type_makes_no_seal(changes: dict[str, Any]) -> None:
    """Signed well or not; nor does a place in the format that has none."""
    (made,) = chain(0)
    body = canonical_json({**json.loads(made.seal.body), **changes}).decode()
    data = canonical_json({"body": body, "signature": KEYS[0].sign(body.encode()).hex()})
    assert read_seal(data) == "it is no seal"


def test_every_changed_character_is_noticed() -> None:
    """No byte of a seal can be another one: it is not read, or not as a well signed seal."""
    data = chain(0)[0].to_bytes()
    dice = random.Random(7)  # noqa: S311 (damage that can be repeated, not a secret)
    for _ in range(300):
        place = dice.randrange(len(data))
        changed = data[:place] + bytes([data[place] ^ (1 << dice.randrange(7))]) + data[place + 1 :]
        found = read_seal(changed)
        assert isinstance(found, str) or found.seal == read_seal(data).seal, changed  # type: ignore[union-attr]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'{"body": "{}", "signature": "00"}', b"\xff\xfe"])
def test_what_is_no_seal(data: bytes) -> None:
    """Anything may lie in a bucket."""
    assert read_seal(data) == "it is no seal"


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": "x"}, {"seq": True}, {"seq": 1.0}, {"seq": 0}, {"seq": 2**60}, {"seq": None}, {"number": "1"},
        {"number": False}, {"number": -1}, {"hash": 7}, {"hash": "f" * 63}, {"hash": "F" * 64}, {"previous": None},
        {"next_key": 1}, {"next_key": ""}, {"next_key": []}, {"sealed_at": "now"}, {"sealed_at": True},
        {"sealed_at": 2**60}, {"more": 1},
    ],
)  # fmt: skip
def test_values_of_a_wrong_type_make_no_seal(changes: dict[str, Any]) -> None:
    """Whoever has a key of their own can sign anything, well and in canonical form."""
    values = {**json.loads(chain(3)[0].seal.body), **changes}
    body = json.dumps(values, sort_keys=True, separators=(",", ":"))
    data = json.dumps({"body": body, "signature": KEYS[3].sign(body.encode()).hex()}).encode()
    assert read_seal(data) == "it is no seal"
    made = chain(0, 0)
    objects = [StoredSeal(1, "seals/1", "v0", data), *stored(*made), StoredSeal(3, "seals/3", "v0", data)]
    found = check_seals(objects, {NAMES[0]})
    assert (len(found.seals), found.problems) == (2, ("seal 3: it is no seal",))


@pytest.mark.parametrize("data", [b"[" * 16_000, json.dumps({"body": "[" * 16_000, "signature": "00" * 64}).encode()])
def test_depth_makes_no_seal(data: bytes) -> None:
    """Brackets by the thousand are no reason to stop."""
    assert read_seal(data) == "it is no seal"


def test_a_sound_chain_seals_its_events() -> None:
    """Every seal counts, in order, whatever the order in which the store lists them."""
    made = chain(0, 0, 0)
    found = check_seals(stored(*reversed(made)), {NAMES[0]})
    assert (found.seals, found.problems) == (tuple(one.seal for one in made), ())
    assert found.sealed == {1: LEDGER, 10: f"{1:064x}", 20: f"{2:064x}", 30: f"{3:064x}"}
    assert found.signers == [NAMES[0]]
    assert check_seals([], {NAMES[0]}).last is None


@pytest.mark.parametrize("pinned", [0, 1, 2])
def test_keys_are_handed_on(pinned: int) -> None:
    """Whoever pinned any of the keys relies on all seals: later ones are announced, earlier ones linked."""
    made = chain(0, 0, 1, 1, 2, announced={2: 1, 4: 2})
    found = check_seals(stored(*made), {NAMES[pinned]})
    assert (len(found.seals), found.problems, found.signers) == (5, (), NAMES[:3])


def test_a_key_that_nobody_announced() -> None:
    """The seals before it count; it does once it is pinned too, as after the loss of a key."""
    made = chain(0, 0, 1)
    found = check_seals(stored(*made), {NAMES[0]})
    assert len(found.seals) == 2
    assert found.problems == (f"seal 3: its key {NAMES[1]} was announced by no seal before it, and is not pinned",)
    assert check_seals(stored(*made), {NAMES[0], NAMES[1]}).problems == ()


def test_announcing_the_pinned_key_does_not_make_it_sign() -> None:
    """A forged chain cannot borrow trust by naming the genuine public key, which everybody knows."""
    found = check_seals(stored(*chain(3, 3, announced={2: 0})), {NAMES[0]})
    assert (found.seals, found.sealed) == ((), {})
    assert found.problems == (f"no seal was signed with a pinned key; signed was with {NAMES[3]}",)


def forged(made: list[SignedSeal], number: int, **changes: Any) -> list[SignedSeal]:
    """The chain with one seal changed and signed by somebody else."""
    changed = replace(made[number - 1].seal, public_key=NAMES[3], **changes)
    return [*made[: number - 1], sign_seal(changed, KEYS[3]), *made[number:]]


@pytest.mark.parametrize(
    ("damage", "kept", "problem"),
    [
        (lambda made: made[:2] + made[3:], 2, "seal 4: seal 3 is missing before it"),
        (lambda made: made[1:], 0, "seal 2: seal 1 is missing before it"),
        (lambda made: forged(made, 3), 2, f"seal 3: its key {NAMES[3]} was announced by no seal before it, and is not"),
        (lambda made: forged(made, 1), 1, "seal 2: it does not follow the seal before it"),
        (lambda made: [replace(made[0], signature="00" * 64), *made[1:]], 0, "seal 1: its signature is not that of"),
    ],
)
def test_meddling_with_the_store_is_named(damage: Any, kept: int, problem: str) -> None:
    """Removed, forged and spoilt seals; only what is before them counts, if a pinned key vouches for it."""
    found = check_seals(stored(*damage(chain(0, 0, 0, 0, 0))), {NAMES[0]})
    assert any(one.startswith(problem) for one in found.problems), found.problems
    assert len(found.seals) == (0 if kept == 1 else kept)


def test_an_object_laid_over_a_seal_hides_nothing() -> None:
    """The lock keeps the genuine version beneath; junk on top of it changes nothing."""
    made = chain(0, 0)
    junk = StoredSeal(2, "seals/2", "v2", b"{}")
    assert check_seals([*stored(*made), junk], {NAMES[0]}).problems == ()
    assert check_seals([*stored(made[0]), junk], {NAMES[0]}).problems == ("seal 2: it is no seal",)


def test_two_different_seals_of_one_number() -> None:
    """Whoever holds the key can sign two stories; the first one counts and both are reported."""
    made = chain(0, 0)
    other = sign_seal(replace(made[1].seal, hash="ff" * 32), KEYS[0])
    found = check_seals(stored(*made, other), {NAMES[0]})
    assert found.problems == ("seal 2: there are 2 different ones, each well signed",)
    assert found.sealed[20] == made[1].seal.hash


def test_a_stranger_does_not_take_a_number_away() -> None:
    """Somebody who may write to the store puts a seal of their own where the next one will be: it is passed over."""
    made = chain(0, 0, 0)
    theirs = sign_seal(replace(made[1].seal, public_key=NAMES[3], hash="ff" * 32), KEYS[3])
    found = check_seals([*stored(theirs), *stored(*made)], {NAMES[0]})
    assert (len(found.seals), found.problems) == (3, ())


def test_a_stranger_on_the_first_number_is_passed_over() -> None:
    """Whatever strangers sign for themselves, whole chains of it too, what a pinned key leads to is what counts."""
    made = chain(0, 0, 1, announced={2: 1})
    theirs = chain(3, 3, 3, 3, 2, announced={4: 2})
    far = sign_seal(replace(made[2].seal, number=9_999, public_key=NAMES[3]), KEYS[3])
    junk = StoredSeal(10_000, "seals/10000", "v1", b"{}")
    for pinned in (NAMES[0], NAMES[1]):
        found = check_seals([*stored(*theirs), *stored(*made), *stored(far), junk], {pinned})
        assert (found.seals, found.problems) == (tuple(one.seal for one in made), ())
    assert check_seals(stored(*theirs, *made[:1]), {NAMES[0]}).seals == (made[0].seal,)


def test_a_stranger_in_front_of_a_next_seal_with_an_early_event() -> None:
    """What is wrong with theirs is the key, whichever event it names."""
    made = chain(0)
    theirs = sign_seal(Seal(2, 1, "ff" * 32, MONDAY, made[0].seal.digest, NAMES[3]), KEYS[3])
    problem = f"seal 2: its key {NAMES[3]} was announced by no seal before it, and is not pinned"
    assert check_seals(stored(*made, theirs), {NAMES[0]}).problems == (problem,)


@pytest.mark.parametrize("number", [1, 2])
def test_of_two_genuine_seals_the_one_that_was_gone_on_with_counts(number: int) -> None:
    """The oldest leads nowhere, later seals name the other one: they stay reliable, and the fork is reported."""
    made = chain(0, 0, 0, 0)
    dead_end = sign_seal(replace(made[number - 1].seal, hash="ff" * 32), KEYS[0])
    found = check_seals([*stored(dead_end), *stored(*made)], {NAMES[0]})
    assert found.seals == tuple(one.seal for one in made)
    assert found.problems == (f"seal {number}: there are 2 different ones, each well signed",)
    following = check_seals([*stored(dead_end), *stored(*made[1:])], (), before=made[0].seal)
    assert following.seals == tuple(one.seal for one in made[1:])


def test_a_fork_of_the_key_before_the_pinned_one_is_reported() -> None:
    """It is genuine too: the seals that a pinned key leads to name it. Its own chain counts for nothing."""
    made = chain(0, 0, 1, announced={2: 1})
    other = sign_seal(replace(made[0].seal, hash="ff" * 32), KEYS[0])
    longer = [other]
    for one in range(2, 7):
        seal = Seal(one, one * 10, "ee" * 32, MONDAY, longer[-1].seal.digest, NAMES[0])
        longer.append(sign_seal(seal, KEYS[0]))
    found = check_seals(stored(*longer, *made), {NAMES[1]})
    assert found.seals == tuple(one.seal for one in made)
    assert found.problems[0] == "seal 1: there are 2 different ones, each well signed"


def test_seals_continue_one_that_is_relied_on() -> None:
    """After it the same rules hold; nothing is left to pin."""
    made = chain(0, 0, 1, 1, announced={2: 1})
    found = check_seals(stored(*made[2:]), (), before=made[1].seal)
    assert (found.seals, found.problems) == (tuple(one.seal for one in made[2:]), ())
    assert check_seals(stored(*made[3:]), (), before=made[1].seal).problems == ("seal 4: seal 3 is missing before it",)


def test_a_seal_under_another_number() -> None:
    """A genuine seal that was copied elsewhere seals nothing there."""
    made = chain(0, 0)
    copied = StoredSeal(3, "seals/3", "v1", made[1].to_bytes())
    assert check_seals([*stored(*made), copied], {NAMES[0]}).problems == ("seal 3: it lies under number 3 and says 2",)


def test_keys_are_read_as_pem_and_as_digits() -> None:
    """PEM, PEM on one line as environments carry it, and 64 digits; nothing else."""
    pem = key_to_pem(KEYS[1]).decode()
    for text in (pem, pem.replace("\n", "\\n"), "01" * 32, f" {'01' * 32}\n"):
        assert public_text(key_from_text(text, "here")) == NAMES[1]
    for text in ("", "01", "zz" * 32, pem[:40], pem.replace("PRIVATE", "PUBLIC")):
        with pytest.raises(SealKeyUnreadable, match="in here cannot be read"):
            key_from_text(text, "here")
