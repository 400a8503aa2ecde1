"""A reviewer's hands: Chromium on the Prefect UI, opening a parked run, reading it, filling the form, resuming."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Response, sync_playwright

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # the browser reaches loopback and nothing else
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"
"""Where the screenshots of a test run stay."""
UI_ITSELF = frozenset({"sr-client-cfg.amplitude.com"})
"""What the V2 UI asks for by itself on every load, whatever the server's telemetry settings; the browser here is kept
from reaching it. Nothing else may be asked for because of what an asset is called."""
PATIENCE_MS = 30_000
PRESSES = 5


@dataclass(frozen=True, slots=True)
class FormException:
    """One item under “Exceptions”, as a reviewer fills it in."""

    asset: str
    decision: str
    comment: str | None = None


def find_chromium() -> str:
    """Path of the system's Chromium; without one the test is skipped, or fails where CI=true."""
    for name in filter(None, (os.environ.get("SIGNOFF_CHROMIUM"), *NAMES)):
        if found := shutil.which(name):
            return found
    missing = f"Chromium is missing (looked for {', '.join(NAMES)}): install the system's package “chromium”"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def reviewer_page(height: int = 1_000) -> Iterator[Page]:
    """A page in a fresh browser, as a reviewer who was never here before sees it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS, headless=True)
        try:
            page = browser.new_page(viewport={"width": 1_400, "height": height})
            page.set_default_timeout(PATIENCE_MS)
            yield page
        finally:
            browser.close()


def open_run(page: Page, run_url: str) -> Locator:
    """Open a run by its link and its form by the menu; returns the form's dialog once its fields stand there."""
    page.goto(run_url)
    return open_form(page)


def open_form(page: Page) -> Locator:
    """Choose Resume in the menu of the run that the page shows."""
    page.get_by_role("button", name="Open menu").click()
    page.get_by_role("menuitem", name="Resume").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Select Decision").wait_for()
    description_of(dialog).locator("table").wait_for()  # drawn a moment after the fields
    return dialog


def description_of(dialog: Locator) -> Locator:
    """The text above the form."""
    return dialog.locator(".prose")


def read_description(dialog: Locator) -> str:
    """What a reviewer reads above the form."""
    return description_of(dialog).inner_text()


def fill_form(
    dialog: Locator,
    decision: str | None = None,
    reviewer: str | None = None,
    comment: str | None = None,
    exceptions: Sequence[FormException] = (),
    code: str | None = None,
) -> None:
    """Choose and type what is given; what is None is left as the form came."""
    if decision is not None:
        _choose(dialog, "Select Decision", 0, decision)
    if reviewer is not None:
        _choose(dialog, "Select Reviewer", 0, reviewer)
    if comment is not None:
        dialog.get_by_role("textbox", name="Comment").first.fill(comment)
    for index, exception in enumerate(exceptions):
        dialog.get_by_role("button", name="Add item").click()
        _choose(dialog, "Select Asset", index, exception.asset)
        _choose(dialog, "Select Decision", index + 1, exception.decision)
        if exception.comment is not None:
            dialog.get_by_role("textbox", name="Comment").nth(index + 1).fill(exception.comment)
    if code is not None:
        dialog.get_by_role("textbox", name="Code from your authenticator app").fill(code)


def choices(dialog: Locator, button: str, index: int = 0) -> list[str]:
    """What a dropdown of the form offers."""
    dialog.get_by_role("button", name=button).nth(index).click()
    options = dialog.page.get_by_role("option")
    options.first.wait_for()
    offered = options.all_inner_texts()
    dialog.page.keyboard.press("Escape")
    options.first.wait_for(state="hidden")
    return offered


def resume(page: Page) -> str | None:
    """Press Resume; None if the run went on, else the message that the reviewer sees while the form stays open.

    A server that is too busy to answer is asked again, as a reviewer would who sees that nothing happened.
    """
    dialog = page.get_by_role("dialog")
    for _ in range(PRESSES):
        with page.expect_response(_is_resume) as answered:
            dialog.get_by_role("button", name="Resume").click()
        if answered.value.ok:
            break
    answer = answered.value.json()
    if answer.get("status") == "ACCEPT":
        dialog.wait_for(state="hidden")
        return None
    shown = page.locator("[data-sonner-toast]").first
    shown.wait_for()
    return shown.inner_text().strip()


def screenshot(page: Page, path: Path) -> Path:
    """Keep what the page shows now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)
    return path


def _choose(dialog: Locator, button: str, index: int, choice: str) -> None:
    dialog.get_by_role("button", name=button).nth(index).click()
    dialog.page.get_by_role("option", name=choice, exact=True).click()


def _is_resume(response: Response) -> bool:
    return response.request.method == "POST" and response.url.endswith("/resume")
