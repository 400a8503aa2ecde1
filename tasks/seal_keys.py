"""The keys that seal the audit trail: a file of its owner's in the home, or given by the settings."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.seal import key_from_text, key_to_pem, new_key, public_text
from tasks.errors import NoPinnedKey, PermanentError, SealKeyExposed, SealKeyGiven, SealKeyMissing
from tasks.settings import Settings

KEY_FILE: Final = "seal-key"
PREVIOUS_FILE: Final = "seal-key.previous"
"""The key before, which has still to announce the present one."""
LOCK_FILE: Final = "seal-key.lock"
"""Locked by whoever exchanges the key; what it holds means nothing."""


class SealKeyExchanging(PermanentError):
    """Another process exchanges the signing key."""

    def __init__(self, home: Path) -> None:
        super().__init__(
            f"the signing key in {home} is being exchanged by another command; nothing was changed. Wait for it, and "
            "look at `signoff audit key` before you exchange the key again"
        )
        self.home = home

    def __reduce__(self) -> tuple[type[SealKeyExchanging], tuple[Path]]:
        return (type(self), (self.home,))


class SealKeyUnannounced(PermanentError):
    """The present signing key was announced by no seal yet, so it cannot be exchanged."""

    def __init__(self, public_key: str) -> None:
        super().__init__(
            f"key {public_key} was announced by no seal yet, so nothing was exchanged. The next seal "
            "announces it (deployment `seal-ledger`); run `signoff audit key --rotate` again after that"
        )
        self.public_key = public_key

    def __reduce__(self) -> tuple[type[SealKeyUnannounced], tuple[str]]:
        return (type(self), (self.public_key,))


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


@contextmanager
def hold_exchange(settings: Settings) -> Iterator[None]:
    """Let no other process of this home exchange the key meanwhile. Raises `SealKeyExchanging` when one does.

    Raises `SealKeyGiven` when the key comes from the settings: it is exchanged there; and what `read_seal_keys` raises.
    """
    if settings.audit.key is not None:
        raise SealKeyGiven(settings.origins["audit.key"])
    read_seal_keys(settings)
    number = os.open(settings.home / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(number, "r+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SealKeyExchanging(settings.home) from None
        yield  # the lock goes with the file, also when the process is killed


def exchange_seal_key(settings: Settings, signs_next: str | None) -> str:
    """Put a new key in the place of the present one, which is kept to announce it; returns the new public key.

    `signs_next` is the public key that the newest seal lets sign the next one, None when nothing is sealed. Killed
    between the two steps there are two copies of the present key, and nothing has changed. Hold the exchange meanwhile
    (`hold_exchange`). Raises `SealKeyGiven`, and `SealKeyUnannounced` while another key than the present one must sign
    next: that one would be written over.
    """
    if settings.audit.key is not None:
        raise SealKeyGiven(settings.origins["audit.key"])
    keys, coming = read_seal_keys(settings), new_key()
    if signs_next not in (None, keys.public_key):
        raise SealKeyUnannounced(keys.public_key)
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
