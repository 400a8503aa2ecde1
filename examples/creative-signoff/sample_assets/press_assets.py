"""The press kit, the contracts, and the inbox where anybody may drop anything under any name."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

from PIL import Image

from sample_assets import graphics, landscapes
from sample_assets.campaign_assets import meadow
from sample_assets.canvas import Canvas, jpeg, png
from sample_assets.documents import Block, Picture, pdf, slides, word
from sample_assets.embedded_metadata import into_png
from sample_assets.house_rights import AGENCY, HOUSE, picture
from sample_assets.manifest import Feature, Recipe, recipe
from sample_assets.portraits import Face, portrait
from sample_assets.press_texts import AWARD, BROCHURE, DECK, FACTS, FRAME_AGREEMENT, MODEL_RELEASE, NDA, RELEASE
from sample_assets.product_assets import linen_lamp, sage_mug

ZOE = Face("#e9bd9d", "#b5762f", "#5f4b6b", "#c4ccc4", "long", glasses=True)

NFC_NAME = unicodedata.normalize("NFC", "Zoë Brandt, Gründerin.jpg")
NFD_NAME = unicodedata.normalize("NFD", NFC_NAME)
"""Looks the same, but its ë and ü are two characters each: another key, and so another asset."""


@cache
def _shown(draw: Callable[[], Canvas], width: int) -> Picture:
    image = draw().image()
    height = width * image.height // image.width
    return Picture(jpeg(image.resize((width, height), Image.Resampling.LANCZOS), 80), width, height)


def _brochure() -> list[Block]:
    pictures = {"[mug]": sage_mug, "[lamp]": linen_lamp, "[meadow]": meadow}
    return [_shown(pictures[block], 640) if block in pictures else block for block in BROCHURE]


def press_assets() -> Iterator[Recipe]:
    """Give the press kit."""
    yield recipe(
        "press/releases/spring-collection.pdf",
        lambda: pdf("Spring collection", RELEASE, HOUSE),
        "press release, two pages with XMP; cleared",
    )
    yield recipe("press/releases/design-award.pdf", lambda: pdf("Design award", AWARD, HOUSE), "press release; cleared")
    yield recipe(
        "press/kit/brochure.pdf",
        lambda: pdf("nordlicht, the spring collection", _brochure(), HOUSE),
        "brochure with pictures, four pages; cleared",
    )
    yield recipe(
        "press/kit/fact-sheet.docx",
        lambda: word("nordlicht at a glance", "Zoë Brandt", FACTS),
        "Word document; cleared",
    )
    yield recipe(
        "press/kit/collection-deck.pptx",
        lambda: slides(
            "Spring collection",
            "Zoë Brandt",
            [(title, lines, _shown(linen_lamp, 640).jpeg if title == "Light" else None) for title, lines in DECK],
        ),
        "slide deck; cleared",
    )
    visitors = (("2021", 11.0), ("2022", 14.0), ("2023", 19.5), ("2024", 23.0), ("2025", 27.2))
    yield recipe(
        "press/charts/visitors.png",
        lambda: into_png(png(graphics.bar_chart("Visitors in the studio", "thousand a year", visitors, "k")), HOUSE),
        "bar chart, a PNG with XMP; cleared",
    )
    materials = (("Brass", 34.0), ("Linen", 27.0), ("Oak", 21.0), ("Glass", 18.0))
    yield recipe(
        "press/charts/materials.png",
        lambda: png(graphics.donut_chart("What our lamps are made of", materials)),
        "infographic without metadata; cleared",
    )
    energy = (
        ("Old bulb, kWh a year", (50.0, 52.0, 49.0, 51.0, 50.0, 50.0)),
        ("New bulb", (12.0, 11.0, 9.0, 8.0, 7.0, 6.0)),
    )
    yield recipe(
        "press/charts/energy.jpg",
        picture(
            lambda: graphics.line_chart(
                "Energy of a table lamp", energy, ("2020", "2021", "2022", "2023", "2024", "2025")
            )
        ),
        "line chart; cleared",
    )
    yield recipe(
        "press/photos/skyline by night (final, really).jpg",
        picture(lambda: landscapes.city(7), AGENCY),
        "key with spaces, comma and brackets; cleared",
        Feature.ODD_KEY,
    )
    yield recipe(
        f"press/portraits/{NFC_NAME}", picture(lambda: portrait(ZOE, 9)), "key in Unicode NFC; cleared", Feature.ODD_KEY
    )
    yield recipe(
        f"press/portraits/{NFD_NAME}",
        picture(lambda: portrait(replace(ZOE, style="bun", shirt="#3f6b66"), 10)),
        "the same name in Unicode NFD: another key, another picture; cleared",
        Feature.ODD_KEY,
    )


def contract_assets() -> Iterator[Recipe]:
    """Give contracts, for the archive of the legal department."""
    root = "legal/contracts"
    yield recipe(
        f"{root}/agency-x-frame-agreement.pdf",
        lambda: pdf("Frame agreement AX-2026-02", FRAME_AGREEMENT, HOUSE),
        "contract, three pages; cleared for internal use",
    )
    yield recipe(
        f"{root}/model-release-amelie.pdf",
        lambda: pdf("Model release", MODEL_RELEASE),
        "contract without metadata; cleared for internal use",
    )
    yield recipe(
        f"{root}/non-disclosure-agreement.docx",
        lambda: word("Non-disclosure agreement", "nordlicht legal", NDA),
        "contract in Word; cleared for internal use",
    )


def long_key() -> str:
    """Give a key of about 950 bytes, no part of which is longer than a file name may be (255 bytes)."""
    words = "Ablage der Redaktion für alle, die später noch etwas suchen müssen und sich an nichts erinnern. " * 3
    folders = [f"{number} - {words[:222].strip()}" for number in range(1, 5)]
    return "/".join(["uploads", *folders, "gefunden.txt"])


def inbox_assets() -> Iterator[Recipe]:
    """Give what lands outside of every collection, under odd keys and without any contract."""
    both = (Feature.ODD_KEY, Feature.NO_CONTRACT)
    yield recipe("uploads/🎉 opening night 🎈.jpg", picture(lambda: landscapes.city(17), None), "key with emoji", *both)
    yield recipe(
        "uploads/100% wool + 50% linen.txt",
        b"Blanket, 100% wool, border 50% linen. 130 by 200 cm.\n",
        "key with per cent and plus",
        *both,
    )
    yield recipe(
        "uploads/issue #7: what's next?.md",
        b"# Issue 7\n\nWhat is next? A book about bowls, and a bowl about books.\n",
        "key with hash, colon, quote and question mark",
        *both,
    )
    yield recipe(
        "uploads/%2e%2e%2fescaped%20name.txt",
        b"A name that must not be decoded on its way.\n",
        "key that looks encoded already",
        *both,
    )
    yield recipe(
        "uploads/brief;v=2&draft=yes@home.txt",
        b"Draft of the autumn brief. Colours: rust, moss, slate.\n",
        "key with semicolon, equals, ampersand and at",
        *both,
    )
    yield recipe(
        long_key(),
        "Was lange gesucht wird, steht hier.\n",
        "key close to the longest that S3 allows",
        Feature.LONG_KEY,
        *both,
    )
