"""A seal: a signed statement that the audit trail led to this hash at this event, and the chain that seals form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ledger.canonical import canonical_json
from ledger.errors import SealKeyUnreadable
from ledger.tables import from_micros, to_micros

FORMAT: Final = "signoff seal 1"
BEFORE_THE_FIRST: Final = "0" * 64
"""What stands for the digest of the seal before the first one."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What is signed. `previous` is the digest of the seal before; `next_key` announces who signs from the next on."""

    number: int
    seq: int
    hash: str
    sealed_at: datetime
    previous: str
    public_key: str
    next_key: str | None = None

    @property
    def body(self) -> bytes:
        """The signed bytes: canonical JSON."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        return canonical_json({**told, "sealed_at": to_micros(self.sealed_at), "format": FORMAT})

    @property
    def digest(self) -> str:
        """What the next seal names as the one before it."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def key_after(self) -> str:
        """The public key that signs the next seal."""
        return self.next_key or self.public_key


@dataclass(frozen=True, slots=True)
class SignedSeal:
    """A seal and its Ed25519 signature, in hexadecimal digits."""

    seal: Seal
    signature: str

    def to_bytes(self) -> bytes:
        """The object as it lies in the store."""
        return canonical_json({"body": self.seal.body.decode(), "signature": self.signature})


def new_key() -> Ed25519PrivateKey:
    """A fresh signing key."""
    return Ed25519PrivateKey.generate()


def public_text(key: Ed25519PrivateKey) -> str:
    """The public key of a signing key: 64 hexadecimal digits."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def key_to_pem(key: Ed25519PrivateKey) -> bytes:
    """A signing key as PEM (PKCS 8), which `openssl pkey` reads too."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_from_text(text: str, where: str) -> Ed25519PrivateKey:
    """The signing key that a PEM (PKCS 8), or its 32 bytes in hexadecimal digits, hold. Raises `SealKeyUnreadable`."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        if "-----BEGIN" not in text:
            return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text.strip()))
        key = load_pem_private_key(text.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError) as error:
        raise SealKeyUnreadable(where) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SealKeyUnreadable(where)
    return key


def sign_seal(seal: Seal, key: Ed25519PrivateKey) -> SignedSeal:
    """Sign a seal. Its `public_key` must be that of `key`."""
    if seal.public_key != public_text(key):
        raise ValueError("a seal is signed with the key that it names")
    return SignedSeal(seal, key.sign(seal.body).hex())


def read_seal(data: bytes) -> SignedSeal | str:
    """The seal that an object of the store holds if it is well signed by the key that it names, else what is wrong."""
    try:
        told = json.loads(data)
        body: str = told["body"]
        signature: str = told["signature"]
        values: dict[str, Any] = json.loads(body)
        if values.pop("format") != FORMAT:
            return "it has a format that this version of Signoff does not know"
        seal = Seal(**{**values, "sealed_at": from_micros(values["sealed_at"])})
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(seal.public_key))
        key.verify(bytes.fromhex(signature), body.encode())
        if seal.body != body.encode():
            return "it is not written as seals are"
    except InvalidSignature:
        return "its signature is not that of the key that it names"
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return "it is no seal"
    return SignedSeal(seal, signature)


@dataclass(frozen=True, slots=True)
class StoredSeal:
    """An object of the store that should be a seal: its number by its key, and what is in it."""

    number: int
    key: str
    object_version: str | None
    data: bytes


@dataclass(frozen=True, slots=True)
class SealChain:
    """The seals that can be relied on, in order, and what is wrong with the rest. `signers` are their public keys."""

    seals: tuple[Seal, ...]
    problems: tuple[str, ...]
    sealed: Mapping[int, str] = field(repr=False)
    """Hash by sequence number of every event that a reliable seal names."""

    @property
    def last(self) -> Seal | None:
        """The newest seal."""
        return self.seals[-1] if self.seals else None

    @property
    def signers(self) -> list[str]:
        """The public keys that signed, in order of first use."""
        return list(dict.fromkeys(seal.public_key for seal in self.seals))


def check_seals(stored: Iterable[StoredSeal], pinned: Collection[str], before: Seal | None = None) -> SealChain:
    """Decide which seals can be relied on when only the public keys in `pinned` are known to be genuine.

    Seals follow one another by number and digest; each is signed by the key of the one before, or by the key that it
    announced, or by a pinned one. A pinned key must have signed at least one of them: the later ones are then vouched
    for by announcements, the earlier ones by digests. Of several objects under one number (an object lock keeps what
    was there first) the first that fits counts; a second one that fits too, and says something else, is a problem.
    With `before` the seals continue one that is relied on already.
    """
    problems: list[str] = []
    seals: list[Seal] = []
    for number, genuine in _by_number(stored, problems):
        last = seals[-1] if seals else before
        misfits = [_misfit(seal, last, pinned) for seal in genuine]
        fitting = [seal for seal, reason in zip(genuine, misfits, strict=True) if reason is None]
        if not fitting:
            problems.append(f"seal {number}: {misfits[0]}")
            break  # what follows hangs on it
        if len(fitting) > 1:
            problems.append(f"seal {number}: there are {len(fitting)} different ones, each well signed")
        seals.append(fitting[0])
    if seals and before is None and not any(seal.public_key in pinned for seal in seals):
        named = ", ".join(dict.fromkeys(seal.public_key for seal in seals))
        problems.append(f"no seal was signed with a pinned key; signed was with {named}")
        seals = []
    return SealChain(tuple(seals), tuple(problems), {seal.seq: seal.hash for seal in seals})


def _by_number(stored: Iterable[StoredSeal], problems: list[str]) -> list[tuple[int, list[Seal]]]:
    found: dict[int, dict[str, Seal]] = {}
    spoilt: dict[int, str] = {}
    for one in stored:
        read = read_seal(one.data)
        if isinstance(read, str):
            spoilt[one.number] = read
        elif read.seal.number != one.number:
            spoilt[one.number] = f"it lies under number {one.number} and says {read.seal.number}"
        else:
            found.setdefault(one.number, {})[read.seal.digest] = read.seal
    problems.extend(f"seal {number}: {spoilt[number]}" for number in sorted(spoilt.keys() - found.keys()))
    return [(number, list(found[number].values())) for number in sorted(found)]


def _misfit(seal: Seal, before: Seal | None, pinned: Collection[str]) -> str | None:
    expected = before.number + 1 if before else 1
    if seal.number != expected:
        return f"seal {expected} is missing before it"
    if seal.previous != (before.digest if before else BEFORE_THE_FIRST):
        return "it does not follow the seal before it"
    if before is None:
        return None
    if seal.seq <= before.seq:
        return "it seals no later event than the seal before it"
    if seal.public_key != before.key_after and seal.public_key not in pinned:
        return f"its key {seal.public_key} was announced by no seal before it, and is not pinned"
    return None
