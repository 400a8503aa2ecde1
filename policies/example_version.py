"""Facts of a version that does not exist: an ordinary one, in which only what is told differs.

Examples in a policy file and counter-examples of its check are written this way: they name the few facts that matter,
and everything else is as here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from policies.errors import FactsInvalid
from policies.facts import FACTS, FACTS_SCHEMA, Fact, Use
from policies.validation import nearest_word

if TYPE_CHECKING:
    from policies.document import PolicyDocument

_ORDINARY: Final[Mapping[str, Any]] = {
    "version_id": 1,
    "sha256": "0" * 64,
    "version": 1,
    "media_type": "application/octet-stream",
    "type_mismatch": False,
    "size": 1000,
    "inspection_failed": False,
    "clearance": "cleared",
    "clearance_reasons": [],
    "duplicate_of_published": False,
}


def ordinary_facts(policy: PolicyDocument) -> dict[str, Any]:
    """An ordinary version: cleared, readable, of the first kind that is let in, in the first collection, unlabelled."""
    collection = policy.collections[0]
    return {
        **dict.fromkeys(FACTS_SCHEMA),
        **_ORDINARY,
        "kind": policy.screening.accept[0],
        "key": f"{collection.prefix}x",
        "collection": collection.name,
        "submitter": collection.submitter,
    }


def example_facts(policy: PolicyDocument, given: Mapping[str, Any]) -> dict[str, Any]:
    """A whole row of facts in which `given` is told and the rest is ordinary.

    Key, collection and submitter go together: of those that are not told, each follows from the others. Raises
    `FactsInvalid` if a fact is unknown or its value is none.
    """
    from policies.document import collection_for

    for name, value in given.items():
        check_example_fact(name, value)
    row = {**ordinary_facts(policy), **given}
    if "key" not in given and "collection" in given:
        chosen = next((one for one in policy.collections if one.name == given["collection"]), None)
        if chosen is None:
            known = [one.name for one in policy.collections]
            raise _refusal(
                "collection", given["collection"], ", ".join(known), nearest_word(given["collection"], known)
            )
        row["key"] = f"{chosen.prefix}x"
    elif "key" in given and "collection" not in given:
        row["collection"] = collection_for(policy, row["key"]).name
    if "submitter" not in given:
        row["submitter"] = next((c.submitter for c in policy.collections if c.name == row["collection"]), None)
    return row


def check_example_fact(name: str, value: Any) -> None:
    """Raise `FactsInvalid` if `name` is no fact that an example may tell, or `value` none that it can have."""
    fact = FACTS.get(name)
    if fact is None or fact.use is Use.ARCHIVE or name == "version_id":
        usable = [known for known in FACTS_SCHEMA if known != "version_id"]
        nearest = nearest_word(name, usable)
        raise FactsInvalid(
            f"found the fact {name!r}; allowed: {', '.join(usable)}"
            + (f"; did you mean {nearest!r}?" if nearest else "")
        )
    if value is None:
        if not fact.nullable:
            raise _refusal(name, value, "a value: this fact is always known")
    elif not _fits(fact, value):
        raise _refusal(name, value, _wanted(fact))
    elif fact.values is not None and value not in fact.values:
        raise _refusal(name, value, ", ".join(fact.values), nearest_word(value, fact.values))


def _fits(fact: Fact, value: Any) -> bool:
    if fact.dtype.is_numeric():
        whole = not fact.dtype.is_float()
        return isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if fact.dtype.is_nested():
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, bool if "Boolean" in str(fact.dtype) else str)


def _wanted(fact: Fact) -> str:
    if fact.dtype.is_numeric():
        number = "a number" if fact.dtype.is_float() else "a whole number"
        return f"{number} of {fact.unit}" if fact.unit else number
    return "a list of texts" if fact.dtype.is_nested() else "true or false" if "Boolean" in str(fact.dtype) else "text"


def _refusal(name: str, value: Any, allowed: str, nearest: str | None = None) -> FactsInvalid:
    hint = f"; did you mean {nearest!r}?" if nearest else ""
    return FactsInvalid(f"found {value!r} as {name}; allowed: {allowed}{hint}")
