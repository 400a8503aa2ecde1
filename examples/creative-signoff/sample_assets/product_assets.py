"""The intake of the studio: pictures, texts and the price list of the shop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from PIL import Image

from sample_assets import flat_products, graphics, surfaces, turned_products
from sample_assets.canvas import Canvas, jpeg, png
from sample_assets.documents import sheet
from sample_assets.embedded_metadata import into_jpeg
from sample_assets.house_rights import HOUSE, picture
from sample_assets.manifest import Feature, Recipe, recipe


@cache
def _terracotta() -> Canvas:
    return turned_products.mug("#c9573f", "#e9ddd3", 101)


@cache
def _rosemary() -> Canvas:
    return turned_products.bottle("#2f6a52", "#dfe5e6", "ROSMARIN", "olive oil · 500 ml", 105)


@cache
def sage_mug() -> Canvas:
    """Draw a product that the brochure shows as well."""
    return turned_products.mug("#8fa68e", "#e6e4dc", 102)


@cache
def linen_lamp() -> Canvas:
    """Draw a product that brochure and slide deck show as well."""
    return turned_products.table_lamp("#f1dfbd", "#3f5b66", "#cfc8bf", 107)


@cache
def _cedar() -> Canvas:
    return turned_products.candle("#4d6152", "#d3d8d2", "Cedar", 112)


PICTURES: dict[str, Callable[[], Canvas]] = {
    "tableware/mug-terracotta": _terracotta,
    "tableware/mug-sage": sage_mug,
    "tableware/mug-night": lambda: turned_products.mug("#2f4058", "#dcdfe3", 103),
    "tableware/bowl-indigo": lambda: turned_products.bowl("#4f6f8f", "#e6e6e2", "#d9692b", 104),
    "tableware/bowl-sand": lambda: turned_products.bowl("#cdb48c", "#e9e3da", "#8fae3f", 119),
    "pantry/rosemary-oil": _rosemary,
    "pantry/lemon-oil": lambda: turned_products.bottle("#b9a23c", "#ece7d8", "ZITRONE", "olive oil · 500 ml", 106),
    "home/lamp-linen": linen_lamp,
    "home/lamp-rust": lambda: turned_products.table_lamp("#e9c9a6", "#8a4a33", "#c9c6c1", 108),
    "home/vase-sage": lambda: turned_products.vase("#7d8f88", "#e4e0da", 109),
    "home/vase-clay": lambda: turned_products.vase("#b5694a", "#e7dfd6", 110, stems=False),
    "home/candle-fig": lambda: turned_products.candle("#7a4a3a", "#d8cdc4", "Fig", 111),
    "scent/aube": lambda: turned_products.flacon("#e0a487", "#e8dcd6", "Aube", 113),
    "scent/nuit": lambda: turned_products.flacon("#5f6f9f", "#d9dce4", "Nuit", 114),
    "accessories/watch-navy": lambda: flat_products.watch("#6b4023", "#1d2f45", "#e5e2dc", 115),
    "accessories/watch-white": lambda: flat_products.watch("#26282b", "#f2efe8", "#d9dfe2", 116),
    "accessories/sneaker-pine": lambda: flat_products.sneaker("#e9e6df", "#2f6f6a", "#dce3e4", 117),
    "accessories/notebook-blue": lambda: flat_products.notebook("#36566b", "#e08a5b", "#e9e4dc", 118),
    "surfaces/oak-boards": lambda: surfaces.wood(120),
    "surfaces/linen-natural": lambda: surfaces.linen("#cdbb9c", 121),
}

TEXTS = {
    "mug.txt": (
        "Mug, stoneware. 9 cm high, 320 ml.\n"
        "Thrown by hand, so no two are alike. Safe in the dishwasher and in the microwave.\n"
    ),
    "bowl.txt": ("Bowl, stoneware. 28 cm wide, 9 cm high. Glazed inside and outside, unglazed foot.\nWash by hand.\n"),
    "lamp.txt": (
        "Table lamp. Linen shade, turned foot of oak and brass. 46 cm high.\nBulb E27, at most 8 W, not included.\n"
    ),
    "oil.txt": (
        "Olive oil with rosemary, 500 ml. First cold pressing, harvest of last autumn.\n"
        "Keep dark and cool, use within a year.\n"
    ),
    "candle.txt": (
        "Scented candle of beeswax in a jar of recycled glass.\nBurns 42 hours. Trim the wick before each use.\n"
    ),
    "watch.txt": (
        "Wrist watch, automatic movement, 38 mm case of steel,\nsapphire glass, strap of vegetable tanned leather.\n"
    ),
    "notebook.md": (
        "# Notebook\n\n- 160 pages, 90 g paper, dotted\n- cover of linen, elastic band\n- made in Leipzig\n"
    ),
    "vase.md": (
        "# Vase\n\nRound vase of stoneware, 26 cm high. Two painted rings.\nHolds dry stems and, if it must, water.\n"
    ),
}

PRICES: tuple[tuple[str | float, ...], ...] = (
    ("Article", "Name", "Group", "Net, EUR", "Gross, EUR"),
    ("NL-1001", "Mug terracotta", "tableware", 18.49, 22.0),
    ("NL-1002", "Mug sage", "tableware", 18.49, 22.0),
    ("NL-1010", "Bowl indigo", "tableware", 40.34, 48.0),
    ("NL-2001", "Olive oil, rosemary", "pantry", 15.89, 17.0),
    ("NL-3001", "Table lamp, linen", "home", 108.4, 129.0),
    ("NL-3010", "Vase sage", "home", 49.58, 59.0),
    ("NL-3020", "Candle fig", "home", 31.93, 38.0),
    ("NL-4001", "Aube, 50 ml", "scent", 57.14, 68.0),
    ("NL-5001", "Watch navy", "accessories", 327.73, 390.0),
    ("NL-5010", "Sneaker pine", "accessories", 100.0, 119.0),
)

ERROR_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>404: not found</title></head>
<body><h1>The picture is gone</h1><p>The download link has expired. Ask the studio for a new one.</p></body>
</html>
"""


