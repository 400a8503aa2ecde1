"""A seal: a signed statement that the audit trail led to this hash at this event."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ledger.canonical import canonical_json
from ledger.errors import SealKeyUnreadable
from ledger.tables import from_micros, to_micros

FORMAT: Final = "signoff seal 2"
"""Since this one a seal names the place that it was signed for, and the ledger."""
FORMAT_WITHOUT_PLACE: Final = "signoff seal 1"
"""The one before, which is verified still."""
_PLACE: Final = ("bucket", "prefix", "ledger")
_LONGEST_NAME: Final = 1_024
BEFORE_THE_FIRST: Final = "0" * 64
"""What stands for the digest of the seal before the first one."""
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Seal:
    """What is signed. `previous` is the digest of the seal before; `next_key` announces who signs from the next on.

    `bucket` and `prefix` are the place that it is signed for, `ledger` is the hash of the ledger's first event: all
    three, or none of them in a seal of the first format.
    """

    number: int
    seq: int
    hash: str
    sealed_at: datetime
    previous: str
    public_key: str
    next_key: str | None = None
    bucket: str | None = None
    prefix: str | None = None
    ledger: str | None = None

    @property
    def place(self) -> tuple[str, str] | None:
        """Bucket and prefix that it was signed for; None: it does not say."""
        return None if self.bucket is None or self.prefix is None else (self.bucket, self.prefix)

    @property
    def body(self) -> bytes:
        """The signed bytes: canonical JSON."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        if self.bucket is None:
            told = {name: value for name, value in told.items() if name not in _PLACE}
        form = FORMAT_WITHOUT_PLACE if self.bucket is None else FORMAT
        return canonical_json({**told, "sealed_at": to_micros(self.sealed_at), "format": form})

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
        body, signature = told["body"], told["signature"]
        values: dict[str, Any] = json.loads(body)
        form = values.pop("format")
        if form not in (FORMAT, FORMAT_WITHOUT_PLACE):
            return "it has a format that this version of Signoff does not know"
        if not _has_types(values) or not (_has_place(values) if form == FORMAT else values.keys().isdisjoint(_PLACE)):
            return "it is no seal"
        if not _is_hex(signature, 128):
            return "it is no seal"
        seal = Seal(**{**values, "sealed_at": from_micros(values["sealed_at"])})
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(seal.public_key))
        key.verify(bytes.fromhex(signature), body.encode())
        if seal.body != body.encode():
            return "it is not written as seals are"
    except InvalidSignature:
        return "its signature is not that of the key that it names"
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return "it is no seal"
    return SignedSeal(seal, signature)


def _has_types(values: Mapping[str, Any]) -> bool:
    """Whether these are the values of a seal: anybody can sign anything with a key of their own."""
    next_key = values["next_key"]
    return (
        all(type(values[name]) is int and 0 < values[name] < 2**53 for name in ("number", "seq"))
        and type(values["sealed_at"]) is int
        and all(_is_hex(values[name], 64) for name in ("hash", "previous", "public_key"))
        and (next_key is None or _is_hex(next_key, 64))
    )


def _has_place(values: Mapping[str, Any]) -> bool:
    names = [values[name] for name in ("bucket", "prefix")]
    return all(isinstance(one, str) and len(one) <= _LONGEST_NAME for one in names) and _is_hex(values["ledger"], 64)


def _is_hex(value: object, digits: int) -> bool:
    return isinstance(value, str) and len(value) == digits and not set(value) - _HEX


@dataclass(frozen=True, slots=True)
class StoredSeal:
    """An object of the store that should be a seal: its number by its key, and what is in it.

    `place`: bucket and prefix where it lies. `etag`: of an object that has no newer one, nor a deletion, above it.
    """

    number: int
    key: str
    object_version: str | None
    data: bytes
    place: tuple[str, str] | None = None
    etag: str | None = None
