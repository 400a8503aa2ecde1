"""What changed between two versions that reviewers are shown, and what the machine is unsure of: in words, pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from policies.quantities import size_text

DIFF_LINES: Final = 8
"""Changed lines of a text that are shown."""
LINE_CHARS: Final = 160
"""Characters of a changed line; a longer one is shown from shortly before its first difference on."""
_COMPARED_LINES: Final = 400  # of each text, from the first difference on: more would cost time and show nothing
_BEFORE_DIFFERENCE: Final = 24
_ALIKE_BITS: Final = 31  # of 256: PDQ's own threshold for the same picture
_CLOSE: Final = 0.15
_RIGHTS: Final = (
    "creator",
    "credit_line",
    "copyright_notice",
    "usage_terms",
    "web_statement",
    "model_release",
    "property_release",
    "expires_at",
    "data_mining",
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a version was found to be when people were asked about it.

    `duration_s` is seconds, `perceptual_hash` 256 bits in hex, `rights` what is embedded in the file, by field name.
    """

    sha256: str
    size_bytes: int
    media_type: str
    label: str | None
    clearance: str
    width: int | None = None
    height: int | None = None
    pages: int | None = None
    duration_s: float | None = None
    language: str | None = None
    perceptual_hash: str | None = None
    text: str | None = None
    rights: Mapping[str, Any] = field(default_factory=dict)


def changes(before: Snapshot, now: Snapshot) -> tuple[str, ...]:
    """Say what differs, a line a difference: bytes, looks, size, form, what was recognised, rights.

    >>> old = Snapshot("a", 2048, "image/jpeg", "portrait", "restricted", 800, 600)
    >>> changes(old, Snapshot("b", 1024, "image/jpeg", "portrait", "cleared", 400, 300))
    ('size: 2.0 KiB → 1.0 KiB', '800 × 600 px → 400 × 300 px', 'rights: restricted → cleared')
    >>> changes(old, old)
    ('nothing: the same bytes, found to be the same',)
    """
    if before.sha256 == now.sha256:
        found = [*_recognised(before, now), *_clearance(before, now)]
        return ("the same bytes", *found) if found else ("nothing: the same bytes, found to be the same",)
    found = [*_looks(before, now), *_form(before, now), *_recognised(before, now)]
    found += [*_clearance(before, now), *_embedded(before.rights, now.rights)]
    return tuple(found) or ("other bytes; nothing else that is shown here",)


def measures(found: Snapshot) -> str:
    """Say how large a picture is, how long a recording, of how many pages a document; "" where nothing is known.

    >>> measures(Snapshot("a", 1, "video/mp4", None, "cleared", 640, 360, duration_s=63.0))
    '640 × 360 px, 1:03 min'
    """
    pages = "" if not found.pages or found.width else "1 page" if found.pages == 1 else f"{found.pages} pages"
    return ", ".join(part for part in (_pixels(found), _length(found), pages) if part)


def _looks(before: Snapshot, now: Snapshot) -> Iterator[str]:
    if before.perceptual_hash and now.perceptual_hash:
        differing = (int(before.perceptual_hash, 16) ^ int(now.perceptual_hash, 16)).bit_count()
        yield "it looks nearly the same" if differing <= _ALIKE_BITS else "it looks different"


def _form(before: Snapshot, now: Snapshot) -> Iterator[str]:
    if before.media_type != now.media_type:
        yield f"{before.media_type} → {now.media_type}"
    if before.size_bytes != now.size_bytes:
        old, new = size_text(before.size_bytes), size_text(now.size_bytes)
        yield f"size: {old} → {new}" if old != new else f"size: {before.size_bytes:,} → {now.size_bytes:,} bytes"
    for old, new in ((_pixels(before), _pixels(now)), (_length(before), _length(now))):
        if old != new:
            yield f"{old or 'unknown'} → {new or 'unknown'}"
    if before.pages != now.pages:
        yield f"pages: {before.pages or 'unknown'} → {now.pages or 'unknown'}"
    if before.language != now.language:
        yield f"language: {before.language or 'unknown'} → {now.language or 'unknown'}"


