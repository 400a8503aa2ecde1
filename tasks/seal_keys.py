"""The keys that seal the audit trail: a file of its owner's in the home, or given by the settings."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.seal import key_from_text, key_to_pem, new_key, public_text
from tasks.errors import NoPinnedKey, SealKeyExposed, SealKeyGiven, SealKeyMissing
from tasks.settings import Settings

KEY_FILE: Final = "seal-key"
PREVIOUS_FILE: Final = "seal-key.previous"
"""The key before, which has still to announce the present one."""


@dataclass(frozen=True, slots=True)
class SealKeys:
    """The key that shall sign, where it came from, and the key before it."""

    current: Ed25519PrivateKey
    origin: str
    previous: Ed25519PrivateKey | None = None

    @property
    def public_key(self) -> str:
        """The public key that whoever verifies pins."""
        return public_text(self.current)

    @property
    def public_keys(self) -> list[str]:
        """The public keys of all of them, the present one first."""
        return [public_text(key) for key in (self.current, self.previous) if key is not None]


def read_seal_keys(settings: Settings) -> SealKeys:
    """The signing keys. Raises `SealKeyMissing`, `SealKeyExposed` (others can read the file), `SealKeyUnreadable`."""
    given, before = settings.audit.key, settings.audit.previous_key
    if given is not None:
        previous = None if before is None else key_from_text(before.get_secret_value(), "setting audit.previous_key")
        return SealKeys(
            key_from_text(given.get_secret_value(), "setting audit.key"), settings.origins["audit.key"], previous
        )
    current = _read_file(settings.home / KEY_FILE)
    if current is None:
        raise SealKeyMissing(settings.home / KEY_FILE)
    return SealKeys(current, str(settings.home / KEY_FILE), _read_file(settings.home / PREVIOUS_FILE))


def has_seal_key(settings: Settings) -> bool:
    """Whether there is a key to sign with."""
    return settings.audit.key is not None or (settings.home / KEY_FILE).exists()


def make_seal_key(home: Path) -> bool:
    """Make the key file, readable by its owner only, unless there is one; returns whether it was made."""
    try:
        with _new_file(home, key_to_pem(new_key())) as made:
            os.link(made, home / KEY_FILE)  # takes no other file's place
    except FileExistsError:
        return False
    return True


def exchange_seal_key(settings: Settings) -> str:
    """Put a new key in the place of the present one, which is kept to announce it; returns the new public key.

    Killed between the two steps there are two copies of the present key, and nothing has changed. Raises `SealKeyGiven`
    when the key comes from the settings: it is exchanged there.
    """
    if settings.audit.key is not None:
        raise SealKeyGiven(settings.origins["audit.key"])
    keys, coming = read_seal_keys(settings), new_key()
    for key, name in ((keys.current, PREVIOUS_FILE), (coming, KEY_FILE)):
        with _new_file(settings.home, key_to_pem(key)) as made:
            made.replace(settings.home / name)
    return public_text(coming)


def pinned_keys(settings: Settings, given: Collection[str] = ()) -> tuple[list[str], str]:
    """The public keys to rely on, and where they come from: those given, those of the settings, or this home's own.

    Raises `NoPinnedKey` when nobody names one.
    """
    if given:
        return sorted({one.lower() for one in given}), "command line"
    if settings.audit.trusted_keys:
        return list(settings.audit.trusted_keys), settings.origins["audit.trusted_keys"]
    if not has_seal_key(settings):
        raise NoPinnedKey
    keys = read_seal_keys(settings)
    return keys.public_keys, keys.origin


class _new_file:
    """A file of its owner's only, on disk with what it holds; gone afterwards unless it was given another name."""

    def __init__(self, folder: Path, data: bytes) -> None:
        self.path, self.data = folder / f".{KEY_FILE}.{uuid4().hex[:8]}", data

    def __enter__(self) -> Path:
        number = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(self.data)
            file.flush()
            os.fsync(number)
        return self.path

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)


def _read_file(path: Path) -> Ed25519PrivateKey | None:
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None
    if path.stat().st_mode & 0o077:
        raise SealKeyExposed(path)
    return key_from_text(text, str(path))
