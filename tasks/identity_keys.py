"""The identity key, which seals the secrets of people's authenticators: a file of its owner's, or given by settings."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final
from uuid import uuid4

from ledger.secret_box import KEY_BYTES, KeyRing
from tasks.errors import PermanentError
from tasks.settings import Settings

KEY_FILE: Final = "identity-key"
PREVIOUS_FILE: Final = "identity-key.previous"
"""The key before, while there may be secrets that it sealed."""


class IdentityKeyUnusable(PermanentError):
    """The identity key is none, or others can read it."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"the identity key in {where} {problem}")
        self.where, self.problem = where, problem

    def __reduce__(self) -> tuple[type[IdentityKeyUnusable], tuple[str, str]]:
        return (type(self), (self.where, self.problem))


class IdentityKeyGiven(PermanentError):
    """The identity key comes from the settings, so it is exchanged there."""

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"the identity key comes from {origin}: put the new one there (identity.key), the one before into "
            "identity.previous_key, on every machine, and run `signoff people rekey` again"
        )
        self.origin = origin

    def __reduce__(self) -> tuple[type[IdentityKeyGiven], tuple[str]]:
        return (type(self), (self.origin,))


def read_key_ring(settings: Settings) -> KeyRing | None:
    """The identity keys of this installation; None where there is none yet. Raises `IdentityKeyUnusable`."""
    given, before = settings.identity.key, settings.identity.previous_key
    if given is not None:
        current = _parsed(given.get_secret_value(), settings.origins["identity.key"])
        earlier = [] if before is None else [_parsed(before.get_secret_value(), "setting identity.previous_key")]
        return KeyRing.of(current, *earlier)
    keys = [key for name in (KEY_FILE, PREVIOUS_FILE) if (key := _read(settings.home / name)) is not None]
    if not (settings.home / KEY_FILE).exists():
        return None
    return KeyRing.of(*keys)


def ensure_key_ring(settings: Settings) -> KeyRing:
    """The identity keys; without any, a file with a new one is made, readable by its owner only."""
    found = read_key_ring(settings)
    if found is not None:
        return found
    settings.home.mkdir(parents=True, exist_ok=True)
    _write(settings.home / KEY_FILE, secrets.token_bytes(KEY_BYTES), take_place=False)
    made = read_key_ring(settings)
    if made is None:
        raise IdentityKeyUnusable(str(settings.home / KEY_FILE), "was taken away while it was made; run this again")
    return made


def exchange_key(settings: Settings) -> KeyRing:
    """Put a new key in the place of the present one, which is kept beside it until everything is sealed anew.

    While the key before is still there, an exchange was not finished: it is gone on with, and no third key made. Raises
    `IdentityKeyGiven` when the settings give the key and none before it: it is exchanged there.
    """
    if settings.identity.key is not None:
        if settings.identity.previous_key is None:
            raise IdentityKeyGiven(settings.origins["identity.key"])
    elif not (settings.home / PREVIOUS_FILE).exists():
        ensure_key_ring(settings)
        present = _read(settings.home / KEY_FILE)
        if present is not None:
            _write(settings.home / PREVIOUS_FILE, present, take_place=True)
        _write(settings.home / KEY_FILE, secrets.token_bytes(KEY_BYTES), take_place=True)
    return ensure_key_ring(settings)


def drop_previous_key(settings: Settings) -> None:
    """Take the key before away, once nothing is sealed with it; a setting stays for the operator to take out."""
    (settings.home / PREVIOUS_FILE).unlink(missing_ok=True)


def _write(path: Path, key: bytes, *, take_place: bool) -> None:
    """A file of its owner's only, on disk with what it holds, whole or not at all."""
    made = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    number = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(number, "w", encoding="ascii") as file:
            file.write(f"{key.hex()}\n")
            file.flush()
            os.fsync(number)
        if take_place:
            made.replace(path)
        else:
            try:
                os.link(made, path)  # takes no other file's place
            except FileExistsError:
                return
    finally:
        made.unlink(missing_ok=True)


def _read(path: Path) -> bytes | None:
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None
    if path.stat().st_mode & 0o077:
        raise IdentityKeyUnusable(
            str(path), f"can be read by others; `chmod 600 {path}`, and exchange it (`signoff people rekey`)"
        )
    return _parsed(text.strip(), str(path))


def _parsed(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise IdentityKeyUnusable(where, f"cannot be read; allowed are {2 * KEY_BYTES} hexadecimal digits")
    return key
