"""What a reviewer sees and does in the stock Prefect UI, in Chromium."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from PIL import Image
from playwright.sync_api import Page

from policies.review_form import (
    Answer,
    Decision,
    GateDecision,
    Reviewer,
    ReviewItem,
    ReviewSheet,
    form_description,
    form_schema,
    read_answer,
)
from tasks.park_run import Form, ParkedRun, park_run, read_response
from tasks.prefect_api import PrefectApi
from tests.flows.prefect_ui import (
    UI_ITSELF,
    FormException,
    choices,
    description_of,
    fill_form,
    open_form,
    open_run,
    read_description,
    resume,
    reviewer_page,
    screenshot,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import PrefectServer

pytestmark = [pytest.mark.stack, pytest.mark.browser]

KEYS = (
    "spring/hero.jpg",
    "spring/<img src=x onerror=document.title='owned'>.png",
    "spring/a|b`c`*d*_e_[x](javascript:alert(1)).jpg",
    "www.evil.example https:??evil.example me@evil.example {{ 7*7 }}{% raw %}.txt",
    "spring/inv\u202egpj.exe",
    "spring/" + "long" * 80 + ".pdf",
)
LEA = Reviewer(7, "lea", "Lea Brandt")
TIM_FOR_LEA = Reviewer(8, "tim", None, 7, "lea")


def picture() -> bytes:
    """A contact sheet of 640 × 320 pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (640, 320), "#3a7").save(buffer, "JPEG")
    return buffer.getvalue()


def sheet() -> ReviewSheet:
    """A review parked again, of assets with hostile names."""
    items = tuple(
        ReviewItem(
            position=position,
            gate_id=100 + position,
            key=key,
            version_number=1,
            kind="image",
            media_type="image/jpeg",
            size_bytes=2_500_000,
            label="portrait",
            score=0.87,
            margin=0.31,
            abstained=None,
            clearance="restricted",
            reasons=("no <b>model</b> release",),
            link="http://127.0.0.1:9/original?X=1&Y=2" if position == 1 else None,
            basis=f"basis{position}",
            earlier_comments=("tim: **crop** it",) if position == 1 else (),
        )
        for position, key in enumerate(KEYS, start=1)
    )
    again = "“hero.jpg” changed while you looked"
    people = (LEA, TIM_FOR_LEA)
    return ReviewSheet(12, 2, "brand", "spring", "creative", "Thu 15:00", again, None, people, items, picture())


SHEET = sheet()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """One browser for the tests of this file."""
    with reviewer_page() as opened:
        yield opened


@pytest.fixture
def parked(prefect_api: PrefectApi, review_deployment: str) -> ParkedRun:
    """A review of its own for each test."""
    key = f"review-{uuid4()}"
    title = f"{SHEET.title} · {key[-6:]}"
    form = Form(key, title, ["review"], form_schema(SHEET), form_description(SHEET))
    return park_run(prefect_api, review_deployment, form)


