"""The form of a review: what it offers, what it accepts, and that nothing foreign gets into it unescaped."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.quantities import size_text
from policies.review_form import (
    COMMENT_LIMIT,
    Answer,
    Decision,
    GateDecision,
    Refusal,
    Reviewer,
    ReviewItem,
    ReviewSheet,
    form_description,
    form_schema,
    read_answer,
)
from policies.review_sheet import Purpose
from policies.shown_text import cut_middle, markdown_link, markdown_text, plain_text

HERO = ReviewItem(
    position=1,
    gate_id=101,
    key="campaigns/spring/hero.jpg",
    version_number=2,
    kind="image",
    media_type="image/jpeg",
    size_bytes=2_500_000,
    label="portrait",
    score=0.874,
    margin=0.31,
    abstained=None,
    clearance="restricted",
    reasons=("no model release", "credit line missing"),
    link="https://files.example/hero.jpg?X-Sig=a&Y=1",
    basis="aa11",
)
CLIP = ReviewItem(
    2, 102, "clip.mp4", 1, "video", "video/mp4", 900, None, None, None, "no text", "cleared", (), None, "bb22"
)
LEA, LEA_FOR_MAX = Reviewer(7, "lea", "Lea Brandt"), Reviewer(7, "lea", "Lea Brandt", 9, "max")
SHEET = ReviewSheet(12, 1, "brand", "spring", "creative", "Thu 15:00", None, None, (LEA, LEA_FOR_MAX), (HERO, CLIP))
APPROVAL: dict[str, Any] = {"decision": "approve", "reviewer": "lea · Lea Brandt"}


def test_the_schema_is_made_for_this_round() -> None:
    """The whole form of a small review, literally."""
    decisions = ["approve", "request_changes", "reject"]
    comment_when_negative = {
        "if": {"properties": {"decision": {"enum": ["request_changes", "reject"]}}, "required": ["decision"]},
        "then": {"properties": {"comment": {"type": "string", "pattern": r"\S"}}, "required": ["comment"]},
    }
    assert form_schema(SHEET) == {
        "type": "object",
        "title": "Review 12 · brand · spring",
        "properties": {
            "decision": {
                "type": "string",
                "title": "Decision",
                "description": "For every asset that is not listed under exceptions.",
                "enum": decisions,
                "position": 0,
            },
            "reviewer": {
                "type": "string",
                "title": "Reviewer",
                "description": "Who you are.",
                "enum": ["lea · Lea Brandt", "lea · Lea Brandt, for max"],
                "position": 1,
            },
            "comment": {
                "type": "string",
                "title": "Comment",
                "maxLength": 4_000,
                "description": "Needed when changes are requested or the review is rejected.",
                "position": 2,
            },
            "exceptions": {
                "type": "array",
                "title": "Exceptions",
                "description": "Assets for which you decide otherwise.",
                "items": {
                    "type": "object",
                    "title": "Exception",
                    "properties": {
                        "asset": {"type": "string", "title": "Asset", "enum": ["1 · hero.jpg", "2 · clip.mp4"]},
                        "decision": {"type": "string", "title": "Decision", "enum": decisions},
                        "comment": {"type": "string", "title": "Comment", "maxLength": 4_000},
                    },
                    "required": ["asset", "decision"],
                    "additionalProperties": False,
                    **comment_when_negative,
                },
                "maxItems": 2,
                "position": 3,
            },
        },
        "required": ["decision", "reviewer"],
        "additionalProperties": False,
        **comment_when_negative,
        "x-signoff": {"review": 12, "round": 1, "basis": {"101": "aa11", "102": "bb22"}},
    }


def test_no_field_of_the_form_has_a_default() -> None:
    """A default would decide for whoever resumes a run without looking."""
    assert "default" not in re.findall(r"'(\w+)'", str(form_schema(SHEET)))


def test_the_description_shows_what_was_found() -> None:
    """The whole page of a review parked again, literally."""
    again = replace(
        SHEET,
        round=2,
        reason="hero.jpg changed",
        previous_run_url="http://prefect/runs/1",
        items=(
            replace(
                HERO,
                approvals="needs 2 approvals, has 1",
                changed_since="v1, sent back for changes",
                changes=("size: 2.4 MiB → 900 bytes",),
                text_diff=("− old|line", f"+ {'x' * 90}"),
                doubts=("unsure: nearly as likely other (0.56)",),
                measures="1,600 × 1,200 px",
                earlier_comments=("brand, v1: crop *tighter*",),
            ),
            CLIP,
        ),
        contact_sheet=b"\xff\xd8jpeg",
    )
    assert form_description(again).splitlines() == [
        r"**Here again:** hero\.jpg changed · [The earlier round](<http://prefect/runs/1>)",
        "",
        r"**2 assets** of spring, stage **brand**, policy creative, due **Thu 15\:00**.",
        "",
        "One decision is for every asset; what differs goes under *exceptions*. Who you are is declared, not "
        "authenticated: choose yourself only. Links open in this tab: hold Ctrl or Cmd to keep the form.",
        "",
        "![Contact sheet](data:image/jpeg;base64,/9hqcGVn)",
        "",
        "| # | asset | findings |",
        "|---:|---|---|",
        r"| 1 | **hero\.jpg** · [open](<https://files.example/hero.jpg?X-Sig=a&Y=1>)<br>campaigns\/spring\/<br>"
        r"v2 · image\/jpeg<br>2.4 MiB<br>1\,600 × 1\,200 px | **needs 2 approvals\, has 1**<br>"
        r"**changed since v1\, sent back for changes:**<br>size\: 2\.4 MiB → 900 bytes<br>− old\|line<br>"
        r"\+ xxxxxxxxxxxxxxxx…xxxxxxxxxxxxxxx<br>**portrait** 0.87<br>unsure\: nearly as likely other \(0\.56\)<br>"
        r"rights: **restricted**<br>no model release<br>credit line missing |",
        r"| 2 | **clip\.mp4**<br>v1 · video\/mp4<br>900 bytes | not recognised: no text<br>rights: **cleared** |",
        "",
        "**Said before**",
        "",
        r"- **1** brand\, v1\: crop \*tighter\*",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("hero.jpg", r"hero\.jpg"),
        ("a|b", r"a\|b"),
        ("<script>alert(1)</script>", r"\<script\>alert\(1\)\<\/script\>"),
        ("&lt;&#60;", r"\&lt\;\&\#60\;"),
        ("![x](http://evil.example/y.png)", "\\!\\[x\\]\\(http\\:\u2060\\/\\/evil\\.example\\/y\\.png\\)"),
        ("www.evil.example", "www\u2060\\.evil\\.example"),
        ("me@evil.example", "me\u2060\\@evil\\.example"),
        ("`code`", r"\`code\`"),
        ("{{ flow_run.name }}{% raw %}{# x #}", r"❴\{ flow\_run\.name \}❵❴\% raw \%❵❴\# x \#❵"),
        ("inv\u202egpj.exe", r"inv⟨U\+202E⟩gpj\.exe"),
        ("a\u200bb\x00c\x1bd\ud800", r"a⟨U\+200B⟩b⟨U\+0000⟩c⟨U\+001B⟩d⟨U\+D800⟩"),
        ("a\n# b\r\n\t- c\u2028d", r"a \# b \- c d"),
        ("שלום.jpg", "\u2068שלום\\.jpg\u2069"),
        ("x" * 100, "x" * 30 + "…" + "x" * 29),
    ],
)
def test_foreign_text_renders_as_itself(text: str, shown: str) -> None:
    """Markdown, HTML, links, templates, direction marks and control characters lose their power and stay visible."""
    assert markdown_text(text) == shown


@given(st.text(max_size=300))
def test_no_text_keeps_an_unescaped_mark(text: str) -> None:
    """Whatever the text, one short line is shown in which every mark is escaped and no template opens."""
    shown = markdown_text(text)
    assert re.sub(r"\\[!-/:-@\[-`{-~]", "", shown).isprintable() or "\u2060" in shown or "\u2068" in shown
    assert not re.search(r"[!-/:-@\[-`{-~]", re.sub(r"\\[!-/:-@\[-`{-~]", "", shown))
    assert not re.search(r"\{[{%#]|[}%#]\}", plain_text(text))
    assert len(plain_text(text).splitlines()) <= 1


@given(st.text(max_size=50), st.integers(3, 40))
def test_cut_text_keeps_both_ends(text: str, limit: int) -> None:
    """A cut text has at most the limit, and begins and ends as the whole one."""
    cut = cut_middle(text, limit)
    assert len(cut) <= limit
    assert cut[:1] == text[:1]
    assert cut[-1:] == text[-1:]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://s3/a?b=1&c=%20", "[open](<https://s3/a?b=1&c=%20>)"),
        (
            "https://s3/a b|c>d<e(f)\\`\n;é\u202e",
            "[open](<https://s3/a%20b%7Cc%3Ed%3Ce%28f%29%5C%60%0A%3B%C3%A9%E2%80%AE>)",
        ),
        ("javascript:alert(1)", "open"),
        ("data:text/html,x", "open"),
        ("//evil.example", "open"),
        ("", "open"),
    ],
)
def test_only_web_addresses_become_links(url: str, shown: str) -> None:
    """A link leads to http(s) and cannot end its own markdown."""
    assert markdown_link("open", url) == shown


def test_sizes_are_for_people() -> None:
    """Binary units, whole bytes below one KiB."""
    sizes = [0, 1023, 1024, 5 * 1024**2, 3 * 1024**4, 5000 * 1024**4]
    assert [size_text(size) for size in sizes] == [
        "0 bytes",
        "1023 bytes",
        "1.0 KiB",
        "5.0 MiB",
        "3.0 TiB",
        "5000.0 TiB",
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("invoice.pdf\u2800\u2800.exe", "invoice.pdf⟨U+2800⟩⟨U+2800⟩.exe"),
        ("a\u3164b\u115fc\uffa0d", "a⟨U+3164⟩b⟨U+115F⟩c⟨U+FFA0⟩d"),
        ("co\u034fpy", "co⟨U+034F⟩py"),
        ("heart \u2764\ufe0f.png", "heart \u2764\ufe0f.png"),
        ("\u845b\U000e0100.txt", "\u845b\U000e0100.txt"),
        ("hidden \ufe0f\ufe0e", "hidden ⟨U+FE0F⟩⟨U+FE0E⟩"),
        ("smuggled\U000e0101\U000e0102", "smuggled\U000e0101⟨U+E0102⟩"),
    ],
)
def test_what_is_drawn_as_nothing_is_spelt_out(name: str, shown: str) -> None:
    """Blank letters hide the end of a name; a selector that has something to select for stays as it is."""
    assert plain_text(name) == shown


def test_hostile_keys_stay_distinct_choices() -> None:
    """However names are cut or cleaned, the number keeps the choices apart, and each answers for its own gate."""
    keys = ["a/" + "x" * 500 + ".jpg", "b/" + "x" * 500 + ".jpg", "c/{{ x }}", "d/", "\u202e", "e\n\n# f"]
    items = tuple(replace(HERO, position=n, gate_id=n, key=key) for n, key in enumerate(keys, start=1))
    sheet = replace(SHEET, items=items)
    choices = form_schema(sheet)["properties"]["exceptions"]["items"]["properties"]["asset"]["enum"]
    assert choices == [
        "1 · " + "x" * 30 + "…" + "x" * 25 + ".jpg",
        "2 · " + "x" * 30 + "…" + "x" * 25 + ".jpg",
        "3 · ❴{ x }❵",
        "4 · d",
        "5 · ⟨U+202E⟩",
        "6 · e # f",
    ]
    raw = APPROVAL | {"exceptions": [{"asset": choices[1], "decision": "reject", "comment": "no"}]}
    answer = read_answer(raw, sheet)
    assert isinstance(answer, Answer)
    assert [decision.gate_id for decision in answer.decisions if decision.decision is Decision.REJECT] == [2]


def test_one_decision_is_for_every_asset() -> None:
    """An approval without exceptions approves every gate, for oneself or on behalf of somebody."""
    every = (GateDecision(101, Decision.APPROVE, None), GateDecision(102, Decision.APPROVE, None))
    assert read_answer(APPROVAL, SHEET) == Answer(7, 7, every)
    assert read_answer(APPROVAL | {"reviewer": LEA_FOR_MAX.choice}, SHEET) == Answer(7, 9, every)
    assert read_answer(APPROVAL | {"comment": None, "exceptions": None}, SHEET) == Answer(7, 7, every)


def test_exceptions_are_decided_otherwise() -> None:
    """An exception has its own decision and its own comment; the others keep the review's."""
    raw = {
        "decision": "reject",
        "reviewer": LEA.choice,
        "comment": " wrong season\n",
        "exceptions": [{"asset": "2 · clip.mp4", "decision": "approve"}],
    }
    assert read_answer(raw, SHEET) == Answer(
        7, 7, (GateDecision(101, Decision.REJECT, "wrong season"), GateDecision(102, Decision.APPROVE, None))
    )


