"""Draw a review as its reviewers will see it: contact sheet, rows, links, people, due time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from ledger.review import Review
from ledger.review_before import Past, SeenBefore
from ledger.review_items import QUARANTINE, ReviewedItem
from ledger.review_people import EligiblePerson
from policies.calendars import due_at
from policies.document import PolicyDocument
from policies.review_changes import changes, doubts, measures, text_changes
from policies.review_sheet import Purpose, Reviewer, ReviewItem, ReviewSheet
from tasks.draw_past import NOTHING, past_of, said_words, since_words, snapshot
from tasks.errors import ObjectMissing
from tasks.resources import Resources
from tasks.storage import Place

LINK_VALID_S: Final = 7 * 24 * 3600
"""The longest time that S3 allows a presigned link; a review that waits longer is parked again with new ones."""


def draw_review(resources: Resources, review: Review, *, pictures: bool = True) -> ReviewSheet:
    """The sheet of a review in its present round: only items and people that a decision still counts for.

    Without `pictures` it is the sheet that an answer is read against: the items that the parked form shows, decided
    meanwhile or not; no thumbnail is read, no link made, nothing of the past looked up.
    """
    policy = resources.policy(review.policy_sha256)
    items = review.open_items if pictures else review.shown_items
    past = past_of(resources, items) if pictures else {}
    timezone = policy.calendar.timezone
    return ReviewSheet(
        review_id=review.review_id,
        round=review.round,
        stage=review.stage,
        collection=review.collection,
        policy_name=policy.name,
        due_text=_due_text(due_of(resources, review, policy), policy),
        reason=review.reason,
        previous_run_url=_previous_url(resources, review) if pictures else None,
        reviewers=tuple(_reviewer(one) for one in review.people if not one.has_decided),
        items=tuple(_item(resources, item, past.get(item.version_id, NOTHING), timezone, pictures) for item in items),
        contact_sheet=_contact_sheet(resources, items, past) if pictures else None,
        purpose=Purpose(review.purpose),
        signed=wants_code(review, policy),
    )


def wants_code(review: Review, policy: PolicyDocument) -> bool:
    """Whether an answer to this review needs a code: its gates say so, or, for what is held, its policy."""
    if review.purpose == QUARANTINE and policy.screening.quarantine.signature == "totp":
        return True
    return any(item.signature == "totp" for item in review.items)


def due_of(resources: Resources, review: Review, policy: PolicyDocument) -> datetime:
    """When the review is due: as recorded, or counted in working time from now if this is its first parking."""
    if review.due_at is not None:
        return review.due_at
    stage = next(one for one in policy.approval.stages if one.name == review.stage)
    return due_at(policy.calendar, resources.clock.now(), stage.deadline.within)


def _due_text(due: datetime, policy: PolicyDocument) -> str:
    """The day and hour as a form may say them that is read days later: "tomorrow" would not stay true."""
    zone = policy.calendar.timezone
    local = due.astimezone(ZoneInfo(zone))
    city = zone.rpartition("/")[2].replace("_", " ")
    return f"{local:%A}, {local.day} {local:%B %Y, %H:%M} ({city if city == zone else f'{city} time'})"


def _previous_url(resources: Resources, review: Review) -> str | None:
    return resources.prefect.run_url(review.previous_flow_run_id) if review.previous_flow_run_id else None


def _reviewer(person: EligiblePerson) -> Reviewer:
    if person.on_behalf_of == person.person_id:
        return Reviewer(person.person_id, person.handle, person.name)
    return Reviewer(person.person_id, person.handle, person.name, person.on_behalf_of, person.on_behalf_name)


def _item(resources: Resources, item: ReviewedItem, past: Past, timezone: str, linked: bool) -> ReviewItem:
    place = Place(item.custody_bucket, item.custody_key, item.custody_version)
    link = resources.storage.link(place, media_type=item.media_type, valid_s=LINK_VALID_S) if linked else None
    found, seen = snapshot(item), past.seen
    before = snapshot(seen) if seen else None
    return ReviewItem(
        position=item.position,
        gate_id=item.gate_id,
        key=item.key,
        version_number=item.number,
        kind=item.kind,
        media_type=item.media_type,
        size_bytes=item.size_bytes,
        label=item.label,
        score=item.score,
        margin=item.margin,
        abstained=item.abstained,
        clearance=item.clearance,
        reasons=tuple(reason["text"] for reason in item.reasons),
        link=link,
        basis=item.basis,
        changed_since=since_words(seen, item) if seen else None,
        changes=changes(before, found) if before else (),
        text_diff=text_changes(before.text, found.text) if before else (),
        earlier_comments=(*item.asked, *(said_words(one, timezone) for one in past.said)),
        approvals=_quorum_words(item),
        doubts=doubts(
            label=item.label, score=item.score, margin=item.margin, second_label=item.second_label, risk=item.risk
        ),
        measures=measures(found),
        held_because=item.held_because,
        blocked=item.blocked,
        waives=item.waives,
    )


def _quorum_words(item: ReviewedItem) -> str | None:
    if item.quorum == 1:
        return None
    people = {0: "nobody has", 1: "one person has"}.get(item.approvals, f"{item.approvals} people have")
    return f"needs {item.quorum} approvals; {people} decided"


def _thumbnails(resources: Resources, keys: Iterable[str | None]) -> dict[str | None, bytes]:
    """Thumbnail by key in the workspace; one that is gone is drawn as a placeholder."""
    found: dict[str | None, bytes] = {}
    for key in dict.fromkeys(key for key in keys if key):
        try:
            found[key] = resources.storage.read(resources.storage.buckets.workspace, key)
        except ObjectMissing:
            continue
    return found


def _contact_sheet(resources: Resources, items: Sequence[ReviewedItem], past: Mapping[int, Past]) -> bytes | None:
    """The sheet, or None where nobody looked into anything: it would show placeholders and what the table says."""
    if not any(item.text or item.thumbnail for item in items):
        return None
    from classifiers.contact_sheet import Earlier, Tile, contact_sheet

    others = {item.version_id: _other_bytes(item, past) for item in items}
    thumbnails = _thumbnails(resources, [one.thumbnail for one in (*items, *others.values()) if one])
    return contact_sheet(
        [
            Tile(
                number=item.position,
                name=item.key.rstrip("/").rpartition("/")[2] or item.key,
                kind=item.kind,
                thumbnail=thumbnails.get(item.thumbnail),
                text=item.text,
                detail=measures(snapshot(item)),
                earlier=Earlier(
                    f"v{before.number}, before",
                    before.kind,
                    thumbnails.get(before.thumbnail),
                    before.inspected.get("text"),
                )
                if (before := others[item.version_id])
                else None,
                label=f"v{item.number}, now",
            )
            for item in items
        ]
    )


def _other_bytes(item: ReviewedItem, past: Mapping[int, Past]) -> SeenBefore | None:
    """What to draw beside an item: what was seen before, unless it was these very bytes."""
    seen = past.get(item.version_id, NOTHING).seen
    return seen if seen and seen.sha256 != item.sha256 else None
