"""Putting one message through one channel, by Apprise; what went wrong is told without a word of the address."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from policies.notice_text import MessageText
from tasks.channel_address import CHATS, DATA, LETTERS, address_problem, reference_of, scheme_of
from tasks.errors import ChannelUnusable

_CODE: Final = re.compile(r"error=(\d{3})\b|Exception: \((\d{3}),|Exception: \{.*?: \((\d{3}),")
_SHORTEST: Final = 300
"""Characters of a message at least: what a service takes less of gets more than one."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel that can be used: its name in the settings, its kind, and where it leads, which no `repr` shows."""

    name: str
    scheme: str
    _address: str

    def __repr__(self) -> str:
        """Without the address."""
        return f"Channel({self.name!r}, {self.scheme!r})"

    @property
    def formats(self) -> bool:
        """Whether it takes some characters for more than themselves."""
        return self.scheme in CHATS

    def can_reach(self, recipient: str | None) -> bool:
        """Whether a message to this address of a person can go through it; None: to whom the channel itself names."""
        return recipient is None or self.scheme in LETTERS


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message did not go out; `perhaps_sent` when nobody can know; `answered` when the channel itself works."""

    reason: str
    perhaps_sent: bool = False
    answered: bool = False


def open_channel(name: str, address: str, environment: Mapping[str, str] = os.environ) -> Channel:
    """Find where a channel of the settings leads. Raises `ChannelUnusable`, which says what to mend and no secret."""
    if reference := reference_of(address):
        address = _looked_up(name, *reference, environment).strip()
    if reference_of(address) or (problem := address_problem(address)):
        raise ChannelUnusable(f"channel {name!r} {'refers on' if reference_of(address) else problem}")
    return Channel(name, scheme_of(address), address)


def _looked_up(name: str, kind: str, where: str, environment: Mapping[str, str]) -> str:
    if kind == "env":
        if not environment.get(where):
            raise ChannelUnusable(f"channel {name!r}: the environment variable {where} is not set where flows run")
        return environment[where]
    try:
        return (Path(where).read_text(encoding="utf-8").splitlines() or [""])[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ChannelUnusable(f"channel {name!r}: its file cannot be read ({type(error).__name__})") from None


def text_limit(channel: Channel) -> int:
    """Characters that a message through this channel may have."""
    return max(int(getattr(_plugin(channel, None, "", 1.0), "body_maxlen", 30_000)), _SHORTEST)


def deliver(
    channel: Channel, recipient: str | None, text: MessageText, message_id: str, timeout_s: float
) -> Refusal | None:
    """Put a message through a channel, to `recipient` or to whom the channel names; None when it was taken.

    `message_id` goes along where the channel has a place for it (a mail's header, a webhook's `Idempotency-Key` and
    `id`), the same whenever the same message is tried again. `timeout_s` bounds each answer that is waited for.
    Raises `ChannelUnusable`.
    """
    from apprise import Apprise
    from apprise.common import NotifyFormat

    with _overheard() as heard:
        sender = Apprise(asset=_asset())
        sender.add(_plugin(channel, recipient, message_id, timeout_s))
        taken = sender.notify(body=text.body, title=text.title, body_format=NotifyFormat.TEXT)
    return None if taken else _refusal("\n".join(heard))


def _asset() -> Any:
    from apprise import AppriseAsset

    return AppriseAsset(
        storage_mode="memory",  # nothing of it on disk
        app_id="Signoff",
        async_mode=False,
        interpret_escapes=False,
        interpret_emojis=False,
        http_redirects=False,  # a message goes where the operator said
    )


def _plugin(channel: Channel, recipient: str | None, message_id: str, timeout_s: float) -> Any:
    from apprise import Apprise, plugins

    with _overheard():
        found = plugins.url_to_dict(channel._address) or {}  # type: ignore[no-untyped-call]
        if found.get("schema") != channel.scheme:
            raise ChannelUnusable(f"channel {channel.name!r}: its {channel.scheme}:// address is not complete")
        found |= {"format": "text", "cto": timeout_s, "rto": timeout_s, "redirect": False}
        if recipient is not None:
            found["targets"] = [recipient]
        if channel.scheme in LETTERS:
            found["headers"] = {**found.get("headers", {}), "X-Signoff-Message": message_id}
        if channel.scheme in DATA:
            found["headers"] = {**found.get("headers", {}), "Idempotency-Key": message_id}
            found["payload"] = {**found.get("payload", {}), "id": message_id}
        plugin = Apprise.instantiate(found, asset=_asset())
    if plugin is None:
        raise ChannelUnusable(f"channel {channel.name!r}: its {channel.scheme}:// address is not complete")
    return plugin


def _refusal(heard: str) -> Refusal:
    """What may be said of a failure: a status or nothing. What Apprise says of it names hosts and recipients."""
    code = next((one for match in _CODE.finditer(heard) for one in match.groups() if one), None)
    if "timed out" in heard.lower() or "timeout" in heard.lower():
        return Refusal("it did not answer in time", perhaps_sent=True)
    if code is not None:
        return Refusal(f"it refused: status {code}", answered=True)
    return Refusal("it could not be reached, or refused")


_HEARD: Final[dict[int, list[str]]] = {}
"""Thread → what Apprise has said in it since it began to listen."""


def _keep_to_ourselves(record: logging.LogRecord) -> bool:
    """Let no handler have a record of Apprise's: it names addresses."""
    if (heard := _HEARD.get(record.thread or 0)) is not None:
        heard.append(record.getMessage())
    return False


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """What Apprise says in this thread, kept from every log."""
    logger = logging.getLogger("apprise")
    logger.addFilter(_keep_to_ourselves)  # once, however often it is added
    logger.setLevel(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # below that it writes the paths of webhooks
    thread = threading.get_ident()
    before = _HEARD.get(thread)
    heard = _HEARD[thread] = [] if before is None else before
    try:
        yield heard
    finally:
        if before is None:
            del _HEARD[thread]
