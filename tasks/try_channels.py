"""Try the channels of one person: a message that says so, through each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.outbox import addressee, groups_of_people
from policies.notice_text import MessageText
from tasks.channels import deliver, open_channel
from tasks.errors import ChannelUnusable
from tasks.notice_messages import every_route
from tasks.resources import Resources

_TEXT = MessageText("Signoff: a test", "This is a test: messages of Signoff reach you here. There is nothing to do.")


@dataclass(frozen=True, slots=True)
class Tried:
    """A channel of a person: its name in the settings, its kind if it can be used, and why it took nothing."""

    channel: str
    kind: str | None
    reason: str | None

    def document(self) -> Mapping[str, Any]:
        """As the JSON contract has it."""
        return {"channel": self.channel, "kind": self.kind, "taken": self.reason is None, "reason": self.reason}


def try_channels(resources: Resources, handle: str) -> list[Tried]:
    """Send a test through every channel by which this person would be told; nothing is written into the ledger.

    Raises `UnknownName` when nobody in the roster has this handle.
    """
    with resources.ledger.reading() as connection:
        person_id, email = addressee(connection, handle)
        groups = groups_of_people(connection).get(person_id, frozenset())
    settings, now = resources.settings.notices, resources.clock.now()
    tried = []
    for name, recipient in every_route(settings, handle, email, groups):
        kind = None
        try:
            channel = open_channel(name, settings.channels[name].get_secret_value())
            kind = channel.scheme
            refusal = deliver(channel, recipient, _TEXT, f"signoff-test-{now:%Y%m%dT%H%M%S.%f}", settings.timeout_s)
            tried.append(Tried(name, kind, None if refusal is None else refusal.reason))
        except ChannelUnusable as error:
            tried.append(Tried(name, kind, str(error)))
    return tried
