"""What a tile of a contact sheet shows: a thumbnail, or a drawing that says what kind of content it stands for."""

from __future__ import annotations

import io
import warnings
from functools import lru_cache

from PIL import Image, ImageDraw

from classifiers.caption import font, wrap_lines

Size = tuple[int, int]
Color = tuple[int, int, int]

STAGE: Color = (24, 27, 33)  # behind a thumbnail
INK: Color = (150, 158, 172)
INK_SHADE: Color = (98, 105, 118)
PAPER: Color = (244, 243, 239)
PAPER_INK: Color = (58, 62, 70)
PAPER_LINE: Color = (203, 203, 198)
ACCENTS: dict[str, Color] = {
    "image": (96, 165, 250),
    "document": (251, 191, 116),
    "text": (251, 191, 116),
    "video": (196, 148, 255),
    "audio": (94, 214, 173),
}

_SMOOTH = 3  # shapes are drawn so much larger and then reduced: Pillow draws without antialiasing
_LEAST_LETTERS_PX = 17  # of a text's first lines: the form shows a sheet at half its size
_BADGE_PX = 46  # a number of two digits
_READ_CHARS = 2_000
_READABLE = ("JPEG", "PNG", "WEBP")


def tile_picture(size: Size, kind: str, thumbnail: bytes | None, text: str | None) -> Image.Image:
    """Give the picture of one tile, exactly `size` pixels: the whole thumbnail, else a placeholder by `kind`.

    A document without a thumbnail shows the first lines of `text`. A thumbnail that cannot be decoded counts as none.
    """
    picture = _thumbnail(size, thumbnail) if thumbnail else None
    if picture is not None:
        return _with_play_mark(picture) if kind == "video" else picture
    if kind in ("document", "text"):
        return _page(size, text) if text else _blank_page(size)
    return _symbol(size, kind)


@lru_cache(maxsize=256)
def rounded(size: Size, radius: int) -> Image.Image:
    """Give a smooth mask (mode L) of a rectangle with rounded corners; shared, so not to be drawn on."""
    large = Image.new("L", (size[0] * _SMOOTH, size[1] * _SMOOTH), 0)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, large.width - 1, large.height - 1), radius * _SMOOTH, fill=255)
    return large.resize(size, Image.Resampling.LANCZOS)


