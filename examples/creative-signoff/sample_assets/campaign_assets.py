"""The intake of the agency: the spring campaign, and the summer campaign that nobody may see yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import cache

from sample_assets import graphics
from sample_assets.canvas import Canvas, png
from sample_assets.documents import word
from sample_assets.embedded_metadata import into_png
from sample_assets.house_rights import AGENCY, photograph, picture
from sample_assets.landscapes import DUSK, MIST, MORNING, NOON, beach, hills
from sample_assets.manifest import Feature, Recipe, recipe
from sample_assets.portraits import Face, portrait
from sample_assets.recordings import film, jingle

AMELIE = Face("#e3b391", "#5a3520", "#3f6b66", "#d8cfc4", "long")
IDRIS = Face("#8a5a3c", "#1c1514", "#d9a441", "#b9c7c4", "curls")
HENNING = Face("#f0c6a6", "#8c8c8a", "#37465b", "#c9b8a6", "short", beard=True, glasses=True)
SUNITA = Face("#c98f68", "#2a1a12", "#b3483f", "#cfd6d8", "bun", glasses=True)
RELEASED = replace(AGENCY, model_release="MR-UMR")

CLAIMS_DE = """# Claims Frühjahr

- Was der Frühling mitbringt.
- Neue Glasuren, alte Formen.
- Kaffee am Fenster. Mehr braucht es nicht.
- Handgemacht in Lübeck, benutzt in der ganzen Küche.
"""
CLAIMS_EN = """# Spring claims

- What the spring brings.
- New glazes, old forms.
- Coffee at the window. That is all it takes.
- Made by hand in Lübeck, used all over the kitchen.
"""
POSTS = """Monday, 09:00
New glazes are out of the kiln. The terracotta mug is back, and it brought a friend in sage. #nordlicht

Wednesday, 12:30
Twenty per cent off tableware until the end of the month. Come by, or order from the sofa.