EXCEPTION = {"asset": "1 · hero.jpg", "decision": "reject", "comment": "no"}
REFERENCE = {"__prefect_kind": "workspace_variable", "variable_name": "secret"}


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (None, "", "The run was resumed without its form. Open the run, choose Resume and fill the form in."),
        ("approve!", "", "The form must be an object; found text."),
        ([], "", "The form must be an object; found a list."),
        (REFERENCE, "", "The form holds a Prefect reference; write the value itself."),
        (
            APPROVAL | {"approved": True},
            "",
            "The form holds unknown fields approved; known: comment, decision, exceptions, reviewer.",
        ),
        ({}, "decision", "decision is missing: choose one of “approve”, “request_changes”, “reject”."),
        (
            APPROVAL | {"decision": "Approve"},
            "decision",
            "decision is “Approve”: choose one of “approve”, “request_changes”, “reject”.",
        ),
        (
            APPROVAL | {"decision": True},
            "decision",
            "decision is true or false: choose one of “approve”, “request_changes”, “reject”.",
        ),
        (
            APPROVAL | {"decision": ["approve"]},
            "decision",
            "decision is a list: choose one of “approve”, “request_changes”, “reject”.",
        ),
        (
            APPROVAL | {"decision": REFERENCE},
            "decision",
            "decision is a Prefect reference: choose one of “approve”, “request_changes”, “reject”.",
        ),
        (
            APPROVAL | {"reviewer": "lea"},
            "reviewer",
            "reviewer is nobody of this form: choose yourself from the list of the form.",
        ),
        (
            {"decision": "approve"},
            "reviewer",
            "reviewer is missing: choose yourself from the list of the form.",
        ),
        (APPROVAL | {"decision": "reject"}, "comment", "“reject” needs a comment that says what is wrong."),
        (
            APPROVAL | {"decision": "request_changes", "comment": " \n\t "},
            "comment",
            "“request changes” needs a comment that says what is wrong.",
        ),
        (APPROVAL | {"comment": 5}, "comment", "A comment must be text; found a number."),
        (APPROVAL | {"comment": REFERENCE}, "comment", "A comment must be text; found a Prefect reference."),
        (
            APPROVAL | {"comment": "x" * (COMMENT_LIMIT + 1)},
            "comment",
            "A comment has at most 4,000 characters; this one has 4,001.",
        ),
        (
            APPROVAL | {"comment": "a\x00"},
            "comment",
            "A comment holds the character U+0000, which is not text: remove it.",
        ),
        (
            APPROVAL | {"comment": "a\ud800"},
            "comment",
            "A comment holds the character U+D800, which is not text: remove it.",
        ),
        (APPROVAL | {"exceptions": {}}, "exceptions", "Exceptions must be a list; found an object."),
        (
            APPROVAL | {"exceptions": [EXCEPTION] * 3},
            "exceptions",
            "3 exceptions for 2 assets: list each asset once.",
        ),
        (
            APPROVAL | {"exceptions": [EXCEPTION, EXCEPTION]},
            "exceptions[1].asset",
            "“1 · hero.jpg” is listed twice: one exception for each asset.",
        ),
        (
            APPROVAL | {"exceptions": ["1 · hero.jpg"]},
            "exceptions[0]",
            "exceptions[0] must be an object; found text.",
        ),
        (
            APPROVAL | {"exceptions": [EXCEPTION | {"gate": 1}]},
            "exceptions[0]",
            "exceptions[0] holds unknown fields gate; known: asset, comment, decision.",
        ),
        (
            APPROVAL | {"exceptions": [EXCEPTION | {"asset": "3 · more.jpg"}]},
            "exceptions[0].asset",
            "exceptions[0].asset is “3 · more.jpg”: choose one of “1 · hero.jpg”, “2 · clip.mp4”.",
        ),
        (
            APPROVAL | {"exceptions": [{"asset": "1 · hero.jpg", "decision": "reject"}]},
            "exceptions[0].comment",
            "“reject” needs a comment that says what is wrong.",
        ),
        (
            APPROVAL | {"exceptions": [REFERENCE]},
            "exceptions[0]",
            "exceptions[0] holds a Prefect reference; write the value itself.",
        ),
    ],
)
def test_an_imperfect_form_decides_nothing(raw: Any, field: str, reason: str) -> None:
    """Every way to be wrong is refused as a whole, with the field and a reason for the person."""
    assert read_answer(raw, SHEET) == Refusal(field, reason)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["approve", "reject", LEA.choice]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["decision", "reviewer", "comment", "exceptions", "asset", "__prefect_kind", "x"]), inner
        )
    ),
)


