"""What a form looks like: with one asset, twelve and forty-eight, in light and dark, and with the worst of names.

The screenshots stay under `test-artifacts/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, get_args
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, Request

from classifiers.contact_sheet import Earlier, Tile, contact_sheet
from policies.review_form import Reviewer, ReviewItem, ReviewSheet, form_description, form_schema
from tasks.park_run import Form, ParkedRun, park_run
from tests.flows.pictures import picture
from tests.flows.prefect_ui import (
    ARTIFACTS,
    UI_ITSELF,
    choices,
    description_of,
    open_run,
    read_description,
    reviewer_page,
    screenshot,
)

if TYPE_CHECKING:
    from tasks.prefect_api import PrefectApi
    from tests.conftest import PrefectServer

pytestmark = [pytest.mark.stack, pytest.mark.browser]

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
ENOUGH_CONTRAST = 4.5
"""Of words to what is behind them: WCAG 2.2, 1.4.3."""
NAMES = (
    ("image", "spring/hero/meadow-morning.jpg", "image/jpeg"),
    ("document", "legal/agency-x-frame-agreement.pdf", "application/pdf"),
    ("text", "spring/copy/claims-de.md", "text/markdown"),
    ("video", "spring/video/spring-teaser.mp4", "video/mp4"),
    ("audio", "spring/audio/jingle.wav", "audio/wav"),
)
TEXT = "Terms\nThe licensee may show the pictures on the web.\nGermany and Austria.\nUntil May.\n" * 3
HOSTILE = (
    "<script>document.title='owned'</script>.jpg",
    "<img src=//evil.example/x.png onerror=alert(1)>.png",
    "[click](javascript:alert(1)) ![x](http://evil.example/p.png).jpg",
    "www.evil.example mailto:me@evil.example https://evil.example/.txt",
    "{{ 7*7 }}{% for x in y %}{#c#}${HOME}.txt",
    '{"__prefect_kind": "jinja", "template": "{{ 1 }}"}.json',
    "inv\u202egpj.exe \u2066\u200b\u0600.pdf",
    "\u05d0\u05d1\u05d2 \u0639\u0642\u062f.pdf",
    "\x1b[31mred\x1b[0m\x07\x1b]0;owned\x07.txt",
    "a|b\n\n# heading\n\n---\n> quote\n```\ncode\n```\n- item.md",
    "long" * 250 + ".pdf",
    "\u0301" * 900 + "z" * 100,
)
CONTRASTS = """all => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    const known = new Map();
    const light = color => {
        if (!known.has(color)) known.set(color, measured(color));
        return known.get(color);
    };
    const measured = color => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        const [x, y, z] = [r, g, b].map(c => c / 255).map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
        return [.2126 * x + .7152 * y + .0722 * z, a];
    };
    return all.map(one => {
        const ink = light(getComputedStyle(one).color)[0];
        let behind = one, paper = [1, 0];
        while (behind && paper[1] < 250) {
            paper = light(getComputedStyle(behind).backgroundColor); behind = behind.parentElement;
        }
        return (Math.max(ink, paper[0]) + .05) / (Math.min(ink, paper[0]) + .05);
    });
}"""
"""WCAG contrast of each element's words to the nearest opaque ground behind them."""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """One browser for the tests of this file."""
    with reviewer_page(height=1_200) as opened:
        yield opened


def item(position: int, key: str, kind: str, media_type: str) -> ReviewItem:
    """A row with everything that a row may hold in every third one, and little in the others."""
    full = position % 3 == 1
    return ReviewItem(
        position=position,
        gate_id=100 + position,
        key=key,
        version_number=2 if full else 1,
        kind=kind,
        media_type=media_type,
        size_bytes=123_456 * position,
        label="portrait" if position % 2 else None,
        score=0.41,
        margin=0.04,
        abstained=None if position % 2 else "no text was found",
        clearance="restricted" if full else "cleared",
        reasons=("Licence L-204 covers web use in AT and DE until 24 December 2026",),
        link=f"http://127.0.0.1:9/original/{position}?X-Amz-Expires=604800",
        basis=f"basis{position}",
        changed_since="v1, sent back for changes" if full else None,
        changes=("size: 2.4 MiB → 1.1 MiB", "rights: cleared → restricted") if full else (),
        text_diff=("− Germany only.", "+ Germany and Austria.") if full else (),
        earlier_comments=("brand, v1, 3 March 2026, request changes: crop it tighter",) if full else (),
        approvals="needs 2 approvals, has 1" if full else None,
        doubts=("unsure: nearly as likely product photo (0.37)",),
        measures="1,600 × 1,200 px" if kind in ("image", "video") else "",
    )


def tile(one: ReviewItem) -> Tile:
    """What the contact sheet shows of a row."""
    thumbnail = picture(seed=one.position) if one.kind in ("image", "video") else None
    text = TEXT if one.kind in ("document", "text") else None
    earlier = Earlier("v1, before", one.kind, picture(seed=one.position + 99), text)
    return Tile(
        one.position,
        one.key.rpartition("/")[2],
        one.kind,
        thumbnail,
        text,
        one.measures,
        earlier if one.changed_since else None,
        f"v{one.version_number}, now",
    )


