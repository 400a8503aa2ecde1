"""The form of a stage that wants a signature asks for a code, reads it strictly, and tells nobody what was typed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from policies.review_form import Answer, Refusal, form_description, form_schema, read_answer
from policies.review_sheet import Reviewer, ReviewItem, ReviewSheet

ITEM = ReviewItem(
    1, 101, "clip.mp4", 1, "video", "video/mp4", 900, None, None, None, "no text", "cleared", (), None, "bb22"
)
PLAIN = ReviewSheet(
    12, 1, "brand", "spring", "creative", None, None, None, (Reviewer(7, "lea", "Lea Brandt"),), (ITEM,)
)
SIGNED = replace(PLAIN, signed=True)
ANSWER: dict[str, Any] = {"decision": "approve", "reviewer": "lea · Lea Brandt"}


def test_the_code_is_asked_for_last_and_where_it_is_wanted() -> None:
    """Required, six digits, at the end of the form; a form without a signature has no such field."""
    form, plain = form_schema(SIGNED), form_schema(PLAIN)
    assert form["properties"].pop("code") == {
        "type": "string",
        "title": "Code from your authenticator app",
        "description": "Six digits. Type it last: it is good for half a minute, and once.",
        "pattern": "^[0-9]{6}$",
        "position": 4,
    }
    assert form.pop("required") == ["decision", "reviewer", "code"]
    assert form == {name: value for name, value in plain.items() if name != "required"}


def test_the_text_says_who_is_authenticated() -> None:
    """With a code: by it, and how to enrol; without: declared only."""
    signed, plain = form_description(SIGNED), form_description(PLAIN)
    assert "**Who you are is authenticated** by the code of your authenticator app" in signed
    assert "signoff people enrol" in signed
    assert "declared, not authenticated" not in signed
    assert "declared, not authenticated" in plain
    assert "authenticator" not in plain


def test_a_code_is_read_and_not_shown() -> None:
    """It is in the answer, and in no text of it."""
    answer = read_answer(ANSWER | {"code": "004217"}, SIGNED)
    assert isinstance(answer, Answer)
    assert answer.code == "004217"
    assert "004217" not in repr(answer)
    plain = read_answer(ANSWER, PLAIN)
    assert isinstance(plain, Answer)
    assert plain.code is None


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "missing"),
        ({"code": None}, "missing"),
        ({"code": ""}, "not six digits"),
        ({"code": "73194"}, "not six digits"),
        ({"code": "7319428"}, "not six digits"),
        ({"code": "731942\n"}, "not six digits"),
        ({"code": " 731942"}, "not six digits"),
        ({"code": "731 942"}, "not six digits"),
        ({"code": "٧٣١٩٤٢"}, "not six digits"),
        ({"code": "-31942"}, "not six digits"),
        ({"code": 731942}, "a number"),
        ({"code": ["731942"]}, "a list"),
        ({"code": True}, "true or false"),
        ({"code": {"__prefect_kind": "workspace_variable", "variable_name": "731942"}}, "a Prefect reference"),
    ],
)
def test_anything_else_is_refused_unquoted(given: dict[str, Any], found: str) -> None:
    """Not trimmed, not guessed at, and what was typed stands in no message."""
    reason = f"code is {found}: type the six digits that your authenticator app shows."
    assert read_answer(ANSWER | given, SIGNED) == Refusal("code", reason)
    if given.get("code") is not None:
        assert "731942" not in repr(read_answer(ANSWER | given, SIGNED))
        if not isinstance(given["code"], str) or not given["code"].endswith("\n"):  # `$` matches before a last newline
            assert not Draft202012Validator(form_schema(SIGNED)).is_valid(ANSWER | given)


def test_a_code_nobody_asked_for() -> None:
    """Is a field that the form does not have, and is not repeated."""
    refused = read_answer(ANSWER | {"code": "731942"}, PLAIN)
    assert isinstance(refused, Refusal)
    assert "unknown fields code" in refused.reason
    assert "731942" not in refused.reason
