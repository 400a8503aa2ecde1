"""Inspection of real files, good and hostile."""

from __future__ import annotations

from datetime import UTC, datetime

from classifiers.inspection import EmbeddedRights, EmbeddedStatus, Inspection, Kind


def test_json_round_trip_keeps_every_field_and_leaves_the_thumbnail_beside():
    """What is stored as JSON comes back equal; the thumbnail is handed in again."""
    embedded = EmbeddedRights(
        status=EmbeddedStatus.READ,
        creator="Ana Sousa",
        expires_at=datetime(2027, 1, 1, 12, 30, tzinfo=UTC),
        data_mining="DMI-PROHIBITED",
        prohibits=("ai_train", "data_mine"),
        conflicts=("credit_line",),
        unread=("exif",),
    )
    found = Inspection(
        sha256="ab" * 32, size_bytes=10, media_type="image/jpeg", kind=Kind.IMAGE, width=4, height=3,
        perceptual_hash="0f" * 32, embedded=embedded, thumbnail=b"\xff\xd8",
    )  # fmt: skip
    text = found.to_json()
    assert "thumbnail" not in text
    assert Inspection.from_json(text, thumbnail=b"\xff\xd8") == found
