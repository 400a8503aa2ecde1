"""Draw a review as its reviewers will see it: contact sheet, rows, links, people, due time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from ledger.review import EligiblePerson, Review, ReviewedItem
from policies.calendars import due_at
from policies.document import PolicyDocument
from policies.review_sheet import Purpose, Reviewer, ReviewItem, ReviewSheet
from tasks.errors import ObjectMissing
from tasks.resources import Resources
from tasks.storage import Place

LINK_VALID_S: Final = 7 * 24 * 3600
"""The longest time that S3 allows a presigned link; a review that waits longer is parked again with new ones."""


def draw_review(resources: Resources, review: Review, *, pictures: bool = True) -> ReviewSheet:
    """The sheet of a review in its present round: only items and people that a decision still counts for.

    Without `pictures` it is the sheet that an answer is read against: the items that the parked form shows, decided
    meanwhile or not; no thumbnail is read, no link made.
    """
    policy = resources.policy(review.policy_sha256)
    items = review.open_items if pictures else review.shown_items
    thumbnails = _thumbnails(resources, items) if pictures else {}
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
        items=tuple(_item(resources, item, pictures) for item in items),
        contact_sheet=_contact_sheet(items, thumbnails) if pictures else None,
        purpose=Purpose(review.purpose),
    )


def due_of(resources: Resources, review: Review, policy: PolicyDocument) -> datetime:
    """When the review is due: as recorded, or counted in working time from now if this is its first parking."""
    if review.due_at is not None:
        return review.due_at
    stage = next(one for one in policy.approval.stages if one.name == review.stage)
    return due_at(policy.calendar, resources.clock.now(), stage.deadline.within)


def _due_text(due: datetime, policy: PolicyDocument) -> str:
    local = due.astimezone(ZoneInfo(policy.calendar.timezone))
    return f"{local:%A}, {local.day} {local:%B %Y, %H:%M} ({policy.calendar.timezone})"


def _previous_url(resources: Resources, review: Review) -> str | None:
    return resources.prefect.run_url(review.previous_flow_run_id) if review.previous_flow_run_id else None


def _reviewer(person: EligiblePerson) -> Reviewer:
    if person.on_behalf_of == person.person_id:
        return Reviewer(person.person_id, person.handle, person.name)
    return Reviewer(person.person_id, person.handle, person.name, person.on_behalf_of, person.on_behalf_name)


def _item(resources: Resources, item: ReviewedItem, linked: bool) -> ReviewItem:
    place = Place(item.custody_bucket, item.custody_key, item.custody_version)
    link = resources.storage.link(place, media_type=item.media_type, valid_s=LINK_VALID_S) if linked else None
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
        changed_since=_quorum_words(item),
        earlier_comments=item.asked,
        held_because=item.held_because,
    )


def _quorum_words(item: ReviewedItem) -> str | None:
    if item.quorum == 1:
        return None
    return f"needs {item.quorum} approvals, has {item.approvals}"


def _thumbnails(resources: Resources, items: Sequence[ReviewedItem]) -> dict[str, bytes]:
    """Thumbnail by key in the workspace; one that is gone is drawn as a placeholder."""
    found: dict[str, bytes] = {}
    for key in dict.fromkeys(item.thumbnail for item in items if item.thumbnail):
        try:
            found[key] = resources.storage.read(resources.storage.buckets.workspace, key)
        except ObjectMissing:
            continue
    return found


def _contact_sheet(items: Sequence[ReviewedItem], thumbnails: Mapping[str, bytes]) -> bytes | None:
    """The sheet, or None where nobody looked into anything: it would show placeholders and what the table says."""
    if not any(item.text or item.thumbnail for item in items):
        return None
    from classifiers.contact_sheet import Tile, contact_sheet

    return contact_sheet(
        [
            Tile(
                number=item.position,
                name=item.key.rstrip("/").rpartition("/")[2] or item.key,
                kind=item.kind,
                thumbnail=thumbnails.get(item.thumbnail) if item.thumbnail else None,
                text=item.text,
            )
            for item in items
        ]
    )
