"""Names that are made to do something: through the whole way they are shown as what they are, and do nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from markdown_it import MarkdownIt

from flows.artifacts import WAITING_KEY
from tasks.park_run import DESCRIPTION, SCHEMA
from tests.running_stack import RunningStack
from tests.workplace import Workplace, assets_of, open_workplaces

pytestmark = pytest.mark.stack

LONG = f"{'long' * 240}.txt"
"""The embedded store takes such a key, and refuses to copy it."""
NAMES = (
    "<script>alert(1)</script>.txt",
    "<img src=x onerror=alert(1)>.txt",
    "[approve](javascript:alert(1)).txt",
    "![x](data:image@svg+xml,x).txt",
    "| 9 | **row** | cleared |.txt",
    "{{ 7 * 7 }}{% raw %}.txt",
    '{"__prefect_kind": "json", "value": "1"}.txt',
    "invoice\u202egpj.txt",
    "zero\u200bwidth\ufeff.txt",
    "קובץ עברי.txt",
    "http:\u2044\u2044evil.example www.evil.example mail@evil.example.txt",
    LONG,
)
INVISIBLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2028\u2029\ufeff]")


@pytest.fixture(scope="module")
def place(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace in which assets of such names wait for an editor."""
    with open_workplaces(stack, tmp_path_factory.mktemp("names")) as make:
        place = make()
        for number, name in enumerate(NAMES):
            place.put(f"text/{name}", f"The {number}th text, whose name is stranger than its words.")
        place.ingest()
        yield place


def inputs_of(place: Workplace, key: str) -> Any:
    """What the waiting review shows."""
    (row,) = place.reviews()
    return json.loads(place.stack.api.read_input(row["flow_run_id"], key) or "null")


def test_names_are_shown_and_obeyed_nowhere(place: Workplace) -> None:
    """The form and its text, the run list and the artifact: no tag, link, cell, template or invisible mark."""
    assert place.states() == {f"text/{name}": "in_review" for name in NAMES}
    (row,) = place.reviews()

    description = inputs_of(place, DESCRIPTION)
    tokens = [token for block in MarkdownIt("commonmark").enable("table").parse(description) for token in _flat(block)]
    assert {token.type for token in tokens} & {"html_inline", "html_block", "code_inline", "fence"} == {"html_inline"}
    assert {token.content for token in tokens if token.type == "html_inline"} == {"<br>"}
    links = [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]
    assert len(links) == len(NAMES)
    assert all(link.startswith(place.resources.settings.s3_endpoint) for link in links), "only ours: originals"
    images = [str(token.attrs["src"])[:11] for token in tokens if token.type == "image"]
    assert images == ["data:image/"]
    assert len([token for token in tokens if token.type == "tr_open"]) == len(NAMES) + 1
    assert not INVISIBLE.search(description)
    assert "{{" not in description
    assert "{%" not in description

    schema = inputs_of(place, SCHEMA)
    assert len(assets_of(schema)) == len(NAMES)
    told = json.dumps(schema, ensure_ascii=False)
    assert not INVISIBLE.search(told)
    assert "{{" not in told
    assert max(map(len, assets_of(schema))) < 80
    assert _keys(schema) & {"__prefect_kind", "$ref", "default"} == set()

    run = place.stack.api.find(f"flow_runs/{row['flow_run_id']}")
    listed = json.dumps([run["name"], run["tags"]], ensure_ascii=False)
    assert all(name not in listed for name in NAMES)
    latest = place.stack.api.find(f"artifacts/{WAITING_KEY}/latest")
    assert all(name[:8] not in latest["data"] for name in NAMES)


def test_a_terminal_obeys_nothing(place: Workplace) -> None:
    """`ls`, `show`, `reviews` and `decide` print one line for each row, and nothing invisible."""
    listed = place.say("ls")
    assert listed.code == 0
    assert len(listed.out.splitlines()) == len(NAMES) + 1
    (row,) = place.reviews()
    outputs = [listed, place.say("reviews"), *(place.say("show", f"text/{name}") for name in NAMES)]
    outputs.append(place.say("decide", str(row["review"]), "approve", "--as", "nobody", "--except", "\u202e=reject:x"))
    assert [one.code for one in outputs] == [0] * (len(NAMES) + 2) + [2]
    for said in outputs:
        assert not INVISIBLE.search(said.out + said.err.replace("\x1b", ""))


def test_such_assets_are_decided_like_any_other(place: Workplace) -> None:
    """Each is published under its own name; one that the store cannot copy stays approved, and says why."""
    place.decide(place.reviews()[0])
    assert sorted(place.library()) == sorted(f"text/{name}" for name in NAMES if name != LONG)
    assert place.states() == {f"text/{name}": "approved" if name == LONG else "published" for name in NAMES}
    ((why,),) = place.rows("SELECT last_error FROM effects WHERE status <> 'done'")
    assert why.endswith("Your key is too long.")


def _flat(token: Any) -> list[Any]:
    return [token, *(one for child in token.children or () for one in _flat(child))]


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(_keys(one) for one in value.values()))
    return set().union(*(_keys(one) for one in value)) if isinstance(value, list) else set()
