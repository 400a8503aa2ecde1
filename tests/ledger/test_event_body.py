"""The bodies of events: byte for byte the canonical JSON of the same fields, whatever stands in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import canonical_json
from ledger.event_body import EventBodies

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(-(2**53), 2**53)
details = st.dictionaries(
    words,
    st.recursive(
        st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    ),
    max_size=4,
)
events = st.fixed_dictionaries(
    {
        "seq": numbers,
        "actor": words,
        "action": words,
        "version_id": st.none() | numbers,
        "from_state": st.none() | words,
        "to_state": st.none() | words,
        "round_number": st.none() | numbers,
        "policy_sha256": st.none() | words,
        "rule": st.none() | words,
        "reason": st.none() | words,
        "effect_id": st.none() | numbers,
        "details": details,
        "previous": words,
    }
)
_NAMES = {
    "from_state": "from",
    "to_state": "to",
    "round_number": "round",
    "policy_sha256": "policy",
    "previous": "prev",
}


@given(numbers, st.none() | words, st.lists(events, min_size=1, max_size=3))
def test_it_is_the_canonical_json(at: int, flow_run: str | None, told: list[dict[str, object]]) -> None:
    """Of several events of one transaction, so that what is kept between them is tried too."""
    bodies = EventBodies(at, flow_run)
    for event in told:
        plain = {_NAMES.get(name, name): value for name, value in event.items()}
        expected = canonical_json({**plain, "at": at, "flow_run": flow_run})
        assert bodies.write(**event) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("event", [{"seq": 2**53 + 1}, {"details": {"share": float("nan")}}, {"reason": "\ud800"}])
def test_what_has_no_canonical_form_is_refused(event: dict[str, object]) -> None:
    """Numbers that JSON loses, and text that UTF-8 does not have."""
    fields = dict.fromkeys(("version_id", "from_state", "to_state", "round_number", "policy_sha256", "rule", "reason"))
    sound = {"seq": 1, "actor": "a", "action": "tell", "effect_id": None, "details": {}, "previous": "00"}
    with pytest.raises(ValueError, match="no canonical JSON"):
        EventBodies(1, None).write(**(fields | sound | event))  # type: ignore[arg-type]
