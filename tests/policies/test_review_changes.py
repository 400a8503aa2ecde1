"""What changed since the last version, and what the machine is unsure of, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.review_changes import DIFF_LINES, LINE_CHARS, Snapshot, changes, doubts, measures, text_changes

HASH = "0f" * 32
OLD = Snapshot(
    sha256="a",
    size_bytes=2_500_000,
    media_type="image/jpeg",
    label="portrait",
    clearance="restricted",
    width=1600,
    height=1200,
    perceptual_hash=HASH,
    rights={"credit_line": "Ana Sousa", "status": "read", "conflicts": ["x"]},
)


def test_every_difference_is_said() -> None:
    """Looks, form, size, measures, what was recognised, rights, and what is embedded: a line each, in this order."""
    new = Snapshot(
        sha256="b",
        size_bytes=900,
        media_type="image/png",
        label=None,
        clearance="cleared",
        width=800,
        height=600,
        perceptual_hash="f0" * 32,
        rights={"copyright_notice": "© N", "expires_at": "2027-01-01", "status": "none"},
    )
    assert changes(OLD, new) == (
        "it looks different",
        "image/jpeg → image/png",
        "size: 2.4 MiB → 900 bytes",
        "1,600 × 1,200 px → 800 × 600 px",
        "recognised: portrait → nothing",
        "rights: restricted → cleared",
        "credit line in the file: “Ana Sousa” → none",
        "copyright notice in the file: none → “© N”",
        "expires in the file: none → “2027-01-01”",
    )


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (OLD, ("nothing: the same bytes, found to be the same",)),
        (replace(OLD, clearance="cleared"), ("the same bytes", "rights: restricted → cleared")),
        (replace(OLD, sha256="b", perceptual_hash=None), ("other bytes; nothing else that is shown here",)),
        (replace(OLD, sha256="b", size_bytes=2_500_001), ("it looks nearly the same",
                                                          "size: 2,500,000 → 2,500,001 bytes")),
        (replace(OLD, sha256="b", perceptual_hash=HASH[:-2] + "00"), ("it looks nearly the same",)),
    ],
)  # fmt: skip
def test_small_differences_and_none(new: Snapshot, said: tuple[str, ...]) -> None:
    """The same bytes are called the same; a byte more is a byte more."""
    assert changes(OLD, new) == said


def test_documents_and_recordings_have_their_measures() -> None:
    """Pages, length and language, singular and plural, seconds and minutes."""
    document = Snapshot("a", 1, "application/pdf", None, "cleared", pages=1, language="de")
    film = Snapshot("b", 1, "video/mp4", None, "cleared", width=640, height=360, duration_s=2.5)
    assert [measures(one) for one in (document, film, OLD)] == ["1 page", "640 × 360 px, 2.5 s", "1,600 × 1,200 px"]
    assert changes(document, replace(document, sha256="c", pages=3, language="en")) == (
        "pages: 1 → 3",
        "language: de → en",
    )
    assert changes(film, replace(film, sha256="c", duration_s=61.2)) == ("2.5 s → 1:01 min",)


def test_the_first_changed_lines_of_a_text() -> None:
    """Pairs of old and new, what only went or came, nothing for empty lines; what is more is counted."""
    old = "Terms\n\nGermany only\n  until May\nSigned"
    assert text_changes(old, "Terms\nGermany and Austria\nuntil May\n\nSigned\nPS: soon") == (
        "− Germany only",
        "+ Germany and Austria",
        "+ PS: soon",
    )
    assert text_changes(old, old) == text_changes(None, old) == text_changes(old, None) == ()
    many = text_changes("\n".join("abcdefgh"), "\n".join("ABCDEFGH"))
    assert many[:2] == ("− a", "+ A")
    assert many[-1] == "… 8 more changed lines"


def test_a_long_line_is_shown_where_it_differs() -> None:
    """A paragraph without line breaks is cut to the words before and after its first difference."""
    start = "The licensee may show the pictures on the web. " * 20
    gone, came = text_changes(f"{start}Until May. {start}", f"{start}Until June. {start}")
    assert gone.startswith("− …")
    assert "Until May." in gone
    assert "Until June." in came
    assert max(len(gone), len(came)) <= LINE_CHARS + 3


@given(st.text(max_size=300), st.text(max_size=300))
def test_whatever_texts_differ_the_answer_is_short(old: str, new: str) -> None:
    """Never more than the lines and characters that a row has room for."""
    shown = text_changes(old, new)
    assert len(shown) <= DIFF_LINES + 1
    assert all(len(line) <= LINE_CHARS + 3 for line in shown)


@pytest.mark.parametrize(
    ("margin", "risk", "said"),
    [
        (0.5, None, ()),
        (0.04, None, ("unsure: nearly as likely product photo (0.37)",)),
        (0.0, None, ("unsure: equally likely product photo (0.41)",)),
        (None, 0.015, ("of such answers at most 1.5% are wrong",)),
        (0.1, 0.2, ("unsure: nearly as likely product photo (0.31)", "of such answers at most 20% are wrong")),
    ],
)
def test_doubts_are_said_in_words(margin: float | None, risk: float | None, said: tuple[str, ...]) -> None:
    """A second label close behind, and the bound on the error where a calibration gives one."""
    found = doubts(label="portrait", score=0.41, margin=margin, second_label="product photo", risk=risk)
    assert found == said
    assert doubts(label=None, score=None, margin=margin, second_label="x", risk=risk) == ()