def sheet_of(items: tuple[ReviewItem, ...]) -> ReviewSheet:
    """A review parked again, of these assets."""
    return ReviewSheet(
        12,
        2,
        "brand",
        "spring-campaign",
        "creative-signoff",
        "Wednesday, 25 November 2026, 17:30 (Berlin time)",
        "Lea Hoffmann has decided on 3 assets.",
        None,
        (Reviewer(7, "ben", "Ben Okafor"),),
        items,
        contact_sheet([tile(one) for one in items]),
    )


def park(api: PrefectApi, deployment: str, sheet: ReviewSheet) -> ParkedRun:
    """Park a form as it is."""
    form = Form(f"review-{uuid4()}", sheet.title, ["review"], form_schema(sheet), form_description(sheet))
    return park_run(api, deployment, form)


def check_layout(dialog: Locator) -> None:
    """Nothing in the form is wider than the form."""
    wider = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.outerHTML.slice(0, 200))"
    assert dialog.locator(".prose, .prose td, .prose table").evaluate_all(wider) == []
    assert dialog.evaluate(
        "one => [one.getBoundingClientRect().left >= 0, one.scrollWidth <= one.clientWidth + 1]"
    ) == [
        True,
        True,
    ]


@pytest.mark.parametrize("assets", [1, 12, 48])
def test_a_form_is_readable_in_light_and_dark(
    page: Page, prefect_api: PrefectApi, review_deployment: str, assets: int
) -> None:
    """Words stand out from their ground in both, the sheet fills its column, nothing sticks out."""
    items = tuple(item(n, f"{n}-{key}" if n > 5 else key, kind, media)
                  for n, (kind, key, media) in enumerate((NAMES * 10)[:assets], 1))  # fmt: skip
    run = park(prefect_api, review_deployment, sheet_of(items))
    page.emulate_media(color_scheme=SCHEMES[0])
    dialog = open_run(page, run.url)
    shown = description_of(dialog)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(
            "dark => document.documentElement.classList.contains('dark') === dark", arg=scheme == "dark"
        )
        contrasts = shown.locator("p, th, td, strong, em, a, li").evaluate_all(CONTRASTS)
        assert len(contrasts) > 8 + 4 * assets
        assert min(contrasts) >= ENOUGH_CONTRAST
        width, natural = shown.locator("img").evaluate("one => [one.width, one.naturalWidth]")
        assert 400 <= width <= natural <= 2 * width + 8
        check_layout(dialog)
        screenshot(page, ARTIFACTS / f"review-{assets}-{scheme}.png")


def test_the_worst_names_are_words(
    page: Page, prefect_api: PrefectApi, review_deployment: str, prefect_server: PrefectServer
) -> None:
    """Scripts, links, templates, references, marks that turn the line, terminal codes, 1,000 characters: all stand
    there as text, in rows, changes, reasons and comments; nothing is loaded, asked or run, and nothing sticks out."""
    plain = [item(n, f"spring/{name}", "image", "image/jpeg") for n, name in enumerate(HOSTILE, 1)]
    items = tuple(
        ReviewItem(
            **{name: getattr(one, name) for name in one.__dataclass_fields__}
            | {"label": words, "reasons": (words,), "earlier_comments": (words,), "changes": (words,)}
            | {"changed_since": words, "text_diff": (f"+ {words}",), "doubts": (words,), "held_because": words}
        )
        for one, words in zip(plain, HOSTILE, strict=True)
    )
    asked: set[str] = set()
    dialogs: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((prefect_server.ui_url, "data:", "blob:")):
            asked.add(urlsplit(request.url).hostname or request.url)

    page.on("request", note)
    page.on("dialog", lambda one: (dialogs.append(one.message), one.dismiss()))
    dialog = open_run(page, park(prefect_api, review_deployment, sheet_of(items)).url)
    shown = description_of(dialog)
    assert shown.locator("script, iframe, form, input, code, pre, h1, h2, hr, blockquote, del, svg, style").count() == 0
    assert shown.locator("img").count() == 1
    links = shown.locator("a").evaluate_all("all => all.map(one => new URL(one.href).host)")
    assert set(links) == {"127.0.0.1:9"}
    assert len(links) == len(HOSTILE)
    assert shown.locator("tbody tr").count() == len(HOSTILE)
    assert {shown.locator("tbody tr").nth(n).locator("td").count() for n in range(len(HOSTILE))} == {3}
    text = read_description(dialog).replace("\u2060", "")
    assert not {"\x1b", "\x07", "\u202e", "\u2066"} & set(text)
    for expected in (
        "<script>document.title='owned'</script>.jpg",
        "❴{ 7*7 }❵❴% for x in y %❵❴#c#❵",
        "⟨U+202E⟩gpj.exe",
        "⟨U+001B⟩",
    ):
        assert expected in text
    assert choices(dialog, "Select Reviewer") == ["ben · Ben Okafor"]
    dialog.get_by_role("button", name="Add item").click()
    assert choices(dialog, "Select Asset") == [one.choice for one in items]
    check_layout(dialog)
    screenshot(page, ARTIFACTS / "review-hostile-names.png")
    assert "owned" not in page.title()
    assert dialogs == []
    assert asked <= UI_ITSELF
