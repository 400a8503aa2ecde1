"""What is outside of the grammar is refused, with its place, what is allowed and the word that was meant."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.errors import PredicateError
from policies.facts import FACTS
from policies.predicates import parse_predicate

LABELS = ("portrait", "other")


def _refusal(text: str) -> PredicateError:
    with pytest.raises(PredicateError) as caught:
        parse_predicate(text, labels=LABELS, collections=("spring",))
    return caught.value


@pytest.mark.parametrize(
    ("text", "position", "found", "nearest"),
    [
        ("lable = 'portrait'", 0, "the unknown fact 'lable'", "label"),
        ("LABEL = 'portrait'", 0, "the unknown fact 'LABEL'", None),
        ("kind = 'image' AND label = 'prtrait'", 27, "'prtrait' as label", "portrait"),
        ("second_label IN ('other', 'oter')", 26, "'oter' as second_label", "other"),
        ("collection = 'sprig'", 13, "'sprig' as collection", "spring"),
        ("clearance <> 'clear'", 13, "'clear' as clearance", "cleared"),
        ("kind = 'image' AND\n  kind = 'vido'", 28, "'vido' as kind", "video"),
    ],
)
def test_wrong_words_are_named_with_the_right_one(text: str, position: int, found: str, nearest: str | None) -> None:
    """An unknown fact or value is refused where it stands, with the nearest known one."""
    error = _refusal(text)
    assert (error.position, error.found, error.nearest) == (position, found, nearest)


@pytest.mark.parametrize(
    ("text", "position", "found"),
    [
        ("kind > 'image'", 0, "kind >"),
        ("kind = 0.5", 7, "'0.5'"),
        ("duplicate_of_published = 'yes'", 25, "\"'yes'\""),
        ("type_mismatch < TRUE", 0, "'TRUE'"),
        ("kind", 0, "the fact kind alone"),
        ("size > 1.5", 7, "1.5 as size"),
        ("size > 99999999999999999999", 7, "99999999999999999999 as size"),
        ("size > '2 gigs'", 7, "'2 gigs'"),
        ("risk <= '2%'", 8, "'2%'"),
        ("risk <= 2", 8, "2 as risk"),
        ("unsafe_score >= 80", 16, "80 as unsafe_score"),
        ("age > 3", 0, "the unknown fact 'age'"),
        ("duration > 1e999", 11, "'1e999'"),
        ("kind BETWEEN 'a' AND 'b'", 0, "BETWEEN on kind"),
        ("kind LIKE 'im%'", 0, "LIKE on kind"),
        ("size LIKE '1%'", 0, "LIKE on size"),
        ("kind IS NULL", 0, "kind IS NULL"),
        ("label = NULL", 0, "'NULL'"),
        ("array_contains(label, 'x')", 0, "array_contains on label"),
        ("clearance_reasons = 'x'", 20, "a comparison of clearance_reasons"),
        ("key LIKE '%a%b%c%d%e%f%g%h%'", 9, repr("'%a%b%c%d%e%f%g%h%'")),
    ],
)
def test_types_are_checked(text: str, position: int, found: str) -> None:
    """A comparison that can make no sense is refused where it stands."""
    error = _refusal(text)
    assert (error.position, error.found) == (position, found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "TRUE",
        "1 = 1",
        "NOT",
        "*",
        "kind = ",
        "kind = 'image",
        "kind = 'image'; kind = 'text'",
        "kind = 'image' -- AND risk <= 0.02",
        "/* kind */ type_mismatch",
        'kind = "image"',
        "\"kind\" = 'image'",
        "facts.kind = 'image'",
        "label = second_label",
        "width + 1 > 2",
        "size > 2 GiB",
        "risk::INT = 1",
        "CAST(kind AS INT) = 1",
        "score > AVG(score)",
        "ROW_NUMBER() OVER () > 1",
        "(SELECT 1) = 1",
        "EXISTS (SELECT 1)",
        "label IN ()",
        "label IN (SELECT 1)",
        "label IN ('other', NULL)",
        "label IN UNNEST(x)",
        "(kind, label) IN (('image', 'other'))",
        "label LIKE 'a' ESCAPE '!'",
        "label LIKE ANY ('a')",
        "label ILIKE 'a'",
        "label SIMILAR TO 'a'",
        "label ~ 'a'",
        "label = 'other' COLLATE nocase",
        "label IS NOT DISTINCT FROM 'other'",
        "type_mismatch IS TRUE",
        "type_mismatch XOR type_mismatch",
        "risk <=> 0.5",
        "risk < - - 0.5",
        "size BETWEEN SYMMETRIC 1 AND 2",
        "kind = 'image' 'x'",
        "kind = E'image'",
        "kind = ?",
        "kind = $1",
        "kind = :kind",
        "kind = 'image' LIMIT 1",
        "CASE WHEN type_mismatch THEN TRUE END",
        "COALESCE(type_mismatch, TRUE)",
        "starts_with(key, 'a')",
        "array_contains(clearance_reasons, 'x', 'y')",
        "NOT " * 60 + "type_mismatch",
        "(" * 5000 + "type_mismatch" + ")" * 5000,
        " OR ".join(["type_mismatch"] * 600),
    ],
)
def test_everything_else_is_outside_the_grammar(text: str) -> None:
    """SQL that is not in the closed grammar is refused, however harmless it looks."""
    error = _refusal(text)
    assert 0 <= error.position <= len(text)
    assert error.found
    assert error.allowed


@settings(deadline=None)
@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from([*FACTS, "'a'", "1", "(", ")", "AND", "NOT", "IN", "=", ","])).map(" ".join)
)
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever is written, the answer is a predicate or a refusal, never another error."""
    try:
        names = parse_predicate(text).names
    except PredicateError as error:
        refused_at = error.position
    else:
        assert names <= FACTS.keys()
        return
    assert 0 <= refused_at <= len(text)


def test_message_says_found_allowed_and_next_step() -> None:
    """The message is one that the author of a policy can act on."""
    assert str(_refusal("size > 2 GiB")) == (
        "found 'GiB' at character 10 of 'size > 2 GiB'; allowed: comparisons of a fact with a literal, IN, BETWEEN, "
        "LIKE, IS NULL, array_contains, AND, OR, NOT and parentheses; quantities stand in quotes: '2 GiB'"
    )
    assert str(_refusal("label = 'prtrait'")) == (
        "found 'prtrait' as label at character 9 of \"label = 'prtrait'\"; allowed: portrait, other; "
        "did you mean 'portrait'?"
    )


def test_refusal_survives_pickling() -> None:
    """A refusal can cross a process boundary."""
    error = _refusal("label = 'prtrait'")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own bytes