def product_assets() -> Iterator[Recipe]:
    """Give the files of the shop, and the copies of two of them in the campaign."""
    for name, draw in PICTURES.items():
        features = (Feature.EXACT_DUPLICATE,) if draw is _terracotta else ()
        yield recipe(f"product/{name}.jpg", picture(draw), "product picture; cleared", *features)
    yield recipe(
        "product/surfaces/terrazzo.jpg",
        picture(lambda: surfaces.terrazzo(122)),
        "surface that no contract covers",
        Feature.NO_CONTRACT,
    )
    yield recipe(
        "product/accessories/sunglasses-tortoise.jpg",
        picture(lambda: flat_products.sunglasses("#3a2418", "#3d2b22", "#efe6da", 123)),
        "the licensor of the design forbids its use",
        Feature.PROHIBITED,
    )
    yield recipe("product/logo/nordlicht-mark.svg", graphics.LOGO, "the logo, an SVG; cleared")
    yield recipe(
        "product/price-list.xlsx",
        lambda: sheet("Prices", "nordlicht sales", PRICES),
        "price list, an Excel workbook; cleared",
    )
    for name, text in TEXTS.items():
        yield recipe(f"product/texts/{name}", text, "product text that is approved automatically", Feature.AUTOMATIC)
    yield from _copies()
    yield from _broken()


def _copies() -> Iterator[Recipe]:
    yield recipe(
        "campaigns/spring/products/mug-terracotta.jpg",
        picture(_terracotta),
        "the same bytes as product/tableware/mug-terracotta.jpg",
        Feature.EXACT_DUPLICATE,
    )

    def smaller() -> bytes:
        return into_jpeg(jpeg(_rosemary().image().resize((640, 480), Image.Resampling.LANCZOS), 70), HOUSE)

    yield recipe(
        "campaigns/spring/products/rosemary-oil-web.jpg",
        smaller,
        "product/pantry/rosemary-oil.jpg, smaller and compressed again",
        Feature.NEAR_DUPLICATE,
    )


def _broken() -> Iterator[Recipe]:
    yield recipe(
        "product/home/candle-cedar.jpg", lambda: _half(picture(_cedar)()), "an upload that was cut off", Feature.BROKEN
    )
    yield recipe(
        "product/scent/mint.jpg", ERROR_PAGE, "an error page that was saved as a picture", Feature.TYPE_MISMATCH
    )
    yield recipe(
        "product/accessories/notebook-clay.jpg",
        lambda: png(flat_products.notebook("#a5573f", "#efe0c8", "#e4e4e0", 124)),
        "a PNG whose name says JPEG",
        Feature.TYPE_MISMATCH,
    )


def _half(whole: bytes) -> bytes:
    return whole[: len(whole) * 2 // 5]


def replacements() -> Iterator[Recipe]:
    """Give the whole file for the one that was cut off."""
    yield recipe("product/home/candle-cedar.jpg", picture(_cedar), "the whole picture of the upload that was cut off")
