"""Words on a picture: names and first lines made drawable with the one font that ships with Pillow."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from PIL import ImageFont

from classifiers.errors import FontUnusable

ELLIPSIS = "…"
MISSING = "?"
"""Stands for a run of characters that the font cannot draw, such as emoji or Chinese; the tile's number tells which
it is."""

_NEVER_DRAWN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Mn", "Me"})  # controls, direction marks, joiners, surrogates
_LONGEST = 600
_NEAREST = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "đ": "d", "ı": "i"}
    | dict.fromkeys("‐‑‒–—−", "-")
    | {"×": "x"}
    | dict.fromkeys("‘’‚", "'")
    | dict.fromkeys("“”„«»", '"')
)
"""What stands for letters and signs that neither the font has nor Unicode takes apart."""

Font = ImageFont.FreeTypeFont


@lru_cache
def font(size_px: int) -> Font:
    """Give Pillow's own scalable font; `FontUnusable` where Pillow was built without FreeType."""
    loaded = ImageFont.load_default(size_px)
    if isinstance(loaded, Font):
        return loaded
    raise FontUnusable("Pillow here was built without FreeType and draws no words; install Pillow's own wheel")


@lru_cache(maxsize=16_384)
def width_px(text: str, size_px: int) -> float:
    """Give the width of one drawn line in pixels."""
    return font(size_px).getlength(text)


def drawable(text: str) -> str:
    r"""Give `text` as one line that the font can draw, whatever a name may hold.

    Accents that the font lacks are dropped; a run of characters that it has no likeness of becomes one `MISSING`.

    >>> drawable("caf\u0065\u0301\u202e\n – \u83dc\u5355.pdf")
    'cafe - ?.pdf'
    """
    line = unicodedata.normalize("NFC", " ".join(text[:_LONGEST].split()))
    drawn: list[str] = []
    for character in line:
        if unicodedata.category(character) in _NEVER_DRAWN:
            continue
        likeness = _likeness(character)
        if likeness != MISSING or not drawn or drawn[-1] != MISSING:
            drawn.append(likeness)
    return "".join(drawn)


def cut_middle(text: str, size_px: int, room_px: float) -> str:
    """Give `text`, or its beginning and end around an ellipsis, so that it fits into `room_px` pixels.

    >>> cut_middle("short.jpg", 16, 200)
    'short.jpg'
    >>> cut_middle("a-very-long-name-of-a-picture-final-v3.jpg", 16, 160)
    'a-very-long…nal-v3.jpg'
    """
    if width_px(text, size_px) <= room_px:
        return text
    fitting, too_long = 0, len(text)
    while too_long - fitting > 1:
        middle = (fitting + too_long) // 2
        if width_px(_shortened(text, middle), size_px) <= room_px:
            fitting = middle
        else:
            too_long = middle
    return _shortened(text, fitting)


def wrap_lines(text: str, size_px: int, room_px: float, most_lines: int) -> list[str]:
    """Break the beginning of `text` into at most `most_lines` lines that fit into `room_px` pixels.

    >>> wrap_lines("This agreement is made between the two of us.", 12, 90, 2)
    ['This agreement', 'is made…']
    """
    lines: list[str] = []
    space, used = width_px(" ", size_px), 0.0
    for word in drawable(text).split():
        room_left = room_px - used - space
        if lines and width_px(word, size_px) <= room_left:
            lines[-1] += f" {word}"
            used += space + width_px(word, size_px)
        elif len(lines) < most_lines:
            lines.append(cut_middle(word, size_px, room_px))
            used = width_px(lines[-1], size_px)
        else:
            return [*lines[:-1], cut_end(lines[-1], size_px, room_px)] if lines else []
    return lines


def cut_end(text: str, size_px: int, room_px: float) -> str:
    """Give `text` with an ellipsis behind it, without its last words where both do not fit into `room_px` pixels."""
    while width_px(text + ELLIPSIS, size_px) > room_px and " " in text:
        text = text.rpartition(" ")[0]
    return text + ELLIPSIS


def _shortened(text: str, kept: int) -> str:
    head = (kept + 1) // 2
    return text[:head] + ELLIPSIS + text[len(text) - (kept - head) :]


@lru_cache(maxsize=4096)
def _likeness(character: str) -> str:
    """Give the character, or the nearest letters that the font has, or `MISSING`."""
    if _has_glyph(character):
        return character
    plain = unicodedata.normalize("NFKD", character.translate(_NEAREST))
    letters = "".join(letter for letter in plain if unicodedata.category(letter) not in _NEVER_DRAWN)
    return letters if letters and all(map(_has_glyph, letters)) else MISSING


def _has_glyph(character: str) -> bool:
    return character.isspace() or _bitmap(character) != _bitmap("\uffff")


def _bitmap(character: str) -> tuple[tuple[int, int], bytes]:
    mask = font(24).getmask(character)
    return mask.size, bytes(mask)
