"""Actions and channels of a use: what may be done with content, and where it is shown.

A contract and a policy use the same closed words, so that a misspelt channel is refused or reported and never quietly
matches nothing. Groups of channels (`any`, `online`, `offline`) stand for all their channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import polars as pl


class UseAction(StrEnum):
    """What a grant permits or prohibits, and what a use asks for."""

    PUBLISH = "publish"
    DISTRIBUTE = "distribute"
    DERIVE = "derive"
    ARCHIVE = "archive"
    AI_INFER = "ai_infer"
    AI_TRAIN = "ai_train"
    DATA_MINE = "data_mine"


class Channel(StrEnum):
    """Where content is used: the leaves that groups of channels consist of."""

    WEB = "web"
    SOCIAL = "social"
    EMAIL = "email"
    APP = "app"
    PRINT = "print"
    OUTDOOR = "outdoor"
    BROADCAST = "broadcast"
    RETAIL = "retail"
    EVENTS = "events"
    EDITORIAL = "editorial"
    INTERNAL = "internal"


_ONLINE: Final = (Channel.WEB, Channel.SOCIAL, Channel.EMAIL, Channel.APP)
_OFFLINE: Final = (Channel.PRINT, Channel.OUTDOOR, Channel.BROADCAST, Channel.RETAIL, Channel.EVENTS)

CHANNELS: Final[Mapping[str, tuple[Channel, ...]]] = MappingProxyType(
    {"any": tuple(Channel), "online": _ONLINE, "offline": _OFFLINE, **{str(leaf): (leaf,) for leaf in Channel}}
)
"""Every known word → the channels it stands for; a channel stands for itself."""

NOT_COMMERCIAL: Final = frozenset({Channel.EDITORIAL, Channel.INTERNAL})
"""Channels on which people and property may be shown without their release."""

COMMERCIAL_ACTIONS: Final = frozenset({UseAction.PUBLISH, UseAction.DISTRIBUTE, UseAction.DERIVE})
"""Actions that show content, or something made of it, to others."""

_SPOKEN: Final = {Channel.SOCIAL: "social media", Channel.EVENTS: "event"}
_USES: Final = {
    UseAction.PUBLISH: "{channel} use",
    UseAction.DISTRIBUTE: "{channel} distribution",
    UseAction.DERIVE: "derived works for {channel} use",
    UseAction.ARCHIVE: "archiving",
    UseAction.AI_INFER: "AI processing",
    UseAction.AI_TRAIN: "AI training",
    UseAction.DATA_MINE: "data mining",
}


def use_in_words(action: UseAction, channel: Channel) -> str:
    """What a reviewer calls this use.

    >>> use_in_words(UseAction.PUBLISH, Channel.WEB), use_in_words(UseAction.AI_TRAIN, Channel.INTERNAL)
    ('web use', 'AI training')
    """
    return _USES[action].format(channel=_SPOKEN.get(channel, channel))


def channels_frame() -> pl.DataFrame:
    """One row (`code`, `channel`) for each channel of each known word, to join with."""
    pairs = [(code, str(leaf)) for code, leaves in CHANNELS.items() for leaf in leaves]
    return pl.DataFrame(pairs, schema={"code": pl.String, "channel": pl.String}, orient="row")


def uses_frame() -> pl.DataFrame:
    """One row (`action`, `channel`, `use`, `commercial`) for each action on each channel, to join with."""
    rows = [
        (
            str(action),
            str(leaf),
            use_in_words(action, leaf),
            action in COMMERCIAL_ACTIONS and leaf not in NOT_COMMERCIAL,
        )
        for action in UseAction
        for leaf in Channel
    ]
    schema = {"action": pl.String, "channel": pl.String, "use": pl.String, "commercial": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")
