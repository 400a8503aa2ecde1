"""Examples in a policy file: told briefly, routed by the real engine, compared with what they expect."""

from __future__ import annotations

import pytest

from policies.document import load_policy
from policies.errors import PolicyInvalid
from policies.policy_examples import ExampleResult, try_examples
from tests.policies.policy_catalogue import SOUND

EXAMPLES = """\
examples:
  - {name: a picture, facts: {kind: image}, expect: {outcome: review, stages: [brand, legal]}}
  - {name: a labelled picture, facts: {kind: image, label: other}, expect: {outcome: review, stages: [brand]}}
  - {name: a copy, facts: {key: spring/a.txt, kind: text, duplicate_of_published: true},
     expect: {outcome: automatic, rule: copies}}
  - {name: a wrong name, facts: {type_mismatch: true}, expect: {outcome: review}}
"""


def test_examples_are_routed_by_the_policy() -> None:
    """What is told is enough; what differs is named."""
    results = try_examples(load_policy(SOUND + EXAMPLES, "policy.yaml"))
    assert [one.differs for one in results] == [(), (), (), ("outcome",)]
    assert results[3] == ExampleResult(
        "a wrong name",
        36,
        {"outcome": "review"},
        {"outcome": "quarantine", "rule": "quarantine_when", "stages": []},
        ("outcome",),
    )


def test_a_policy_without_examples_passes_none() -> None:
    """There is nothing to try."""
    assert try_examples(load_policy(SOUND, "policy.yaml")) == ()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{colour: red}", "policy.yaml:32: examples[0].facts.colour: found the fact 'colour'; allowed: sha256, key"),
        ("{kind: picture}", "examples[0].facts.kind: found 'picture' as kind; allowed: image, document"),
        ("{size: 2 GiB}", "examples[0].facts.size: found '2 GiB' as size; allowed: a whole number of bytes"),
        ("{clearance: null}", "found None as clearance; allowed: a value: this fact is always known"),
        ("{type_mismatch: 1}", "found 1 as type_mismatch; allowed: true or false"),
        ("{clearance_reasons: no_licence}", "found 'no_licence' as clearance_reasons; allowed: a list of texts"),
    ],
)
def test_facts_that_cannot_be_are_refused(written: str, said: str) -> None:
    """An example tells facts that exist, with values that they can have."""
    text = SOUND + f"examples:\n  - {{name: one, facts: {written}, expect: {{outcome: review}}}}\n"
    with pytest.raises(PolicyInvalid) as refused:
        load_policy(text, "policy.yaml")
    assert said in str(refused.value)


def test_stages_that_are_expected_must_exist() -> None:
    """A misspelt stage is refused with the one that is meant."""
    text = SOUND + "examples:\n  - {name: one, expect: {outcome: review, stages: [brnad]}}\n"
    with pytest.raises(PolicyInvalid) as refused:
        load_policy(text, "policy.yaml")
    (problem,) = refused.value.problems
    assert (problem.field, problem.nearest) == ("examples[0].expect.stages[0]", "brand")