@given(JSON)
def test_any_json_is_answered_or_refused(raw: Any) -> None:
    """No input raises, and an accepted answer has one decision for every gate by somebody who was offered."""
    result = read_answer(raw, SHEET)
    if isinstance(result, Answer):
        assert (result.person_id, [decision.gate_id for decision in result.decisions]) == (7, [101, 102])
        assert all(d.comment for d in result.decisions if d.decision is not Decision.APPROVE)
    else:
        assert result.reason


def test_what_is_held_is_released_or_rejected_with_a_reason() -> None:
    """Two decisions and no approval; both need a comment, and the row says what was found, escaped."""
    held = replace(HERO, held_because="inspection_failed: broken: <script>")
    sheet = replace(SHEET, stage="quarantine", items=(held, CLIP), purpose=Purpose.QUARANTINE)
    form = form_schema(sheet)
    assert form["properties"]["decision"]["enum"] == ["release", "reject"]
    assert form["if"]["properties"]["decision"]["enum"] == ["release", "reject"]
    said = {"reviewer": "lea · Lea Brandt", "decision": "release", "comment": "seen"}
    assert read_answer(said, sheet) == Answer(
        7, 7, (GateDecision(101, Decision.RELEASE, "seen"), GateDecision(102, Decision.RELEASE, "seen"))
    )
    for wrong in ({"decision": "approve"}, {"decision": "request_changes"}):
        assert isinstance(read_answer(said | wrong, sheet), Refusal)
    assert read_answer(said | {"comment": " "}, sheet) == Refusal(
        "comment", "“release” needs a comment that says why it may go on."
    )
    assert isinstance(read_answer(said, SHEET), Refusal)
    shown = form_description(sheet)
    assert "held in **quarantine**" in shown
    assert "**held: inspection\\_failed" in shown
    assert "<script>" not in shown