Saturday, 10:00
Open studio today and tomorrow. Throw your first bowl, take it home in three weeks.
"""
TEASER = "Long nights, warm light. The summer collection opens at midsummer. Until then: not a word.\n"
BRIEF = (
    "The spring campaign shows tableware in daylight. It speaks to people who cook for friends.",
    "## Tone",
    "Plain words, no superlatives. One picture, one thought.",
    "## What we need",
    "- Four landscapes for the home page, 3:2, without people",
    "- Three posters, 3:4, with room for a date",
    "- Portraits of the makers, with signed model releases",
    "- A film of three seconds and a jingle",
    "## Where it runs",
    "Web in Germany and Austria from March to the end of June. The agency is credited on every picture.",
)


@cache
def meadow() -> Canvas:
    """Draw the key visual, which the film and the brochure show as well."""
    return hills(MORNING, 1)


@cache
def _henning() -> Canvas:
    return portrait(HENNING, 8)


def spring_assets(today: date) -> Iterator[Recipe]:
    """Give the files of the spring campaign; `today` only dates the one whose rights have ended."""
    root = "campaigns/spring"
    scenes: dict[str, tuple[Callable[[], Canvas], str, tuple[Feature, ...]]] = {
        "meadow-morning": (meadow, "landscape with hills at sunrise; cleared", ()),
        "forest-mist": (lambda: hills(MIST, 4), "landscape in the mist; cleared", ()),
        "lake-dusk": (
            lambda: hills(DUSK, 2, water=True),
            "licensed for Germany, the campaign also runs in Austria",
            (Feature.TERRITORY_SHORT,),
        ),
        "alps-noon": (lambda: hills(NOON, 3, snow=True), "its licence ended ten days ago", (Feature.EXPIRED,)),
        "coast-noon": (lambda: beach(NOON, 5), "its licence ends in twelve days", (Feature.EXPIRING,)),
    }
    for name, (draw, purpose, features) in scenes.items():
        yield recipe(f"{root}/hero/{name}.jpg", picture(draw, AGENCY.titled(name)), purpose, *features)
    yield recipe(
        f"{root}/hero/dahlia.jpg",
        photograph("flower.jpg", "vultilion", "http://www.vultilion.de", lambda: hills(MORNING, 21)),
        "a real photograph under a free licence; cleared",
    )
    yield recipe(
        f"{root}/hero/palace-garden.jpg",
        photograph("china.jpg", "danielbuechele", "© danielbuechele", lambda: hills(NOON, 22)),
        "a real photograph under a free licence; cleared",
    )
    ended = replace(AGENCY, expires_on=today - timedelta(days=20))
    yield recipe(
        f"{root}/hero/valley-archive.jpg",
        picture(lambda: hills(MORNING, 11, water=True), ended),
        "contract fine, but the file says that its rights ended",
        Feature.EXPIRED_IN_FILE,
    )
    contradicting = replace(AGENCY, other_credit_line="Photo desk, Agency Y")
    yield recipe(
        f"{root}/hero/ridge-evening.jpg",
        picture(lambda: hills(DUSK, 12), contradicting),
        "XMP credits one agency, IPTC IIM another",
        Feature.METADATA_CONFLICT,
    )
    yield from _posters(root)
    yield from _portraits(root)
    yield recipe(
        f"{root}/video/spring-teaser.mp4",
        lambda: film(meadow().image(), "spring at nordlicht"),
        "a short film; cleared",
    )
    yield recipe(f"{root}/audio/spring-jingle.wav", jingle, "a short jingle; cleared")
    yield recipe(f"{root}/copy/claims-de.md", CLAIMS_DE, "text in German; cleared")
    yield recipe(f"{root}/copy/claims-en.md", CLAIMS_EN, "text in English; cleared")
    yield recipe(f"{root}/copy/social-posts.txt", POSTS, "plain text; cleared")
    yield recipe(
        f"{root}/brief/creative-brief.docx",
        lambda: word("Creative brief, spring", "Noor El-Sayed", BRIEF),
        "a Word document; cleared",
    )


def _posters(root: str) -> Iterator[Recipe]:
    yield recipe(
        f"{root}/posters/spring-sale.jpg",
        picture(lambda: graphics.sale_poster(1), AGENCY),
        "poster, first version; its correction comes later",
        Feature.REPLACED,
    )
    yield recipe(
        f"{root}/posters/open-studio.jpg", picture(lambda: graphics.studio_poster(2), AGENCY), "poster; cleared"
    )
    yield recipe(
        f"{root}/posters/picnic.jpg",
        picture(lambda: graphics.picnic_poster(3), None),
        "carries no metadata, but the contract asks for a credit line",
        Feature.CREDIT_MISSING,
    )
    yield recipe(
        f"{root}/banners/newsletter-header.png",
        lambda: into_png(png(graphics.newsletter_header()), AGENCY),
        "banner, a PNG with XMP; cleared",
    )


def _portraits(root: str) -> Iterator[Recipe]:
    unreleased = replace(AGENCY, model_release="MR-NON")
    guarded = replace(RELEASED, data_mining="DMI-PROHIBITED")
    for name, draw, rights, purpose, features in (
        (
            "potter-amelie",
            lambda: portrait(AMELIE, 8),
            RELEASED,
            "portrait with a model release; cleared, legal looks at every portrait",
            (),
        ),
        (
            "gardener-idris",
            lambda: portrait(IDRIS, 8),
            guarded,
            "portrait with a model release that forbids data mining",
            (Feature.DATA_MINING_PROHIBITED,),
        ),
        (
            "baker-henning",
            _henning,
            unreleased,
            "portrait whose file says that there is no model release",
            (Feature.NO_MODEL_RELEASE, Feature.AI_PROHIBITED),
        ),
        (
            "florist-sunita",
            lambda: portrait(SUNITA, 8),
            None,
            "portrait without metadata and without a contract",
            (Feature.NO_CONTRACT,),
        ),
    ):
        yield recipe(f"{root}/portraits/{name}.jpg", picture(draw, rights), purpose, *features)


def summer_assets() -> Iterator[Recipe]:
    """Give the files of the summer campaign, all under embargo."""
    root = "campaigns/summer"
    purpose = "may not be published before the campaign begins"
    yield recipe(f"{root}/hero/beach-noon.jpg", picture(lambda: beach(NOON, 31), AGENCY), purpose, Feature.EMBARGOED)
    yield recipe(f"{root}/hero/beach-dusk.jpg", picture(lambda: beach(DUSK, 32), AGENCY), purpose, Feature.EMBARGOED)
    yield recipe(
        f"{root}/posters/long-nights.jpg", picture(lambda: graphics.night_poster(4), AGENCY), purpose, Feature.EMBARGOED
    )
    yield recipe(f"{root}/copy/teaser.txt", TEASER, purpose, Feature.EMBARGOED)


def replacements() -> Iterator[Recipe]:
    """Give second versions of campaign assets, to be uploaded once the first ones were looked at."""
    corrected = picture(lambda: graphics.sale_poster(1, "25 % off tableware"), AGENCY)
    yield recipe("campaigns/spring/posters/spring-sale.jpg", corrected, "the poster with the offer corrected")
    released = picture(_henning, RELEASED)
    yield recipe("campaigns/spring/portraits/baker-henning.jpg", released, "the portrait, now with its model release")