def test_a_reviewer_sees_pictures_rows_and_nothing_that_runs(
    page: Page, parked: ParkedRun, prefect_server: PrefectServer, tmp_path: Path
) -> None:
    """The contact sheet is drawn, each asset has its row, hostile names stand there as text, nothing else is loaded."""
    elsewhere: set[str] = set()
    ours = (prefect_server.ui_url, "data:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(ours) else elsewhere.add(request.url))
    dialog = open_run(page, parked.url)
    shown = description_of(dialog)
    assert shown.locator("img").evaluate_all("all => all.map(i => [i.naturalWidth, i.naturalHeight])") == [[640, 320]]
    assert shown.locator("a").evaluate_all("all => all.map(a => a.href)") == ["http://127.0.0.1:9/original?X=1&Y=2"]
    assert shown.locator("script, iframe, form, b, code, h1, del").count() == 0
    text = read_description(dialog).replace("\u2060", "")
    assert text.startswith("Here again: “hero.jpg” changed while you looked")
    cells = [cell.replace("\u2060", "") for cell in shown.locator("tbody tr td:nth-child(2)").all_inner_texts()]
    assert [cell.split("\n")[0] for cell in cells] == [
        "hero.jpg · open",
        "<img src=x onerr…le='owned'>.png",
        "a|b`c`*d*_e_[x](…t:alert(1)).jpg",
        "www.evil.example…}❵❴% raw %❵.txt",
        "inv⟨U+202E⟩gpj.exe",
        "longlonglonglong…onglonglong.pdf",
    ]
    assert "tim: **crop** it" in text
    assert "no <b>model</b> release" in text
    assert "owned" not in page.title()
    assert {urlsplit(url).hostname for url in elsewhere} <= UI_ITSELF
    assert screenshot(page, tmp_path / "form.png").stat().st_size > 10_000


def test_the_form_offers_exactly_the_choices_and_chooses_nothing(page: Page, parked: ParkedRun) -> None:
    """Dropdowns list decisions, people and assets as the sheet names them; none has a value to begin with."""
    dialog = open_run(page, parked.url)
    for button in ("Select Decision", "Select Reviewer"):
        assert dialog.get_by_role("button", name=button).inner_text() == "Select"
    assert choices(dialog, "Select Decision") == ["approve", "request_changes", "reject"]
    assert choices(dialog, "Select Reviewer") == ["lea · Lea Brandt", "tim, for lea"]
    dialog.get_by_role("button", name="Add item").click()
    assert choices(dialog, "Select Asset") == [item.choice for item in SHEET.items]


def test_an_approval_with_an_exception_reaches_the_reader(
    page: Page, parked: ParkedRun, prefect_api: PrefectApi
) -> None:
    """Approve all but one, press Resume: the run goes on and the answer says exactly that."""
    dialog = open_run(page, parked.url)
    rejected = FormException(SHEET.items[4].choice, "reject", "this is no picture\nreally")
    fill_form(dialog, "approve", TIM_FOR_LEA.choice, exceptions=[rejected])
    assert resume(page) is None
    said = [GateDecision(item.gate_id, Decision.APPROVE, None) for item in SHEET.items]
    said[4] = GateDecision(105, Decision.REJECT, "this is no picture\nreally")
    assert read_answer(read_response(prefect_api, parked.flow_run_id), SHEET) == Answer(8, 7, tuple(said))
    run = prefect_api.read_run(parked.flow_run_id)
    assert run is not None
    assert run.name == "Resuming"


def test_an_incomplete_form_stays_open_and_says_why(page: Page, parked: ParkedRun, prefect_api: PrefectApi) -> None:
    """An empty form, and a rejection without a comment, are refused in words; with the comment it is accepted."""
    dialog = open_run(page, parked.url)
    assert "is a required property" in (resume(page) or "")
    page.reload()
    dialog = open_form(page)
    fill_form(dialog, "reject", LEA.choice)
    assert resume(page) == "Reason: Validation failed. Failure reason: 'comment' is a required property"
    fill_form(dialog, comment="wrong season")
    assert resume(page) is None
    every = tuple(GateDecision(item.gate_id, Decision.REJECT, "wrong season") for item in SHEET.items)
    assert read_answer(read_response(prefect_api, parked.flow_run_id), SHEET) == Answer(7, 7, every)


def test_the_review_is_found_from_the_front_page(page: Page, parked: ParkedRun, prefect_server: PrefectServer) -> None:
    """From `/` through “Runs” to the run and its form, without a link."""
    page.goto(prefect_server.ui_url)
    page.get_by_role("link", name="Runs", exact=True).click()
    page.locator(f"a[href*='{parked.flow_run_id}']").first.click()
    page.wait_for_url(re.compile(rf"/v2/runs/flow-run/{parked.flow_run_id}"))
    assert read_description(open_form(page)).startswith("Here again:")
