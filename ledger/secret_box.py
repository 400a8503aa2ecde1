"""Secrets at rest: sealed with the identity key (AES-256-GCM), each bound to the row that it stands in."""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ledger.errors import LedgerError

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class IdentityKeyUnknown(LedgerError):
    """A secret was sealed with a key that is not here."""

    def __init__(self, key_id: str) -> None:
        """`key_id` of the key that opens it."""
        super().__init__(
            f"a secret is sealed with the identity key {key_id}, which is not here; put that key into "
            "<home>/identity-key or the setting identity.key (an earlier one: identity.previous_key)"
        )
        self.key_id = key_id

    def __reduce__(self) -> tuple[type[IdentityKeyUnknown], tuple[str]]:
        """Survive the way from a task's process to the flow's."""
        return (type(self), (self.key_id,))


class SecretUnreadable(LedgerError):
    """A sealed secret was changed, or stands in another place than it was sealed for."""

    def __init__(self, place: str) -> None:
        """`place` that it should be good for."""
        super().__init__(
            f"the secret of {place} does not open: it was changed or moved. Have the person enrol anew "
            "(`signoff people recover`, then `signoff people enrol`), and ask who had the ledger's database"
        )
        self.place = place

    def __reduce__(self) -> tuple[type[SecretUnreadable], tuple[str]]:
        """Survive the way from a task's process to the flow's."""
        return (type(self), (self.place,))


def key_id(key: bytes) -> str:
    """What a key is called in the ledger: it tells keys apart and nothing about them.

    >>> key_id(bytes(32))
    '31d353340d1ccb5d'
    """
    return hashlib.sha256(b"signoff identity key" + key).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The identity keys of an installation: everything is sealed with the current one, the others still open.

    `keys`: each of 32 bytes, by `key_id`; never shown.
    """

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def of(cls, current: bytes, *earlier: bytes) -> KeyRing:
        """The ring of a current key and earlier ones."""
        return cls(key_id(current), {key_id(key): key for key in (current, *earlier)})


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed secret: which key opens it, and nonce and ciphertext in base 64."""

    key_id: str
    text: str = field(repr=False)


def seal_secret(ring: KeyRing, secret: str, place: str) -> Sealed:
    """Seal a secret for one place (such as `person 7, secret 3`): moved anywhere else, it does not open."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # here: who signs nothing does not need it

    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(ring.keys[ring.current]).encrypt(nonce, secret.encode(), place.encode())
    return Sealed(ring.current, b64encode(nonce + sealed).decode())


def open_secret(ring: KeyRing, sealed: Sealed, place: str) -> str:
    """The secret that was sealed for this place.

    Raises `IdentityKeyUnknown` when the ring lacks its key, `SecretUnreadable` when it was changed or moved.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = ring.keys.get(sealed.key_id)
    if key is None:
        raise IdentityKeyUnknown(sealed.key_id)
    try:
        data = b64decode(sealed.text, validate=True)
        return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], place.encode()).decode()
    except (InvalidTag, ValueError) as error:
        raise SecretUnreadable(place) from error