def test_what_was_sent_back_is_reopened_or_withdrawn_with_a_reason() -> None:
    """Two decisions that both need a comment; what was asked for is shown whole and escaped."""
    asked = "brand: make it lighter <script> " + "again and again " * 60 + "END"
    sent_back = replace(HERO, held_because="deadline: stage legal", earlier_comments=(asked,))
    sheet = replace(SHEET, stage="changes_requested", items=(sent_back, CLIP), purpose=Purpose.CHANGES)
    form = form_schema(sheet)
    assert form["properties"]["decision"]["enum"] == form["if"]["properties"]["decision"]["enum"]
    assert form["properties"]["decision"]["enum"] == ["reopen", "withdraw"]
    said = {"reviewer": "lea · Lea Brandt", "decision": "withdraw", "comment": "given up"}
    assert read_answer(said, sheet) == Answer(
        7, 7, (GateDecision(101, Decision.WITHDRAW, "given up"), GateDecision(102, Decision.WITHDRAW, "given up"))
    )
    assert read_answer(said | {"decision": "reopen", "comment": ""}, sheet) == Refusal(
        "comment", "“reopen” needs a comment that says why it may go on."
    )
    for wrong in ("approve", "request_changes", "reject", "release"):
        assert isinstance(read_answer(said | {"decision": wrong}, sheet), Refusal)
    shown = form_description(sheet)
    assert "**changes requested**" in shown
    assert "**sent back: deadline\\: stage legal**" in shown
    assert "**Asked for**\n\n- **1** brand\\: make it lighter" in shown
    assert "END" in shown
    assert "<script>" not in shown


