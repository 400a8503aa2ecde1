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

_INSIDE_PX = 852
"""What the tiles of a row share. The form shows a sheet at half its size: its column is about 440 pixels wide."""
_MARGIN_PX = 12
_GAP_PX = 10
_RADIUS_PX = 10
_JPEG_QUALITY = 85  # 48 comparisons of nothing but noise, the worst case, become 1.6 MB


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a reviewer saw of an asset before, drawn left of what it is now; `label` says which version that was."""

    label: str
    kind: str
    thumbnail: bytes | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Tile:
    """One asset on the sheet.

    `number` is the one by which the review's table calls it, `name` its key or file name (any Unicode), `kind` the fact
    of that name, `thumbnail` an encoded small picture, `text` the beginning of what a document says, `detail` a few
    words beside the kind, `earlier` what stands left of it for comparison, and `label` which version this one is.
    """

    number: int
    name: str
    kind: str
    thumbnail: bytes | None = None
    text: str | None = None
    detail: str = ""
    earlier: Earlier | None = None
    label: str = ""

    @property
    def cells(self) -> int:
        """How many places of the grid it takes, side by side."""
        return 1 if self.earlier is None else 2


@dataclass(frozen=True, slots=True)
class Layout:
    """Where tiles go: `columns` by `rows` cells of `cell_px` (width, height), a picture being `picture_px`.

    `cells` are the first cells of the tiles in their order, counted from 0 in reading order.
    """

    columns: int
    rows: int
    cell_px: Size
    picture_px: Size
    cells: tuple[int, ...]

    @property
    def sheet_px(self) -> Size:
        """Width and height of the whole sheet."""
        width, height = self.cell_px
        return (
            2 * _MARGIN_PX + self.columns * (width + _GAP_PX) - _GAP_PX,
            2 * _MARGIN_PX + self.rows * (height + _GAP_PX) - _GAP_PX,
        )

    def corner_px(self, cell: int) -> Size:
        """Give the top left corner of a cell."""
        row, column = divmod(cell, self.columns)
        width, height = self.cell_px
        return _MARGIN_PX + column * (width + _GAP_PX), _MARGIN_PX + row * (height + _GAP_PX)

    def tile_px(self, cells: int) -> Size:
        """Give width and height of a tile that takes 1 or 2 cells."""
        return cells * (self.cell_px[0] + _GAP_PX) - _GAP_PX, self.cell_px[1]


def sheet_layout(widths: Sequence[int]) -> Layout:
    """Decide the grid for tiles of these widths in cells (1 or 2): few are large, many are small, none is torn apart.

    A sheet is never wider than about 880 pixels, twice the column in which the form shows it.

    >>> [(n, sheet_layout([1] * n).columns, sheet_layout([1] * n).rows) for n in (1, 2, 5, 12, 24, 48)]
    [(1, 1, 1), (2, 2, 1), (5, 3, 2), (12, 3, 4), (24, 4, 6), (48, 4, 12)]
    >>> sheet_layout([1, 1, 2, 1, 2]).cells
    (0, 1, 3, 5, 6)
    """
    wanted = sum(widths)
    columns = next(columns for most, columns in ((1, 1), (4, 2), (12, 3), (wanted, 4)) if wanted <= most)
    cells: list[int] = []
    following = 0
    for width in widths:
        if following % columns + width > columns:  # it would be torn apart: a new row
            following += columns - following % columns
        cells.append(following)
        following += width
    width = (_INSIDE_PX - (columns - 1) * _GAP_PX) // columns
    picture = (width, round(width * 3 / 4))
    size = (width, picture[1] + _caption_px(width))
    return Layout(columns, -(-following // columns), size, picture, tuple(cells))


def contact_sheet(tiles: Sequence[Tile]) -> bytes:
    """Draw 1 to 48 tiles in their order and give the sheet as JPEG, well under 2 MB; `ValueError` for other counts.

    Nothing that a tile holds can make it fail: a broken thumbnail becomes a placeholder, a name is drawn as far as the
    font goes.
    """
    if not 1 <= len(tiles) <= MOST_TILES:
        raise ValueError(f"a contact sheet holds 1 to {MOST_TILES} tiles, found {len(tiles)}; draw several sheets")
    layout = sheet_layout([tile.cells for tile in tiles])
    sheet = Image.new("RGB", layout.sheet_px, CARD)
    for cell, tile in zip(layout.cells, tiles, strict=True):
        drawn = _draw_tile(tile, layout)
        sheet.paste(drawn, layout.corner_px(cell), rounded(drawn.size, _RADIUS_PX))
    encoded = io.BytesIO()
    sheet.save(encoded, "JPEG", quality=_JPEG_QUALITY, optimize=False)
    return encoded.getvalue()


def _draw_tile(tile: Tile, layout: Layout) -> Image.Image:
    folder, _, name = tile.name.rstrip("/").rpartition("/")
    below = " · ".join(part for part in (tile.detail, folder) if part)
    face = _face(layout, tile.cells, tile.kind, below).copy()
    left = 0
    if tile.earlier is not None:
        before = tile.earlier
        face.paste(tile_picture(layout.picture_px, before.kind, before.thumbnail, before.text), (0, 0))
        left = layout.picture_px[0] + _GAP_PX
    face.paste(tile_picture(layout.picture_px, tile.kind, tile.thumbnail, tile.text), (left, 0))
    large, _ = _letters_px(layout.cell_px[0])
    place, room = _name_px(layout), face.width - 2 * _inset_px(layout)
    ImageDraw.Draw(face).text(place, cut_middle(drawable(name), large, room), fill=NAME, font=font(large))
    badge, mask = _badge(str(tile.number), large + 3)
    face.paste(badge, (5, 5), mask)
    if tile.earlier is not None:
        for label, x in ((tile.earlier.label, 5), (tile.label, left + 5)):
            room = layout.picture_px[0] - 2 * large
            said, shape = _badge(cut_middle(drawable(label), large - 3, room), large - 3)
            face.paste(said, (x, layout.picture_px[1] - said.height - 5), shape)
    return face


@lru_cache(maxsize=256)
def _face(layout: Layout, cells: int, kind: str, beside: str) -> Image.Image:
    """Draw what many tiles share, kind and words under the place of the name; shared, so not to be drawn on."""
    face = Image.new("RGB", layout.tile_px(cells), TILE)
    draw = ImageDraw.Draw(face)
    if cells > 1:  # between the two pictures
        draw.rectangle((layout.picture_px[0], 0, layout.picture_px[0] + _GAP_PX - 1, layout.picture_px[1]), fill=CARD)
    large, small = _letters_px(layout.cell_px[0])
    inset, top = _name_px(layout)
    below, shown = top + round(large * 1.4), drawable(kind)
    draw.text((inset, below), shown, fill=ACCENTS.get(kind, INK), font=font(small))
    used = width_px(shown + "  ", small)
    room = face.width - 2 * inset
    if beside and room > used:
        draw.text((inset + used, below), cut_middle(drawable(beside), small, room - used), fill=INK, font=font(small))
    return face


@lru_cache(maxsize=512)
def _badge(words: str, letters: int) -> tuple[Image.Image, Image.Image]:
    """Draw words, dark on white with a dark rim, which read on every picture; badge and mask are shared."""
    height = round(letters * 1.5)
    width = max(height, round(width_px(words, letters) + letters * 0.9))
    badge = Image.new("RGB", (width + 4, height + 4), CARD)
    badge.paste((255, 255, 255), (2, 2), rounded((width, height), height // 2))
    ImageDraw.Draw(badge).text((2 + width / 2, 2 + height / 2), words, fill=CARD, font=font(letters), anchor="mm")
    return badge, rounded(badge.size, height // 2 + 2)


def _inset_px(layout: Layout) -> int:
    return _letters_px(layout.cell_px[0])[0] // 2


def _name_px(layout: Layout) -> Size:
    """Where on its tile a name begins."""
    return _inset_px(layout), layout.picture_px[1] + _letters_px(layout.cell_px[0])[0] // 3


def _letters_px(cell_width_px: int) -> tuple[int, int]:
    """Give the sizes of names and of what stands under them: never less than a reader makes out at half the size."""
    large = min(max(round(cell_width_px / 13), 20), 26)
    return large, round(large * 0.85)


def _caption_px(cell_width_px: int) -> int:
    large, small = _letters_px(cell_width_px)
    return round(large * 0.33 + large * 1.4 + small * 1.4 + large * 0.3)
