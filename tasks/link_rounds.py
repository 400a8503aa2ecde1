"""Lead from the run of a round that has ended to the one in which its review is asked now."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from policies.shown_text import markdown_link
from tasks.errors import TaskError
from tasks.prefect_api import PrefectApi


def link_rounds(api: PrefectApi, asked_again: Iterable[tuple[int, int, str, str]]) -> None:
    """Put the link to the new round beside the old run: an artifact, which the UI shows with it. One call each.

    `asked_again` are reviews by number, the round that was parked, the run of the one before, and the link to the new
    one. The link is a convenience: where Prefect does not take it, nothing else is given up for it.
    """
    for review_id, number, earlier_run, url in asked_again:
        body = {
            "key": f"review-{review_id}-asked-again",
            "type": "markdown",
            "description": f"Review {review_id} is asked again: this run is over.",
            "data": f"Review {review_id} is asked again, in round {number}: {markdown_link('open it here', url)}. "
            "Its form says why, on top.",
            "flow_run_id": earlier_run,
        }
        with suppress(TaskError):
            api.post("artifacts/", body)