def _recognised(before: Snapshot, now: Snapshot) -> Iterator[str]:
    if before.label != now.label:
        yield f"recognised: {before.label or 'nothing'} → {now.label or 'nothing'}"


def _clearance(before: Snapshot, now: Snapshot) -> Iterator[str]:
    if before.clearance != now.clearance:
        yield f"rights: {before.clearance} → {now.clearance}"


def _embedded(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in _RIGHTS:
        old, new = before.get(name), now.get(name)
        if old != new:
            said = name.removesuffix("_at").replace("_", " ")
            yield f"{said} in the file: {_quoted(old)} → {_quoted(new)}"


def _quoted(value: Any) -> str:
    return "none" if value in (None, "") else f"“{_cut(str(value), 60)}”"


def _pixels(found: Snapshot) -> str:
    return f"{found.width:,} × {found.height:,} px" if found.width and found.height else ""


def _length(found: Snapshot) -> str:
    if found.duration_s is None:
        return ""
    if found.duration_s < 60:
        return f"{found.duration_s:.1f} s"
    minutes, seconds = divmod(round(found.duration_s), 60)
    return f"{minutes}:{seconds:02d} min"


def text_changes(before: str | None, now: str | None) -> tuple[str, ...]:
    """Give the first changed lines of a text, "− " for what went and "+ " for what came; () where nothing did.

    >>> text_changes("Terms\\nGermany only", "Terms\\nGermany and Austria")
    ('− Germany only', '+ Germany and Austria')
    """
    if before is None or now is None or before == now:
        return ()
    old, new = _from_difference(before.splitlines(), now.splitlines())
    shown: list[str] = []
    matcher = difflib.SequenceMatcher(None, old, new)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag != "equal":
            gone, came = old[start:end], new[new_start:new_end]
            pairs = min(len(gone), len(came))
            for place in range(max(len(gone), len(came))):
                first = _differs_at(gone[place], came[place]) if place < pairs else 0
                shown += [f"− {_part(gone[place], first)}"] if place < len(gone) else []
                shown += [f"+ {_part(came[place], first)}"] if place < len(came) else []
    more = len(shown) - DIFF_LINES
    return (*shown[:DIFF_LINES], *([f"… {more} more changed lines"] if more > 0 else []))


def _from_difference(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """The lines that say something, from the first that differs on."""
    old, new = ([line.strip() for line in lines if line.strip()] for lines in (old, new))
    same = next((n for n, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), None)
    first = min(len(old), len(new)) if same is None else same
    return old[first : first + _COMPARED_LINES], new[first : first + _COMPARED_LINES]


def _differs_at(old: str, new: str) -> int:
    differing = (n for n, (one, other) in enumerate(zip(old, new, strict=False)) if one != other)
    return next(differing, min(len(old), len(new)))


def _part(line: str, differs_at: int) -> str:
    """The part of a line in which its first difference lies."""
    if len(line) <= LINE_CHARS:
        return line
    start = max(0, differs_at - _BEFORE_DIFFERENCE)
    return ("…" if start else "") + _cut(line[start:], LINE_CHARS)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def doubts(
    *,
    label: str | None,
    score: float | None,
    margin: float | None,
    second_label: str | None,
    risk: float | None,
) -> tuple[str, ...]:
    """Say what the machine is unsure of in what it recognised; `score`, `margin` and `risk` are 0 to 1.

    Without a label there is nothing to doubt: why it abstained is said where the label would stand.

    >>> doubts(label="portrait", score=0.41, margin=0.04, second_label="product photo", risk=None)
    ('unsure: nearly as likely product photo (0.37)',)
    >>> doubts(label="portrait", score=0.9, margin=0.8, second_label="other", risk=0.02)
    ('of such answers at most 2% are wrong',)
    """
    if label is None:
        return ()
    said: list[str] = []
    if margin is not None and margin < _CLOSE and second_label:
        near = "equally likely" if margin == 0 else "nearly as likely"
        said.append(f"unsure: {near} {second_label}" + ("" if score is None else f" ({max(score - margin, 0):.2f})"))
    if risk is not None:
        said.append(f"of such answers at most {risk * 100:.2g}% are wrong")
    return tuple(said)
