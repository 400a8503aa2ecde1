"""The sample policy is proved with the sample roster, and does what its examples say."""

from __future__ import annotations

from pathlib import Path

from policies.document import load_policy
from policies.policy_examples import try_examples
from policies.policy_proof import prove_text

SAMPLES = Path(__file__).parents[2] / "examples" / "creative-signoff"


def test_the_sample_policy_is_proved() -> None:
    """Every claim holds."""
    policy, roster = ((SAMPLES / name).read_text(encoding="utf-8") for name in ("policy.yaml", "roster.yaml"))
    results = prove_text(policy, "policy.yaml", roster, "roster.yaml")
    assert [(one.claim, one.counterexamples) for one in results if not one.proved] == []


def test_the_sample_policy_does_what_its_examples_say() -> None:
    """Each of the examples in the file comes out as it expects."""
    results = try_examples(load_policy((SAMPLES / "policy.yaml").read_text(encoding="utf-8"), "policy.yaml"))
    assert [one for one in results if one.differs] == []
    assert len(results) == 6
