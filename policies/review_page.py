"""The text above the form of a review: why it is here again, contact sheet, a row an asset, earlier comments."""

from __future__ import annotations

from base64 import b64encode
from textwrap import wrap

from policies.quantities import size_text
from policies.review_sheet import Purpose, ReviewItem, ReviewSheet
from policies.shown_text import cut_middle, markdown_link, markdown_text

CELL_LIMIT = 32
"""Characters of an unbroken word in the table: the dialog of the UI is about 460 pixels wide."""
LINE_LIMIT = 44
"""Characters of an unbroken word outside the table."""
TEXT_LIMIT = 400
WHOLE = 5_000
"""Characters of a comment that has to be read to its end, with what stands before it."""
_WHERE = {Purpose.QUARANTINE: "held in **quarantine**", Purpose.CHANGES: "**changes requested**"}
_HELD = {Purpose.QUARANTINE: "held", Purpose.CHANGES: "sent back"}
_ASKED = {
    Purpose.QUARANTINE: "*release*: screening goes on without what was found here, and reviewers are asked as ever; "
    "*reject*: it ends here. Say why. Open nothing that you do not trust.\n\n",
    Purpose.CHANGES: "What was asked for stands below. To change it, put new bytes under the same key: they are looked "
    "at instead, and this review ends by itself. *reopen*: it is right as it is, and the reviewers are asked again; "
    "*withdraw*: it is given up and ends here. Say why.\n\n",
}
_DECLARED = "Who you are is declared, not authenticated: choose yourself only."
_AUTHENTICATED = (
    "**Who you are is authenticated** by the code of your authenticator app: type it last. None yet? "
    "`signoff people enrol` with your handle gives one."
)
_BREAK = "\N{ZERO WIDTH SPACE}"
_HEAD = "| # | asset | findings |\n|---:|---|---|"


def form_description(sheet: ReviewSheet) -> str:
    """Markdown that the Prefect UI shows with the form: reason, contact sheet, table of assets, comments, due time.

    Everything that comes from assets, people or findings is escaped (`markdown_text`).
    """
    parts = [_reason(sheet), _heading(sheet), _picture(sheet), _table(sheet), _earlier_comments(sheet)]
    return "\n\n".join(part for part in parts if part)


def _reason(sheet: ReviewSheet) -> str:
    if sheet.reason is None:
        return ""
    earlier = f" · {markdown_link('The earlier round', sheet.previous_run_url)}" if sheet.previous_run_url else ""
    return f"**Here again:** {_breakable(sheet.reason, TEXT_LIMIT)}{earlier}"


def _heading(sheet: ReviewSheet) -> str:
    count = len(sheet.items)
    assets = "1 asset" if count == 1 else f"{count} assets"
    due = f", due **{markdown_text(sheet.due_text)}**" if sheet.due_text else ""
    stage, collection, policy = (markdown_text(name) for name in (sheet.stage, sheet.collection, sheet.policy_name))
    where = _WHERE.get(sheet.purpose, f"stage **{stage}**")
    asked = _ASKED.get(sheet.purpose, "")
    return (
        f"**{assets}** of {collection}, {where}, policy {policy}{due}.\n\n"
        f"{asked}One decision is for every asset; what differs goes under *exceptions*. "
        f"{_AUTHENTICATED if sheet.signed else _DECLARED} "
        "Links open in this tab: hold Ctrl or Cmd to keep the form."
    )


def _picture(sheet: ReviewSheet) -> str:
    if sheet.contact_sheet is None:
        return ""
    media_type = "image/png" if sheet.contact_sheet.startswith(b"\x89PNG") else "image/jpeg"
    return f"![Contact sheet](data:{media_type};base64,{b64encode(sheet.contact_sheet).decode('ascii')})"


def _table(sheet: ReviewSheet) -> str:
    held = _HELD.get(sheet.purpose, "")
    return "\n".join([_HEAD, *(_row(item, held) for item in sheet.items)])


def _row(item: ReviewItem, held: str) -> str:
    return f"| {item.position} | {'<br>'.join(_asset_lines(item))} | {'<br>'.join(_finding_lines(item, held))} |"


def _asset_lines(item: ReviewItem) -> list[str]:
    folder, _, name = item.key.rpartition("/")
    opened = f" · {markdown_link('open', item.link)}" if item.link else ""  # one UI shows escapes inside a link's label
    lines = [f"**{markdown_text(name or item.key, CELL_LIMIT)}**{opened}"]
    lines.append(markdown_text(f"{folder}/", CELL_LIMIT) if folder else "")
    lines.append(f"v{item.version_number} · {markdown_text(item.media_type, CELL_LIMIT)}")
    lines.append(size_text(item.size_bytes))
    lines.append(markdown_text(item.measures))
    return [line for line in lines if line]


def _finding_lines(item: ReviewItem, held_as: str) -> list[str]:
    approvals = [f"**{markdown_text(item.approvals)}**"] if item.approvals else []
    rights = [f"rights: **{markdown_text(item.clearance)}**", *(_words(text) for text in item.reasons)]
    held = [f"**{held_as}: {_words(item.held_because)}**"] if item.held_because else []
    return [*held, *approvals, *_changed_lines(item), *_recognised(item), *rights, *_waiver_lines(item)]


def _waiver_lines(item: ReviewItem) -> list[str]:
    if not item.blocked:
        return []
    if not item.waives:
        return ["**cannot be waived**"]
    return [f"***waive* takes upon you: {', '.join(markdown_text(code) for code in item.waives)}**"]


def _changed_lines(item: ReviewItem) -> list[str]:
    if item.changed_since is None:
        return []
    differences = [_words(line) for line in (*item.changes, *item.text_diff)]
    return [f"**changed since {_words(item.changed_since)}:**", *differences]


def _recognised(item: ReviewItem) -> list[str]:
    if item.label is None:
        return [f"not recognised: {_words(item.abstained)}" if item.abstained else "not classified"]
    score = "" if item.score is None else f" {item.score:.2f}"
    return [f"**{_words(item.label)}**{score}", *(_words(doubt) for doubt in item.doubts)]


def _breakable(text: str, limit: int) -> str:
    """Foreign words for a line of its own: all of them, a word that is longer than the line broken."""
    words = cut_middle(" ".join(text.split()), limit).split(" ")
    if max(map(len, words)) <= LINE_LIMIT:
        return markdown_text(text, limit)  # whole: words that run to the left keep their order
    pieces = (wrap(word, LINE_LIMIT, break_on_hyphens=False) or [word] for word in words)
    return " ".join(_BREAK.join(markdown_text(piece, LINE_LIMIT * 9) for piece in broken) for broken in pieces)


def _words(text: str) -> str:
    """Foreign words for a cell of the table, none of them longer than its width."""
    return markdown_text(" ".join(cut_middle(word, CELL_LIMIT) for word in text.split()), TEXT_LIMIT)


def _earlier_comments(sheet: ReviewSheet) -> str:
    """What was said before; what was asked for is shown whole: somebody has to do it."""
    is_asked = sheet.purpose is Purpose.CHANGES
    lines = [
        f"- **{item.position}** {_breakable(comment, WHOLE if is_asked else TEXT_LIMIT)}"
        for item in sheet.items
        for comment in item.earlier_comments
    ]
    return "\n".join([f"**{'Asked for' if is_asked else 'Said before'}**", "", *lines]) if lines else ""
