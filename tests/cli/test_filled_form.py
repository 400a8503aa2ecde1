"""What is typed becomes an answer to the form, or is refused with what the form offers and what to type."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from cli.filled_form import filled_form

DECISIONS = ["approve", "request_changes", "reject"]
REASON = {"if": {"properties": {"decision": {"enum": DECISIONS[1:]}}}}
SCHEMA = {
    "properties": {
        "decision": {"enum": DECISIONS},
        "reviewer": {"enum": ["lea · Lea Brandt", "lea · Lea Brandt, for Max", "tim, for Max", "tim, for Mia"]},
        "exceptions": {
            "items": {
                "properties": {"asset": {"enum": ["1 · a.jpg", "11 · b.jpg"]}, "decision": {"enum": DECISIONS}},
                **REASON,
            }
        },
    },
    **REASON,
}


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ((("lea", None), "approve", None, []), {"decision": "approve", "reviewer": "lea · Lea Brandt"}),
        ((("lea", "Max"), "approve", None, []), {"decision": "approve", "reviewer": "lea · Lea Brandt, for Max"}),
        (
            (("tim", "Mia"), "reject", "blurred", ["1=approve", "11=reject:dark: all of it"]),
            {
                "decision": "reject",
                "reviewer": "tim, for Mia",
                "comment": "blurred",
                "exceptions": [
                    {"asset": "1 · a.jpg", "decision": "approve"},
                    {"asset": "11 · b.jpg", "decision": "reject", "comment": "dark: all of it"},
                ],
            },
        ),
    ],
)
def test_what_was_typed_is_an_answer(given: tuple[Any, ...], answer: dict[str, Any]) -> None:
    """Who stands in as well decides for themselves, unless they say for whom."""
    assert filled_form(SCHEMA, *given) == answer


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ((("ben", None), "approve", None, []), "'ben' is not offered by this review; it offers lea, tim"),
        ((("tim", None), "approve", None, []), "say for whom, as the form does; it offers tim, for Max; tim, for Mia"),
        ((("lea", "Mia"), "approve", None, []), "it offers lea · Lea Brandt; lea · Lea Brandt, for Max"),
        ((("lea", None), "release", None, []), "'release' is not offered here; allowed: approve, request_changes, re"),
        ((("lea", None), "reject", " ", []), "'reject' needs a reason: say why with --comment"),
        ((("lea", None), "approve", None, ["1=reject"]), "needs a reason: say why with --except '1=reject:WHY'"),
        ((("lea", None), "approve", None, ["2=reject:x"]), "'2' is not offered by this review; it offers 1, 11"),
        ((("lea", None), "approve", None, ["1"]), "'1'; write NUMBER=DECISION:COMMENT, such as 3=reject:blurred"),
    ],
)
def test_what_the_form_would_refuse_says_what_to_type(given: tuple[Any, ...], problem: str) -> None:
    """Before anything is sent: the person, for whom, the decision, its reason, the asset."""
    with pytest.raises(typer.BadParameter) as caught:
        filled_form(SCHEMA, *given)
    assert problem in str(caught.value)
