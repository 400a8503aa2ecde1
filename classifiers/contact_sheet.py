"""One picture of everything in a review: numbered tiles on a card that reads on light and on dark pages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw

from classifiers.caption import cut_middle, drawable, font, width_px
from classifiers.tile_art import ACCENTS, INK, Color, Size, rounded, tile_picture

MOST_TILES = 48

CARD: Color = (17, 19, 24)
TILE: Color = (36, 40, 49)
NAME: Color = (232, 235, 240)

_MARGIN_PX = 16
_GAP_PX = 12
_RADIUS_PX = 10
_JPEG_QUALITY = 85  # 48 pictures of nothing but noise, the worst case, become 0.8 MB


@dataclass(frozen=True, slots=True)
class Tile:
    """One asset on the sheet.

    `number` is the one by which the review's table calls it, `name` its key or file name (any Unicode), `kind` the fact
    of that name, `thumbnail` an encoded small picture, `text` the beginning of what a document says.
    """

    number: int
    name: str
    kind: str
    thumbnail: bytes | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where tiles go: `columns` by `rows` tiles of `tile_px` (width, height), their pictures being `picture_px`."""

    columns: int
    rows: int
    tile_px: Size
    picture_px: Size

    @property
    def sheet_px(self) -> Size:
        """Width and height of the whole sheet."""
        width, height = self.tile_px
        return (
            2 * _MARGIN_PX + self.columns * (width + _GAP_PX) - _GAP_PX,
            2 * _MARGIN_PX + self.rows * (height + _GAP_PX) - _GAP_PX,
        )

    def corner_px(self, place: int) -> Size:
        """Give the top left corner of the tile at `place`, counted from 0 in reading order."""
        row, column = divmod(place, self.columns)
        width, height = self.tile_px
        return _MARGIN_PX + column * (width + _GAP_PX), _MARGIN_PX + row * (height + _GAP_PX)


def sheet_layout(tiles: int) -> Layout:
    """Decide the grid: few tiles are large, many are small, and the sheet is never wider than about 1,250 pixels.

    >>> [(n, sheet_layout(n).columns, sheet_layout(n).rows) for n in (1, 2, 5, 12, 24, 48)]
    [(1, 1, 1), (2, 2, 1), (5, 3, 2), (12, 4, 3), (24, 6, 4), (48, 6, 8)]
    """
    columns = next(
        columns for most, columns in ((3, tiles), (4, 2), (9, 3), (16, 4), (20, 5), (tiles, 6)) if tiles <= most
    )
    width = {1: 420, 2: 380, 3: 340, 4: 292, 5: 232}.get(columns, 192)
    picture = (width, round(width * 3 / 4))
    return Layout(columns, -(-tiles // columns), (width, picture[1] + _caption_px(width)), picture)


def contact_sheet(tiles: Sequence[Tile]) -> bytes:
    """Draw 1 to 48 tiles in their order and give the sheet as JPEG, well under 1.5 MB; `ValueError` for other counts.

    Nothing that a tile holds can make it fail: a broken thumbnail becomes a placeholder, a name is drawn as far as the
    font goes.
    """
    if not 1 <= len(tiles) <= MOST_TILES:
        raise ValueError(f"a contact sheet holds 1 to {MOST_TILES} tiles, found {len(tiles)}; draw several sheets")
    layout = sheet_layout(len(tiles))
    sheet = Image.new("RGB", layout.sheet_px, CARD)
    mask = rounded(layout.tile_px, _RADIUS_PX)
    for place, tile in enumerate(tiles):
        sheet.paste(_draw_tile(tile, layout), layout.corner_px(place), mask)
    encoded = io.BytesIO()
    sheet.save(encoded, "JPEG", quality=_JPEG_QUALITY, optimize=False)
    return encoded.getvalue()


def _draw_tile(tile: Tile, layout: Layout) -> Image.Image:
    folder, _, name = tile.name.rstrip("/").rpartition("/")
    face = _face(layout, tile.kind, folder).copy()
    face.paste(tile_picture(layout.picture_px, tile.kind, tile.thumbnail, tile.text), (0, 0))
    large, _ = _letters_px(face.width)
    place, room = _name_px(layout), face.width - 2 * _inset_px(layout)
    ImageDraw.Draw(face).text(place, cut_middle(drawable(name), large, room), fill=NAME, font=font(large))
    badge, mask = _badge(tile.number, large + 3)
    face.paste(badge, (5, 5), mask)
    return face


@lru_cache(maxsize=256)
def _face(layout: Layout, kind: str, folder: str) -> Image.Image:
    """Draw what many tiles share, kind and folder under the place of the name; shared, so not to be drawn on."""
    face = Image.new("RGB", layout.tile_px, TILE)
    draw = ImageDraw.Draw(face)
    large, small = _letters_px(face.width)
    inset, top = _name_px(layout)
    below, shown = top + round(large * 1.4), drawable(kind)
    draw.text((inset, below), shown, fill=ACCENTS.get(kind, INK), font=font(small))
    used = width_px(shown + "  ", small)
    room = face.width - 2 * inset
    if folder and room > used:
        draw.text((inset + used, below), cut_middle(drawable(folder), small, room - used), fill=INK, font=font(small))
    return face


@lru_cache(maxsize=512)
def _badge(number: int, letters: int) -> tuple[Image.Image, Image.Image]:
    """Draw a number, dark on white with a dark rim, which reads on every picture; badge and mask are shared."""
    words = str(number)
    height = round(letters * 1.5)
    width = max(height, round(width_px(words, letters) + letters * 0.9))
    badge = Image.new("RGB", (width + 4, height + 4), CARD)
    badge.paste((255, 255, 255), (2, 2), rounded((width, height), height // 2))
    ImageDraw.Draw(badge).text((2 + width / 2, 2 + height / 2), words, fill=CARD, font=font(letters), anchor="mm")
    return badge, rounded(badge.size, height // 2 + 2)


def _inset_px(layout: Layout) -> int:
    return _letters_px(layout.tile_px[0])[0] * 2 // 3


def _name_px(layout: Layout) -> Size:
    """Where on its tile a name begins."""
    return _inset_px(layout), layout.picture_px[1] + _letters_px(layout.tile_px[0])[0] // 2


def _letters_px(tile_width_px: int) -> tuple[int, int]:
    """Give the sizes of names and of what stands under them."""
    large = max(round(tile_width_px / 17), 14)
    return large, round(large * 0.82)


def _caption_px(tile_width_px: int) -> int:
    large, small = _letters_px(tile_width_px)
    return round(large * 0.5 + large * 1.4 + small * 1.4 + large * 0.4)
