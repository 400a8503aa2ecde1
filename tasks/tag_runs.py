"""Make Prefect's run list an inbox: reviews that were reminded, are overdue or were escalated say so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ledger.reader import waiting_reviews
from ledger.waits import rungs_of_reviews
from tasks.resources import Resources

REMINDED, OVERDUE, ESCALATED = "reminded", "overdue", "escalated"
_MARKS: Final = (REMINDED, OVERDUE, ESCALATED)
_MARKED: Final = re.compile(rf" · ({'|'.join(_MARKS)})$")
_PAGE: Final = 200


def tag_runs(resources: Resources) -> int:
    """Bring tags and names of waiting runs to what the ledger says of their reviews; returns how many had to change.

    One call for 200 such runs and one for each change; reviews within their time and without a reminder cost none.
    Raises `PrefectAway` (transient).
    """
    with resources.ledger.reading() as connection:
        rows, rungs = waiting_reviews(connection), rungs_of_reviews(connection)
    now = resources.clock.now()
    wanted = {
        row["flow_run_id"]: marks
        for row in rows
        if row["status"] == "parked" and (marks := marks_of(row["due_at"], now, *rungs.get(row["review"], (0, 0))))
    }
    ids = list(wanted)
    changed = 0
    for start in range(0, len(ids), _PAGE):
        page = {"flow_runs": {"id": {"any_": ids[start : start + _PAGE]}}, "limit": _PAGE}
        for run in resources.prefect.post("flow_runs/filter", page):
            changed += _mark(resources, run, wanted[run["id"]])
    return changed


def marks_of(due_at: datetime | None, now: datetime, reminders: int, escalations: int) -> tuple[str, ...]:
    """What a review's run is tagged with, the most urgent last: a review that was escalated was overdue once.

    >>> marks_of(None, datetime(2026, 11, 24), reminders=1, escalations=0)
    ('reminded',)
    """
    overdue = escalations > 0 or (due_at is not None and due_at < now)
    return tuple(mark for mark, holds in zip(_MARKS, (reminders > 0, overdue, escalations > 0), strict=True) if holds)


def marked_name(name: str, marks: Sequence[str]) -> str:
    """The name of a run with its most urgent mark at the end.

    >>> marked_name("review 7 · brand · spring · reminded", ("reminded", "overdue"))
    'review 7 · brand · spring · overdue'
    """
    plain = _MARKED.sub("", name)
    return f"{plain} · {marks[-1]}" if marks else plain


def _mark(resources: Resources, run: Mapping[str, Any], marks: Sequence[str]) -> bool:
    name = marked_name(run["name"], marks)
    tags = sorted({*run["tags"], *marks} - (set(_MARKS) - set(marks)))
    if (name, tags) == (run["name"], sorted(run["tags"])):
        return False
    resources.prefect.call("PATCH", f"flow_runs/{run['id']}", {"name": name, "tags": tags}, allow=(404,))
    return True
