"""Which addresses a channel may have: the services that Signoff sends to, and no other plugin of Apprise's."""

from __future__ import annotations

import re
from typing import Final

LETTERS: Final = frozenset({"mailto", "mailtos"})
DATA: Final = frozenset({"json", "jsons"})
CHATS: Final = frozenset(
    {"discord", "gchat", "gotify", "gotifys", "mmost", "mmosts", "ntfy", "ntfys", "rocket", "rockets", "slack"}
    | {"tgram", "workflow", "workflows", "wxteams", "zulip"}
)
SCHEMES: Final = LETTERS | DATA | CHATS
"""What a message may go through. Nothing that runs a program, writes a file or acts on this machine is among them."""

_REFERENCE: Final = re.compile(r"(env):([A-Za-z_][A-Za-z0-9_]*)|(file):(.+)")
_FILES: Final = re.compile(r"(?i)[?&](template|pgp\w*)=")


def address_problem(address: str) -> str | None:
    """Why this is no address of a channel, without a word of it; None if it is one, or says where one stands.

    >>> address_problem("env:BRAND_ROOM"), address_problem("slack://a/b/c")
    (None, None)
    >>> address_problem("exec://rm")
    "has an address that begins with 'exec://'; allowed are env:NAME, file:PATH, or an Apprise URL that begins with \
discord, gchat, gotify, gotifys, json, jsons, mailto, mailtos, mmost, mmosts, ntfy, ntfys, rocket, rockets, slack, \
tgram, workflow, workflows, wxteams, zulip"
    """
    if reference_of(address):
        return None
    scheme, separator, _ = address.strip().partition("://")
    if separator and scheme.lower() in SCHEMES:
        return "has an address that reads a file of this machine" if _FILES.search(address) else None
    begins = f"that begins with {scheme[:12]!r}" if not separator else f"that begins with {f'{scheme[:12]}://'!r}"
    shown = begins if separator and scheme.isalnum() else "of another form"
    return f"has an address {shown}; allowed are env:NAME, file:PATH, or an Apprise URL that begins with " + ", ".join(
        sorted(SCHEMES)
    )


def reference_of(address: str) -> tuple[str, str] | None:
    """(`env` or `file`, where) if an address stands elsewhere.

    >>> reference_of("file:/run/secrets/room"), reference_of("file://etc/passwd")
    (('file', '/run/secrets/room'), None)
    """
    found = _REFERENCE.fullmatch(address.strip())
    if found is None or (found[4] or "").startswith("//"):
        return None
    return ("env", found[2]) if found[1] else ("file", found[4])


def scheme_of(address: str) -> str:
    """Kind of channel of an allowed address, such as `mailto`."""
    return address.strip().partition("://")[0].lower()
