"""Contact sheets: a grid that fits, names that fit, nothing that fails, bytes that a form can carry."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from classifiers.caption import cut_end, cut_middle, drawable, width_px, wrap_lines
from classifiers.contact_sheet import MOST_TILES, Earlier, Tile, contact_sheet, sheet_layout
from classifiers.tile_art import tile_picture

KINDS = ("image", "document", "text", "video", "audio", "other", "hologram")
NAMES = (
    "campaigns/spring/hero-shot-final_v3_approved-by-the-whole-marketing-team.jpg",
    "春/新しい写真😀.png",
    "عقد/صورة.jpg",
    "‮gpj.exe",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "\ud800\x00\n\t",
    "",
    "/",
    "x" * 100_000,
    "e" + "\u0301" * 5_000,
)


def jpeg(size: tuple[int, int] = (320, 240), noise: int | None = None) -> bytes:
    """Give a thumbnail: grey, or noise of the given seed."""
    pixels = np.full((size[1], size[0], 3), 128, np.uint8)
    if noise is not None:
        pixels = np.random.default_rng(noise).integers(0, 256, pixels.shape, np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG", quality=95)
    return encoded.getvalue()


def jpeg_of(color: tuple[int, int, int]) -> bytes:
    """Give a thumbnail of one color."""
    encoded = io.BytesIO()
    Image.new("RGB", (320, 240), color).save(encoded, "JPEG", quality=95)
    return encoded.getvalue()


@pytest.mark.parametrize("compared", ["none", "some", "all"])
@pytest.mark.parametrize("tiles", range(1, MOST_TILES + 1))
def test_every_tile_has_its_own_place_on_the_sheet(tiles: int, compared: str) -> None:
    """For each count the tiles lie inside the sheet, in order, apart from each other, and no row is empty."""
    widths = [2 if compared == "all" or (compared == "some" and n % 3 == 1) else 1 for n in range(tiles)]
    layout = sheet_layout(widths)
    width, height = layout.sheet_px
    taken: list[tuple[int, int, int, int]] = []
    for cells, cell in zip(widths, layout.cells, strict=True):
        left, top = layout.corner_px(cell)
        wide, high = layout.tile_px(cells)
        assert left + wide < width
        assert top + high < height
        taken.append((top, left, top + high, left + wide))
    assert taken == sorted(taken)
    for (top, left, bottom, right), other in itertools.combinations(taken, 2):
        assert bottom <= other[0] or right <= other[1] or left >= other[3] or top >= other[2]
    assert len({top for top, *_ in taken}) == layout.rows
    assert width <= 880


@pytest.mark.parametrize("tiles", [1, 2, 5, 48])
def test_the_sheet_is_a_jpeg_of_the_planned_size(tiles: int) -> None:
    """What comes out is a picture of exactly the size that the layout says."""
    data = contact_sheet([Tile(number + 1, f"{number}.jpg", "image", jpeg()) for number in range(tiles)])
    with Image.open(io.BytesIO(data)) as sheet:
        assert (sheet.format, sheet.size) == ("JPEG", sheet_layout([1] * tiles).sheet_px)


@pytest.mark.parametrize("tiles", [0, MOST_TILES + 1])
def test_too_few_or_too_many_tiles_are_refused(tiles: int) -> None:
    """An empty sheet and one that nobody could read are errors that say what is allowed."""
    with pytest.raises(ValueError, match=f"holds 1 to 48 tiles, found {tiles}; draw several sheets"):
        contact_sheet([Tile(number, "a.jpg", "image") for number in range(tiles)])


def test_the_worst_sheet_fits_into_a_form() -> None:
    """48 comparisons of nothing but noise, which no encoder can shrink, stay below 2 MB."""
    noise = [jpeg(noise=number) for number in range(MOST_TILES)]
    tiles = [
        Tile(number + 1, "noise.jpg", "image", now, earlier=Earlier("v1", "image", before), label="v2")
        for number, (now, before) in enumerate(zip(noise, reversed(noise), strict=True))
    ]
    assert len(contact_sheet(tiles)) < 2_000_000


def test_what_changed_stands_beside_what_it_was() -> None:
    """The earlier picture left, the present one right, each with its label, in a tile twice as wide."""
    old, new = (jpeg_of(color) for color in ((200, 30, 30), (30, 30, 200)))
    tile = Tile(1, "hero.jpg", "image", new, earlier=Earlier("v1, published", "image", old), label="v2, this one")
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet([tile])))).astype(int)
    layout = sheet_layout([2])
    left, top = layout.corner_px(0)
    width, height = layout.picture_px
    for x, color in ((left + width // 2, (200, 30, 30)), (left + layout.cell_px[0] + width // 2, (30, 30, 200))):
        assert np.abs(sheet[top + height // 2, x] - color).max() < 12
        assert (sheet[top + height - 30 : top + height, x - width // 2 : x].min(axis=2) > 240).any()  # its label
    alone = contact_sheet([Tile(1, "hero.jpg", "image", new)])
    assert contact_sheet([tile]) != alone


def test_whatever_was_before_it_is_drawn() -> None:
    """Damaged pictures, other kinds and odd labels of the earlier version give a sheet all the same."""
    tiles = [
        Tile(number, name, "image", jpeg(), None, name, Earlier(name, kind, b"broken", name or None), name)
        for number, (name, kind) in enumerate(itertools.product(NAMES[:6], KINDS))
    ]
    with Image.open(io.BytesIO(contact_sheet(tiles))) as sheet:
        assert sheet.size == sheet_layout([2] * len(tiles)).sheet_px


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("thumbnail", [None, b"", b"broken", jpeg()[:900], jpeg((1, 320)), jpeg((320, 1))])
def test_whatever_a_tile_holds_it_is_drawn(kind: str, thumbnail: bytes | None) -> None:
    """Every kind, with a good, extreme, damaged or no thumbnail and any name and text, gives a sheet."""
    tiles = [Tile(number, name, kind, thumbnail, name or None) for number, name in enumerate(NAMES)]
    with Image.open(io.BytesIO(contact_sheet(tiles))) as sheet:
        assert sheet.size == sheet_layout([1] * len(NAMES)).sheet_px


def test_the_same_tiles_give_the_same_bytes() -> None:
    """A sheet is a function of its tiles: parked again, it is byte for byte the same."""
    tiles = [Tile(1, "a.pdf", "document", None, "Terms"), Tile(2, "b.mp4", "video", jpeg())]
    assert contact_sheet(tiles) == contact_sheet(tiles)


def test_placeholders_of_different_kinds_look_different() -> None:
    """Without thumbnails, a reviewer still tells a document, a film, a sound, a picture and the rest apart."""
    drawn = {kind: tile_picture((192, 144), kind, None, None).tobytes() for kind in KINDS[:6] if kind != "text"}
    assert len(set(drawn.values())) == len(drawn)


def test_a_document_shows_its_first_lines() -> None:
    """What a document says changes its tile; a damaged thumbnail counts as none."""
    blank, said = (tile_picture((192, 144), "document", b"broken", text) for text in (None, "Terms of the licence"))
    assert blank.tobytes() != said.tobytes()


def test_a_thumbnail_is_shown_whole() -> None:
    """A tall picture keeps its proportions between two bars, nothing of it is cut away."""
    tile = np.asarray(tile_picture((200, 150), "image", jpeg((100, 300)), None)).astype(int)
    grey = np.abs(tile - 128).max(axis=2) < 3
    assert (grey.any(axis=0).sum(), grey.any(axis=1).sum()) == (50, 150)


@pytest.mark.parametrize("room_px", [30, 60, 120, 400])
@pytest.mark.parametrize("name", NAMES)
def test_names_are_cut_in_the_middle_to_fit(name: str, room_px: int) -> None:
    """A cut name is as wide as its room at most and keeps its beginning and its end."""
    whole = drawable(name)
    cut = cut_middle(whole, 14, room_px)
    assert width_px(cut, 14) <= room_px
    assert cut == whole or (cut[0] == whole[0] and cut[-1] in (whole[-1], "…"))


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("Größe – café.pdf", "Grosse - cafe.pdf"),
        ("新しい写真😀.png", "?.png"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("two\nlines\x00", "two lines"),
        ("", ""),
    ],
)
def test_names_are_drawn_as_near_as_the_font_goes(name: str, drawn: str) -> None:
    """Accents fall away, foreign scripts become one mark, direction and control characters vanish."""
    assert drawable(name) == drawn


def test_lines_fit_and_end_with_an_ellipsis_where_more_follows() -> None:
    """The first lines of a text stay in their column; the last one says that there is more."""
    lines = wrap_lines("The licensee may show the pictures on the web in Germany and Austria. " * 9, 12, 120, 4)
    assert len(lines) == 4
    assert all(width_px(line, 12) <= 120 for line in lines)
    assert lines[-1].endswith("…")
    assert wrap_lines("", 12, 120, 4) == wrap_lines("words", 12, 120, 0) == []
    assert cut_end("one", 12, 500) == "one…"
