"""A day of reviews in the Prefect UI, real flows behind it: two reviewers, a code, the quarantine, a new version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page

from policies.one_time_code import code_at, step_at
from tests.flows.pictures import picture
from tests.flows.prefect_ui import (
    ARTIFACTS,
    FormException,
    choices,
    fill_form,
    open_run,
    read_description,
    resume,
    reviewer_page,
    screenshot,
)
from tests.flows.test_signed_reviews import enrol, now
from tests.workplace import CLEARED, MakeWorkplace, Workplace, assets_of, policy_text

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(600)]  # a busy machine takes its time

FIRST, SECOND, SIGNER = "jonas · Jonas Lindqvist", "mei · Mei Tanaka", "yusuf · Yusuf Demir"
HERO, DARK, SLOGAN, TERMS, LYING, SECRET = (
    "rest/hero.jpg",
    "rest/dark.jpg",
    "rest/slogan.txt",
    "rest/terms.md",
    "rest/lying.pdf",
    "secret/plan.txt",
)
SIGNED = """    - {name: signed, when: "collection = 'secret'", reviewers: legal, quorum: 1, signature: totp,
       deadline: {within: 3 days, finally: reject}}
"""
BY_TWO = "reviewers: editors, quorum: 2,"


def policy() -> str:
    """Editors decide by two, what is secret is signed."""
    text = policy_text().replace("reviewers: editors, quorum: 1,", BY_TWO)
    assert BY_TWO in text
    return text.replace("  stages:\n", f"  stages:\n{SIGNED}")


@pytest.fixture
def workplace(make_workplace: MakeWorkplace) -> Workplace:
    """A workplace with rights for everything."""
    made = make_workplace(policy=policy())
    made.put_contracts(*CLEARED, {"id": "C-SECRET", "collection": "secret"})
    return made


def test_a_day_of_reviews(workplace: Workplace) -> None:
    """What each reviewer sees and says in the browser, and what the ledger and the library make of it."""
    sha256 = {key: workplace.put(key, data) for key, data in first_delivery().items()}
    workplace.ingest()
    rows = {row["stage"]: row for row in workplace.reviews()}
    assert set(rows) == {"editor", "signed", "quarantine"}
    secret = enrol(workplace, "yusuf")

    with reviewer_page() as page:
        assets = assets_of(workplace.form(rows["editor"]))
        the_first_of_two_approves_with_two_exceptions(page, rows["editor"], assets)
        what_is_held_is_released(page, rows["quarantine"])
        a_wrong_code_is_sent(page, rows["signed"])
    for row in rows.values():
        workplace.go_on(row["flow_run_id"])
    assert workplace.states() == {
        HERO: "changes_requested",
        DARK: "rejected",
        SLOGAN: "in_review",
        TERMS: "in_review",
        LYING: "submitted",
        SECRET: "in_review",
    }

    rows = {row["stage"]: row for row in workplace.reviews() if row["stage"] != "changes_requested"}
    later = timedelta(minutes=5)
    with reviewer_page() as page:
        the_second_of_two_judges_alone(page, rows["editor"])
        the_right_code_is_sent(page, rows["signed"], code_at(secret, step_at(now() + later)))
    workplace.go_on(rows["editor"]["flow_run_id"])
    workplace.go_on(rows["signed"]["flow_run_id"], CLOCK="+5m")
    assert workplace.library() == {key: sha256[key] for key in (SLOGAN, TERMS, SECRET)}

    workplace.put(HERO, picture(seed=9))
    workplace.put(TERMS, "# Terms\n\nGermany and Austria.\n")
    workplace.ingest()
    (row,) = (one for one in workplace.reviews() if one["stage"] == "editor")
    with reviewer_page(height=1_400) as page:
        a_new_version_is_rejected_with_a_reason(page, row)
    workplace.go_on(row["flow_run_id"])
    assert workplace.versions()[HERO, 2] == workplace.versions()[TERMS, 2] == "rejected"
    assert workplace.library() == {key: sha256[key] for key in (SLOGAN, TERMS, SECRET)}


def first_delivery() -> dict[str, bytes]:
    """Key → bytes: two pictures, two texts, a picture that calls itself a PDF, a secret."""
    return {
        HERO: picture(seed=1),
        DARK: picture(seed=2),
        SLOGAN: b"The words of this slogan are plain and waiting.",
        TERMS: b"# Terms\n\nGermany only.\n",
        LYING: picture("PNG", seed=3),
        SECRET: b"The words of this plan are plain and waiting.",
    }


def the_first_of_two_approves_with_two_exceptions(page: Page, row: dict[str, Any], assets: Sequence[str]) -> None:
    """One decision for all, two that differ, each with its comment; the submitter is not among the reviewers."""
    dialog = open_run(page, row["url"])
    assert "needs 2 approvals; nobody has decided" in read_description(dialog)
    assert choices(dialog, "Select Reviewer") == [FIRST, "lea · Lea Hoffmann", SECOND]
    numbers = {one.split(" · ", 1)[1]: one for one in assets}
    differing = [
        FormException(numbers["hero.jpg"], "request_changes", "Crop it *tighter*."),
        FormException(numbers["dark.jpg"], "reject", "Too dark for print."),
    ]
    fill_form(dialog, "approve", FIRST, exceptions=differing)
    assert resume(page) is None


def what_is_held_is_released(page: Page, row: dict[str, Any]) -> None:
    """Refused in words without a reason, taken with one; its form offers nothing else."""
    dialog = open_run(page, row["url"])
    assert "held: quarantine_when" in read_description(dialog)
    assert choices(dialog, "Select Decision") == ["release", "reject"]
    fill_form(dialog, "release", FIRST)
    assert resume(page) == "Reason: Validation failed. Failure reason: 'comment' is a required property"
    fill_form(dialog, comment="A scan under the wrong name.")
    assert resume(page) is None


def a_wrong_code_is_sent(page: Page, row: dict[str, Any]) -> None:
    """Five digits are refused at once, six wrong ones once they are read."""
    dialog = open_run(page, row["url"])
    assert "Who you are is authenticated" in read_description(dialog)
    fill_form(dialog, "approve", SIGNER, code="12345")
    assert "does not match" in (resume(page) or "")
    fill_form(dialog, code="000000")
    assert resume(page) is None


def the_right_code_is_sent(page: Page, row: dict[str, Any], code: str) -> None:
    """Why it is asked again stands on top; the code of the moment is taken."""
    dialog = open_run(page, row["url"])
    assert read_description(dialog).startswith("Here again: The last answer was not accepted: That code is not right.")
    fill_form(dialog, "approve", SIGNER, code=code)
    assert resume(page) is None


def the_second_of_two_judges_alone(page: Page, row: dict[str, Any]) -> None:
    """They see that somebody has decided, on what is left only, and not what was said; the first is not offered."""
    dialog = open_run(page, row["url"])
    text = read_description(dialog)
    assert text.startswith("Here again: Jonas Lindqvist has decided on 4 of 4 assets.")
    assert text.count("needs 2 approvals; one person has decided") == 2
    for unsaid in ("hero.jpg", "dark.jpg", "tighter", "Too dark", "Said before"):
        assert unsaid not in text
    assert choices(dialog, "Select Reviewer") == ["lea · Lea Hoffmann", SECOND]
    fill_form(dialog, "approve", SECOND)
    assert resume(page) is None


def a_new_version_is_rejected_with_a_reason(page: Page, row: dict[str, Any]) -> None:
    """What changed and what was asked for stand there; a rejection without a comment is refused, its reason shown."""
    dialog = open_run(page, row["url"])
    text = read_description(dialog)
    for said in (
        "changed since v1, sent back for changes:",
        "changed since v1, published:",
        "− Germany only.",
        "+ Germany and Austria.",
        "Said before",
        "request changes: Crop it *tighter*.",
    ):
        assert said in text
    screenshot(page, ARTIFACTS / "review-new-version.png")
    fill_form(dialog, "reject", SECOND)
    assert resume(page) == "Reason: Validation failed. Failure reason: 'comment' is a required property"
    fill_form(dialog, comment="Neither is what was asked for.")
    assert resume(page) is None