def test_what_rights_block_is_waived_or_not_passed() -> None:
    """Where it may be: waive, with a comment; where it may not, neither that nor an approval; each says which."""
    waived = replace(HERO, blocked=True, waives=("no_licence",))
    sheet = replace(SHEET, items=(waived, CLIP))
    assert form_schema(sheet)["properties"]["decision"]["enum"] == ["approve", "waive", "request_changes", "reject"]
    said = {"reviewer": "lea · Lea Brandt", "decision": "approve"}
    assert read_answer(said, sheet) == Refusal(
        "decision",
        f"“approve” is not for “{HERO.choice}”, as its rights block: list it as an exception with “waive” or "
        "“request_changes” or “reject”.",
    )
    exception = {"asset": HERO.choice, "decision": "waive", "comment": "we know the photographer"}
    assert read_answer(said | {"exceptions": [exception]}, sheet) == Answer(
        7, 7, (GateDecision(101, Decision.WAIVE, "we know the photographer"), GateDecision(102, Decision.APPROVE, None))
    )
    alone = replace(sheet, items=(waived,))
    assert form_schema(alone)["properties"]["decision"]["enum"] == ["waive", "request_changes", "reject"]
    waive = said | {"decision": "waive"}
    assert read_answer(waive, alone) == Refusal("comment", "“waive” needs a comment that says why it may go on.")
    assert "takes upon you: no\\_licence" in form_description(alone)
    forbidden = replace(sheet, items=(replace(HERO, blocked=True),))
    assert form_schema(forbidden)["properties"]["decision"]["enum"] == ["request_changes", "reject"]
    assert "**cannot be waived**" in form_description(forbidden)
    for decision in ("waive", "approve"):
        assert isinstance(read_answer(waive | {"decision": decision, "comment": "please"}, forbidden), Refusal)
    assert isinstance(read_answer(waive | {"comment": "please"}, SHEET), Refusal)