def _thumbnail(size: Size, data: bytes) -> Image.Image | None:
    stage = Image.new("RGB", size, STAGE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_READABLE) as image:
                small = image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning, Image.DecompressionBombError):
        return None
    scale = min(size[0] / small.width, size[1] / small.height)
    fitted = small.resize(
        (max(round(small.width * scale), 1), max(round(small.height * scale), 1)), Image.Resampling.HAMMING
    )
    stage.paste(fitted, ((size[0] - fitted.width) // 2, (size[1] - fitted.height) // 2))
    return stage


@lru_cache(maxsize=32)
def _blank_page(size: Size) -> Image.Image:
    """Give the paper of a document of which no text is known; shared, so not to be drawn on."""
    return _page(size, None)


def _page(size: Size, text: str | None) -> Image.Image:
    """Draw a sheet of paper with the first lines of `text`, or with grey lines where no text is known."""
    picture = Image.new("RGB", size, STAGE)
    left, top = max(round(size[0] * 0.08), _BADGE_PX), round(size[1] * 0.07)  # right of the tile's number
    width, height = size[0] - left - top, size[1] - top
    draw = ImageDraw.Draw(picture)
    draw.rectangle((left, top, left + width, size[1]), fill=PAPER)
    letters = min(max(round(size[0] / 16), _LEAST_LETTERS_PX), 28)
    margin, step = round(letters * 0.8), round(letters * 1.3)
    lines = _first_lines(text or "", letters, width - 2 * margin, (height - margin) // step)
    for number, line in enumerate(lines):
        draw.text((left + margin, top + margin + number * step), line, fill=PAPER_INK, font=font(letters))
    if not lines:
        _grey_lines(draw, (left + margin, top + margin, left + width - margin, size[1]), step)
    return picture


def _first_lines(text: str, letters_px: int, room_px: float, most_lines: int) -> list[str]:
    """Break the beginning of `text` to fit, line by line as it was written; empty lines are left out."""
    lines: list[str] = []
    for written in text[:_READ_CHARS].splitlines():
        lines += wrap_lines(written, letters_px, room_px, most_lines - len(lines))
        if len(lines) == most_lines:
            break
    return lines


def _grey_lines(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], step: int) -> None:
    left, top, right, bottom = box
    for number, y in enumerate(range(top, bottom, step)):
        end = right if number % 4 != 3 else left + (right - left) * 3 // 5  # every fourth ends a paragraph
        draw.rectangle((left, y, end, y + step // 3), fill=PAPER_LINE)


@lru_cache(maxsize=32)
def _symbol(size: Size, kind: str) -> Image.Image:
    """Draw the sign of a kind, in its accent, in the middle of an empty stage."""
    picture = Image.new("RGB", (size[0] * _SMOOTH, size[1] * _SMOOTH), STAGE)
    draw = ImageDraw.Draw(picture)
    unit = min(picture.size) / 10
    center = (picture.width / 2, picture.height / 2)
    color = ACCENTS.get(kind, INK)
    {"audio": _draw_audio, "video": _draw_video, "image": _draw_image}.get(kind, _draw_file)(draw, center, unit, color)
    return picture.resize(size, Image.Resampling.LANCZOS)


def _draw_audio(draw: ImageDraw.ImageDraw, center: tuple[float, float], unit: float, color: Color) -> None:
    heights = (0.9, 1.9, 3.1, 1.5, 2.5, 3.6, 2.1, 2.9, 1.2, 0.7)
    for place, height in enumerate(heights):
        x = center[0] + (place - (len(heights) - 1) / 2) * 0.72 * unit
        box = (x - 0.2 * unit, center[1] - height / 2 * unit, x + 0.2 * unit, center[1] + height / 2 * unit)
        draw.rounded_rectangle(box, 0.2 * unit, fill=color)


def _draw_video(draw: ImageDraw.ImageDraw, center: tuple[float, float], unit: float, color: Color) -> None:
    x, y = center
    frame = (x - 3 * unit, y - 2 * unit, x + 3 * unit, y + 2 * unit)
    draw.rounded_rectangle(frame, 0.6 * unit, outline=color, width=round(0.28 * unit))
    draw.polygon([(x - 0.75 * unit, y - unit), (x - 0.75 * unit, y + unit), (x + unit, y)], fill=color)


def _draw_image(draw: ImageDraw.ImageDraw, center: tuple[float, float], unit: float, color: Color) -> None:
    x, y = center
    ground = y + 1.5 * unit
    draw.polygon([(x - 2.3 * unit, ground), (x - 0.7 * unit, y - 0.4 * unit), (x + 0.8 * unit, ground)], fill=color)
    draw.polygon([(x - 0.1 * unit, ground), (x + unit, y + 0.2 * unit), (x + 2.3 * unit, ground)], fill=color)
    draw.ellipse((x + 0.7 * unit, y - 1.3 * unit, x + 1.5 * unit, y - 0.5 * unit), fill=color)
    frame = (x - 3 * unit, y - 2.2 * unit, x + 3 * unit, y + 2.2 * unit)
    draw.rounded_rectangle(frame, 0.6 * unit, outline=color, width=round(0.28 * unit))


def _draw_file(draw: ImageDraw.ImageDraw, center: tuple[float, float], unit: float, color: Color) -> None:
    x, y = center
    fold = 1.3 * unit
    left, top, right, bottom = x - 1.9 * unit, y - 2.5 * unit, x + 1.9 * unit, y + 2.5 * unit
    draw.polygon([(left, top), (right - fold, top), (right, top + fold), (right, bottom), (left, bottom)], fill=color)
    draw.polygon([(right - fold, top), (right, top + fold), (right - fold, top + fold)], fill=INK_SHADE)
    for row in range(3):
        line = y - 0.2 * unit + row * 0.8 * unit
        draw.rectangle((left + 0.7 * unit, line, right - 0.7 * unit, line + 0.25 * unit), fill=STAGE)


def _with_play_mark(picture: Image.Image) -> Image.Image:
    """Lay a play mark on the frame of a video, so that it is not taken for a photograph."""
    side = min(picture.size) // 5
    disc = Image.new("RGB", (side, side), (0, 0, 0))
    see_through = rounded((side, side), side // 2).point(lambda level: level * 2 // 3)
    picture.paste(disc, ((picture.width - side) // 2, (picture.height - side) // 2), see_through)
    x, y, arm = picture.width / 2 + side * 0.04, picture.height / 2, side * 0.22
    triangle = [(x - arm, y - arm * 1.15), (x - arm, y + arm * 1.15), (x + arm, y)]
    ImageDraw.Draw(picture).polygon(triangle, fill=(255, 255, 255))
    return picture
