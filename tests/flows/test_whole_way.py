"""The whole way, once: sample pictures in the intake, a reviewer in the Prefect UI, approved bytes in the library."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.flows.prefect_ui import (
    ARTIFACTS,
    FormException,
    description_of,
    fill_form,
    open_run,
    resume,
    reviewer_page,
    screenshot,
)
from tests.running_stack import SAMPLES, RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.browser]

DECIDED_WITHIN_S = 90.0
REJECTED = "product/tableware/mug-night.jpg"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Key → bytes of the sample product pictures, and the contracts under the key of the contracts table."""
    folder = tmp_path_factory.mktemp("samples")
    sys.path.insert(0, str(SAMPLES))
    try:
        manifest = importlib.import_module("make_assets").make_assets(folder, datetime.now(UTC).date())
    finally:
        sys.path.remove(str(SAMPLES))
    wanted = {one.key: one.path.read_bytes() for one in manifest.intake if one.key.startswith("product/")}
    pictures = {key: data for key, data in wanted.items() if key.endswith(".jpg")}
    return pictures | {"contracts/grants.csv": manifest.contracts.read_bytes()}


def test_a_reviewer_approves_with_one_exception_and_the_library_has_the_rest(
    stack: RunningStack, pictures: dict[str, bytes]
) -> None:
    """What was approved in the Prefect UI is in the library byte for byte, the exception is not; the story is told."""
    buckets = stack.settings.s3.buckets
    service, source = stack.client(stack.settings.s3.service), stack.client(stack.settings.s3.source)
    service.put_object(Bucket=buckets.workspace, Key="contracts/grants.csv", Body=pictures.pop("contracts/grants.csv"))
    for key, data in pictures.items():
        source.put_object(Bucket=buckets.intake, Key=key, Body=data)
    with stack.worker_at_work():
        said = stack.say("ingest", "--json")
        assert said.code == 0, said.err
        review = next(one for one in _json(stack, "reviews") if one["stage"] == "brand")
        shown = [one["key"] for one in _json(stack, "ls", "--state", "in_review", "--collection", "product-pictures")]
        _decide_in_the_browser(review, shown)
        _await_closed(stack, review["review"])
    expected = {key: hashlib.sha256(pictures[key]).hexdigest() for key in shown if key != REJECTED}
    consumer = stack.client(stack.settings.s3.consumer)
    found = {
        key: hashlib.sha256(consumer.get_object(Bucket=buckets.library, Key=key)["Body"].read()).hexdigest()
        for key in (one["Key"] for one in consumer.list_objects_v2(Bucket=buckets.library)["Contents"])
        if key.startswith("product/")
    }
    waiting = {row["key"] for row in _json(stack, "ls", "--state", "in_review")}
    assert found == {key: sha256 for key, sha256 in expected.items() if key not in waiting}
    assert len(found) > len(shown) / 2
    _check_stories(stack, next(iter(found)))


def _decide_in_the_browser(review: dict[str, Any], shown: list[str]) -> None:
    with reviewer_page(height=1_100) as page:
        dialog = open_run(page, review["url"])
        described = description_of(dialog)
        text = described.inner_text()
        assert [key for key in shown if key.rpartition("/")[2] not in text] == []
        picture = described.locator("img").first
        assert picture.evaluate("image => image.complete && image.naturalWidth") > 600
        screenshot(page, ARTIFACTS / "review.png")
        number = _number_of(text, REJECTED.rpartition("/")[2])
        fill_form(
            dialog,
            decision="approve",
            reviewer="lea · Lea Hoffmann",
            exceptions=[FormException(f"{number} · mug-night.jpg", "reject", "The handle is out of focus.")],
        )
        screenshot(page, ARTIFACTS / "review-filled.png")
        assert resume(page) is None


def _number_of(text: str, name: str) -> int:
    """The number of an asset in the table: the last bare number above its name."""
    number = 0
    for line in text.splitlines():
        cell = line.split("\t")[0].strip()
        if cell.isdigit():
            number = int(cell)
        if name in line:
            return number
    raise AssertionError(f"{name} is not in the table")


def _await_closed(stack: RunningStack, review: int) -> None:
    deadline = time.monotonic() + DECIDED_WITHIN_S
    while time.monotonic() < deadline:
        closed = all(one["review"] != review for one in _json(stack, "reviews"))
        if closed and not _json(stack, "ls", "--state", "approved"):
            return
        time.sleep(0.5)  # between two looks; what ends the wait is the ledger
    raise AssertionError(f"review {review} was not done within {DECIDED_WITHIN_S:.0f} s")


def _check_stories(stack: RunningStack, published: str) -> None:
    told = _json(stack, "show", published)
    assert told["state"] == "published"
    moves = [(one["action"], one["from_state"], one["to_state"]) for one in told["events"] if one["to_state"]]
    assert moves == [
        ("submit", "", "submitted"),
        ("open_gates", "submitted", "in_review"),
        ("approve", "in_review", "approved"),
        ("publish", "approved", "published"),
    ]
    assert [(one["by"], one["verdict"], one["counted"]) for one in told["decisions"]] == [("lea", "approve", True)]
    refused = _json(stack, "show", REJECTED)
    assert refused["state"] == "rejected"
    assert refused["decisions"][0]["comment"] == "The handle is out of focus."


def _json(stack: RunningStack, *command: str) -> Any:
    said = stack.say(*command, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)
