"""What was before, as the form of a review shows it: what changed since, what was said then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from ledger.review_before import Past, SaidBefore, SeenBefore, has_past, read_past
from ledger.review_items import ReviewedItem
from policies.review_changes import Snapshot
from tasks.resources import Resources

_OUTCOMES = {"changes_requested": "sent back for changes", "in_review": "not decided"}
NOTHING = Past()


def past_of(resources: Resources, items: Iterable[ReviewedItem]) -> Mapping[int, Past]:
    """Version id → what was before; the ledger is asked once for all, and not at all where nothing can have been."""
    aged = [item for item in items if has_past(item)]
    if not aged:
        return {}
    with resources.ledger.reading() as connection:
        return read_past(connection, aged)


def snapshot(version: ReviewedItem | SeenBefore) -> Snapshot:
    """What a version was found to be."""
    found = version.inspected
    return Snapshot(
        sha256=version.sha256,
        size_bytes=version.size_bytes,
        media_type=version.media_type,
        label=version.label,
        clearance=version.clearance,
        width=found.get("width"),
        height=found.get("height"),
        pages=found.get("pages"),
        duration_s=found.get("duration_s"),
        language=found.get("language"),
        perceptual_hash=found.get("perceptual_hash"),
        text=found.get("text"),
        rights=found.get("embedded") or {},
    )


def since_words(seen: SeenBefore, item: ReviewedItem) -> str:
    """Which version an item is compared with, and what became of that: "v1, sent back for changes"."""
    which = f"v{seen.number}" + (f" in round {seen.round}" if seen.version_id == item.version_id else "")
    return f"{which}, {_OUTCOMES.get(seen.outcome, seen.outcome.replace('_', ' '))}"


def said_words(said: SaidBefore, timezone: str) -> str:
    """A comment with its occasion: "brand, v1, 3 March 2026, request changes: crop it"."""
    opinion = "" if said.counted else " (an opinion, given when it was decided)"
    which = f"v{said.number}" + (f" round {said.round}" if said.round > 1 else "")
    verdict = said.verdict.replace("_", " ")
    return f"{said.stage}, {which}, {day_words(said.said_at, timezone)}, {verdict}{opinion}: {said.words}"


def day_words(at: datetime, timezone: str) -> str:
    """A day as people of that time zone call it: "3 March 2026"."""
    local = at.astimezone(ZoneInfo(timezone))
    return f"{local.day} {local:%B %Y}"
