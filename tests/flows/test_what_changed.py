"""The form of a new version says what changed and what was asked for; one of a first version asks nothing more."""

from __future__ import annotations

import base64
import io
import json
import re

import pytest
import sqlalchemy as sa
from PIL import Image

from classifiers.contact_sheet import sheet_layout
from ledger.review import load_review
from tasks.draw_review import draw_review
from tasks.park_run import DESCRIPTION
from tests.flows.pictures import picture
from tests.workplace import Workplace

pytestmark = pytest.mark.stack

TEXT, IMAGE, FRESH = "rest/terms.md", "rest/hero.jpg", "rest/first.jpg"
BEFORE = "# Terms\n\nGermany only.\n\nUntil May.\n"
AFTER = "# Terms\n\nGermany and Austria.\n\nUntil May.\n"


def described(workplace: Workplace) -> str:
    """What the only waiting review says above its form, unescaped."""
    (row,) = workplace.reviews()
    text = json.loads(workplace.stack.api.read_input(row["flow_run_id"], DESCRIPTION) or '""')
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)


def sheet_size(description: str) -> tuple[int, int]:
    """Pixels of the contact sheet in a description."""
    found = re.search(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", description)
    assert found is not None
    with Image.open(io.BytesIO(base64.b64decode(found[1]))) as sheet:
        return sheet.size


def test_a_new_version_tells_what_changed_and_what_was_asked_for(workplace: Workplace) -> None:
    """Picture beside picture, changed lines, size, comments with stage and day, and no name of who said it.

    The ledger is asked for it once for all assets; of first versions it is asked nothing.
    """
    workplace.put(TEXT, BEFORE)
    workplace.put(IMAGE, picture(seed=1))
    workplace.ingest()
    (row,) = workplace.reviews()
    assert "changed since" not in described(workplace)
    assert questions_of(workplace, row["review"]) == 0
    workplace.decide(row, "request_changes", comment="Austria is missing; **crop** it")
    workplace.put(TEXT, AFTER)
    workplace.put(IMAGE, picture(seed=2))
    workplace.put(FRESH, picture(seed=3))
    workplace.ingest()
    (row,) = workplace.reviews()
    assert (
        questions_of(workplace, row["review"]) == 4
    )  # comments at gates and on what was held, screenings, inspections
    shown = described(workplace)
    rows = re.findall(r"^\| \d+ \| (.*) \|$", shown, re.MULTILINE)
    ours = {key: next(row for row in rows if key.rpartition("/")[2] in row) for key in (TEXT, IMAGE, FRESH)}
    assert "**changed since v1, sent back for changes:**<br>" in ours[TEXT]
    assert "<br>− Germany only.<br>+ Germany and Austria.<br>" in ours[TEXT]
    assert "<br>it looks different<br>size: " in ours[IMAGE]
    assert "<br>160 × 120 px |" in ours[IMAGE]
    assert "changed since" not in ours[FRESH]
    said = [line for line in shown.split("**Said before**")[1].splitlines() if line]
    day = r"\d+ \w+ \d{4}"
    assert len(said) == 2
    assert all(
        re.fullmatch(rf"- \*\*\d\*\* editor, v1, {day}, request changes: Austria is missing; \*\*crop\*\* it", line)
        for line in said
    )
    assert "Lindqvist" not in shown
    assert sheet_size(shown) == sheet_layout([1, 2, 2]).sheet_px


def questions_of(workplace: Workplace, review_id: int) -> int:
    """SQL statements that drawing a review sends, once the policy is known."""
    with workplace.resources.ledger.reading() as connection:
        review = load_review(connection, review_id)
        engine = connection.engine
    draw_review(workplace.resources, review, pictures=False)
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            sent.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        assert draw_review(workplace.resources, review).contact_sheet
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    return len(sent)
