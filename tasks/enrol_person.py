"""Authenticators of people: begun, confirmed, ended, recovered by two others; and the key that seals their secrets."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from ledger.enrolment import (
    EnrolmentRefused,
    begin_enrolment,
    confirm_enrolment,
    end_enrolment,
    keys_in_use,
    recover_person,
    seal_anew,
)
from ledger.errors import UnknownName
from ledger.notices import write_notices
from ledger.policy_store import active_policy
from ledger.roster import person_id_of, present_people
from ledger.signatures import NotSigned, enrolled_people, refuse_code, sign
from ledger.transaction import Transaction
from policies.one_time_code import enrolment_uri
from tasks.identity_keys import drop_previous_key, ensure_key_ring, exchange_key, read_key_ring
from tasks.resources import Resources
from tasks.sign_act import CodeRefused

ACTOR = "operator:people"


@dataclass(frozen=True, slots=True)
class Begun:
    """An enrolment that waits for a code: what the QR code says, and whether it will replace an authenticator."""

    handle: str
    uri: str
    replaces: bool


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """An exchange of the identity key: the id of the present one, and how many secrets it seals newly."""

    key_id: str
    secrets: int


def unsignable_stages(resources: Resources) -> list[str]:
    """What of the active policy too few enrolled people could sign, one sentence each; nothing without a policy."""
    with resources.ledger.reading() as connection:
        if active_policy(connection) is None:
            return []
        enrolled, people = enrolled_people(connection), present_people(connection)
    policy = resources.active_policy().document
    wanted = [(f"stage {one.name}", one.reviewers, one.quorum, one.signature) for one in policy.approval.stages]
    held = policy.screening.quarantine
    wanted.append(("the quarantine", held.owner, 1, held.signature))
    found = []
    for what, group, quorum, signature in wanted:
        members = [one for one in people if group in one["groups"]]
        signing = sum(one["person_id"] in enrolled for one in members)
        if signature == "totp" and signing < quorum:
            found.append(f"{what} wants {quorum} signed by people of {group}, of whom {signing} are enrolled")
    return found


def begin(resources: Resources, handle: str, old_code: str | None = None) -> Begun:
    """Make a secret for a person's authenticator; it counts once `confirm` was given a code of it.

    Raises `UnknownName`, `EnrolmentRefused` (an old code or a recovery is needed), `CodeRefused`.
    """
    ring = ensure_key_ring(resources.settings)
    with resources.ledger.writing(resources.origin(ACTOR)) as tx:
        begun = begin_enrolment(tx, ring, _person(tx.connection, handle), old_code, tx.origin.at)
    if isinstance(begun, NotSigned):
        raise CodeRefused(begun.words)
    return Begun(handle, enrolment_uri(begun.secret, handle), begun.replaces)


def confirm(resources: Resources, handle: str, code: str) -> None:
    """Let a person sign with the secret that was begun, for a code of it. Raises as `begin` does."""
    ring = ensure_key_ring(resources.settings)
    with resources.ledger.writing(resources.origin(ACTOR)) as tx:
        person = _person(tx.connection, handle)
        signed = confirm_enrolment(tx, ring, person, code, tx.origin.at)
        if not isinstance(signed, NotSigned):
            _warn(
                tx, person, "An authenticator was enrolled for you: your decisions are signed by its codes from now on."
            )
    if isinstance(signed, NotSigned):
        raise CodeRefused(signed.words)


def end(resources: Resources, handle: str, code: str) -> None:
    """Erase what a person signs with, for a code of theirs. Raises as `begin` does."""
    with resources.ledger.writing(resources.origin(ACTOR)) as tx:
        person = _person(tx.connection, handle)
        signed = sign(tx, read_key_ring(resources.settings), person, code, tx.origin.at, "unenrol")
        if isinstance(signed, NotSigned):
            refuse_code(tx, person, "unenrol", signed)
        else:
            end_enrolment(tx, person, "unenrolled")
            _warn(tx, person, "Your authenticator was taken out: you cannot sign until you enrol one.")
    if isinstance(signed, NotSigned):
        raise CodeRefused(signed.words)


def recover(resources: Resources, handle: str, by: str, second: str, codes: dict[str, str]) -> None:
    """End a person's authenticator without a code of it, by one who answers for people and one more person.

    Who answers for people are those of the group that owns the quarantine in the active policy: it owns what nobody
    else does. `codes`: handle → code, of those of the two who are enrolled. Raises as `begin` does, and
    `NoActivePolicy`.
    """
    group = resources.active_policy().document.screening.quarantine.owner
    with resources.ledger.writing(resources.origin(ACTOR)) as tx:
        ids = {one: _person(tx.connection, one) for one in (handle, by, second)}
        owners = [one["handle"] for one in present_people(tx.connection) if group in one["groups"]]
        if by not in owners:
            raise EnrolmentRefused(
                f"{by} is not in the group {group}, which answers for people (it owns the quarantine in the active "
                f"policy); its people are {', '.join(owners) or 'nobody'}. Nothing was changed"
            )
        ring, given = read_key_ring(resources.settings), {ids[one]: code for one, code in codes.items() if one in ids}
        refused = recover_person(tx, ring, ids[handle], (ids[by], ids[second]), given, tx.origin.at)
        if refused is None:
            _warn(tx, ids[handle], "Two people took your authenticator out so that you can enrol another one.")
    if refused is not None:
        raise CodeRefused(f"{by} and {second} sign a recovery, each with a code when enrolled. {refused.words}")


def rekey(resources: Resources) -> Rekeyed:
    """Exchange the identity key and seal everything anew; killed anywhere, it is gone on with when called again.

    Raises `IdentityKeyGiven` when the key comes from the settings and the one before does not.
    """
    ring = exchange_key(resources.settings)
    with resources.ledger.writing(resources.origin(ACTOR)) as tx:
        count = seal_anew(tx, ring)
    with resources.ledger.reading() as connection:
        in_use = set(keys_in_use(connection))
    if in_use <= {ring.current}:
        drop_previous_key(resources.settings)
    return Rekeyed(ring.current, count)


def _warn(tx: Transaction, person_id: int, text: str) -> None:
    """Tell a person what was done to their authenticator, wherever they are reached: it may not have been them."""
    occasion = f"authenticator {tx.last_seq}"
    said = f"{text} Was this not wanted by you? Tell those who run Signoff at once."
    write_notices(tx, "security", occasion, [person_id], {"text": said})


def _person(connection: sa.Connection, handle: str) -> int:
    person_id = person_id_of(connection, handle)
    if person_id is None:
        raise UnknownName(f"nobody in the roster has the handle {handle!r}; `signoff people list` shows who is there")
    return person_id
