"""What a message to a person says: everything that waits to be told, the most urgent first, nothing in it that acts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from policies.shown_text import plain_text

Show = Callable[..., str]
"""How foreign words are shown: `chat_text` or `letter_text`."""

TEXT_LIMIT: Final = 1_500
_AUTOLINK: Final = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
_WORD_JOINER: Final = "\N{WORD JOINER}"
_LOOKALIKES: Final = str.maketrans(dict(zip("<>[]*_~|`\\@#&!$", "‹›❲❳∗ˍ∼¦ʼ＼＠＃＆ǃ＄", strict=True)))


class Urgency(StrEnum):
    """How a message is ordered: what has to be done now, what waits, what is only told."""

    NOW = "To act on now"
    WAITING = "Waiting for you"
    TOLD = "To know"


_ORDER: Final = {urgency: place for place, urgency in enumerate(Urgency)}
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_URGENCY: Final[Mapping[str, Urgency]] = MappingProxyType(
    {
        **dict.fromkeys(("escalate", "security", "policy_broken", "roster_short", "integrity"), Urgency.NOW),
        **dict.fromkeys(("opened", "remind", "changes_requested"), Urgency.WAITING),
    }
)


@dataclass(frozen=True, slots=True)
class Told:
    """One notice as it is told: its kind, what it is made of, when it is due, where it can be answered."""

    kind: str
    body: Mapping[str, Any]
    due_at: datetime | None = None
    review: int | None = None
    key: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class MessageText:
    """Title and body of a message; `left_out` notices did not fit and are only counted in it."""

    title: str
    body: str
    left_out: int = 0


def chat_text(text: str, limit: int = TEXT_LIMIT) -> str:
    """`text` as one line that no chat formats, links, or takes for a mention, whatever dialect of markdown it reads.

    Characters that mean something in one of them give way to some that look alike; an escape that one reads, another
    one shows.

    >>> chat_text("<!channel> *[now](http://evil.example)* @lea")
    '‹ǃchannel› ∗❲now❳(http:\\u2060//evil.example)∗ ＠lea'
    """
    return _without_links(plain_text(text, limit)).translate(_LOOKALIKES)


def letter_text(text: str, limit: int = TEXT_LIMIT) -> str:
    """`text` as one line of plain text in which a mail program makes nothing of what it finds.

    >>> letter_text("see www.evil.example\\nBcc: x")
    'see www\\u2060.evil.example Bcc: x'
    """
    return _without_links(plain_text(text, limit)).replace("@", f"@{_WORD_JOINER}")


def urgency_of(told: Told, now: datetime) -> Urgency:
    """How urgent a notice is now: what is overdue has to be done now, whatever it said when it was written."""
    urgency = _URGENCY.get(told.kind, Urgency.TOLD)
    overdue = told.due_at is not None and told.due_at < now
    return Urgency.NOW if overdue and urgency is Urgency.WAITING else urgency


def message_text(notices: Sequence[Told], now: datetime, *, chat: bool, limit: int = 30_000) -> MessageText:
    """One message of all these: by urgency, then by due time, each with its link.

    `chat`: for a channel that formats what it is sent. `limit`: characters of the body, at least 300; what does not fit
    is counted at its end.
    """
    show = chat_text if chat else letter_text
    ordered = sorted(notices, key=lambda one: (_ORDER[urgency_of(one, now)], one.due_at or _NEVER))
    counts = {urgency: sum(urgency_of(one, now) is urgency for one in ordered) for urgency in Urgency}
    title = "Signoff: " + ", ".join(f"{count} {urgency.lower()}" for urgency, count in counts.items() if count)
    lines: list[str] = []
    heading: Urgency | None = None
    for place, one in enumerate(ordered):
        urgency = urgency_of(one, now)
        added = [] if urgency is heading else ["", urgency]
        added += [f"- {sentence(one, now, show)}", *([f"  {one.link}"] if one.link else [])]
        if sum(map(len, lines + added)) + len(lines) + len(added) > limit - 60 and lines:
            left = len(ordered) - place
            return MessageText(title, "\n".join([*lines, "", f"and {left} more, see `signoff reviews`"]).strip(), left)
        lines += added
        heading = urgency
    return MessageText(title, "\n".join(lines).strip())


def sentence(told: Told, now: datetime, show: Show = letter_text) -> str:
    """What one notice says.

    >>> noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    >>> body = {"stage": "brand", "collection": "spring", "assets": 2, "keys": ["spring/a.jpg", "spring/b.jpg"]}
    >>> sentence(Told("opened", body, due_at=noon, review=7), noon)
    'Review 7 waits: 2 assets of spring at stage brand, due 2026-11-24 12:00 UTC (spring/a.jpg, spring/b.jpg)'
    """
    if isinstance(told.body.get("text"), str):
        return show(told.body["text"])
    what = show(told.key or "An asset") if told.review is None else f"Review {told.review}"
    return f"{what} {_HAPPENED.get(told.kind, told.kind.replace('_', ' '))}: {_details(told.body, told, now, show)}"


def stand_in_text(principal: str | None, starts_at: datetime | None, ends_at: datetime) -> str:
    """What somebody is told who stands in for another, or no more (`starts_at` is None).

    >>> day = datetime(2026, 3, 9, 8, tzinfo=UTC)
    >>> stand_in_text("Ben", day, day.replace(day=13)), stand_in_text(None, None, day)
    ('You stand in for Ben from 2026-03-09 08:00 UTC until 2026-03-13 08:00 UTC: their reviews come to you too.', \
'You stand in no more for somebody who was forgotten, since 2026-03-09 08:00 UTC.')
    """
    whom, end = principal or "somebody who was forgotten", _instant(ends_at)
    if starts_at is None:
        return f"You stand in no more for {whom}, since {end}."
    return f"You stand in for {whom} from {_instant(starts_at)} until {end}: their reviews come to you too."


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


_HAPPENED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "opened": "waits",
        "remind": "still waits",
        "escalate": "was not decided in time and is put before you",
        "finally": "was not decided in time and has ended",
        "decided": "was decided",
        "changes_requested": "needs changes",
        "roster_short": "has too few people who may decide",
    }
)


def _details(body: Mapping[str, Any], told: Told, now: datetime, show: Show) -> str:
    count = body.get("assets")
    parts = [f"{count} asset{'' if count == 1 else 's'}" if isinstance(count, int) else ""]
    parts += [f"of {show(str(body['collection']))}" if body.get("collection") else ""]
    parts += [f"at stage {show(str(body['stage']))}" if body.get("stage") else ""]
    text = " ".join(part for part in parts if part)
    if told.due_at is not None:
        text += f", {'was due' if told.due_at < now else 'due'} {_instant(told.due_at)}"
    if outcome := body.get("outcome"):
        text += f", {show(str(outcome).replace('_', ' '))}"
    keys = [str(key) for key in body.get("keys") or ()]
    if keys:
        more = " and more" if isinstance(count, int) and count > len(keys) else ""
        text += f" ({', '.join(show(key, 60) for key in keys)}{more})"
    return text.removeprefix(", ")


def _without_links(text: str) -> str:
    return _AUTOLINK.sub(_WORD_JOINER, text)
