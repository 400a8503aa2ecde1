"""Messages: ordered by urgency, cut to what fits, and nothing foreign in them formats, links, or mentions anybody."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.notice_text import Told, Urgency, chat_text, letter_text, message_text, sentence, urgency_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def told(kind: str, hours: float | None = None, **body: object) -> Told:
    """A notice that is due so many hours after noon."""
    return Told(kind, body or {"text": kind}, None if hours is None else NOON + timedelta(hours=hours), review=7)


@pytest.mark.parametrize(
    ("one", "urgency"),
    [
        (told("opened", 2), Urgency.WAITING),
        (told("opened", -1), Urgency.NOW),
        (told("remind"), Urgency.WAITING),
        (told("escalate", 5), Urgency.NOW),
        (told("security"), Urgency.NOW),
        (told("roster_short"), Urgency.NOW),
        (told("decided", -1), Urgency.TOLD),
        (told("receipt"), Urgency.TOLD),
    ],
)
def test_urgency(one: Told, urgency: Urgency) -> None:
    """What waits and is overdue is urgent; news is not, whenever its review was due."""
    assert urgency_of(one, NOON) is urgency


def test_order_and_title() -> None:
    """The most urgent first, then by due time; what has no due time last; the title counts."""
    found = message_text(
        [told("decided"), told("opened"), told("opened", 3, text="3"), told("opened", -3, text="-3")], NOON, chat=False
    )
    assert found.title == "Signoff: 1 to act on now, 2 waiting for you, 1 to know"
    assert found.body == "To act on now\n- -3\n\nWaiting for you\n- 3\n- opened\n\nTo know\n- decided"


def test_a_long_message_is_cut() -> None:
    """What does not fit is counted; the most urgent is never what is left out."""
    many = [told("opened", hour, text=f"{hour} " + "x" * 80) for hour in range(50)]
    found = message_text([*many, told("security", text="first")], NOON, chat=True, limit=1_000)
    assert len(found.body) <= 1_000
    assert found.body.startswith("To act on now\n- first\n")
    shown = found.body.count("xxx") // 20
    assert found.left_out == 51 - found.body.count("\n- ")
    assert found.body.endswith(f"\nand {found.left_out} more, see `signoff reviews`")
    assert shown > 0


def test_sentences() -> None:
    """What each kind says of the same review."""
    body = {"stage": "brand", "collection": "spring", "assets": 5, "keys": ["a.jpg", "b.jpg", "c.jpg"]}
    what = "5 assets of spring at stage brand, was due 2026-11-24 11:00 UTC (a.jpg, b.jpg, c.jpg and more)"
    said = {
        kind: sentence(Told(kind, body, NOON - timedelta(hours=1), 7), NOON)
        for kind in ("remind", "escalate", "roster_short")
    }
    assert said == {
        "remind": f"Review 7 still waits: {what}",
        "escalate": f"Review 7 was not decided in time and is put before you: {what}",
        "roster_short": f"Review 7 has too few people who may decide: {what}",
    }
    ended = Told("finally", {"outcome": "request_changes", "assets": 1}, key="spring/_x_.jpg")
    assert sentence(ended, NOON, chat_text) == (
        "spring/ˍxˍ.jpg was not decided in time and has ended: 1 asset, request changes"
    )


@given(st.text(max_size=80))
def test_nothing_foreign_acts(text: str) -> None:
    """One line, without anything that markdown, Slack, Teams, Discord or a mail program takes for more than itself."""
    for shown in (chat_text(text), letter_text(text)):
        assert "\n" not in shown
        assert "\r" not in shown
        assert not re.search(r"(?i)://|www\.|@\w", shown)
        assert "{{" not in shown
    assert not set(chat_text(text)) & set("<>[]*_~|`\\@#&!$")
