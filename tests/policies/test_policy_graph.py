"""The picture of a policy shows every stage, rule and ladder, and contains nothing that acts."""

from __future__ import annotations

from xml.etree import ElementTree

from policies.document import PolicyDocument, load_policy
from policies.policy_graph import Arrow, mermaid, policy_graph, svg
from tests.policies.policy_catalogue import SOUND

SVG = "{http://www.w3.org/2000/svg}"


def _graph() -> PolicyDocument:
    return load_policy(SOUND, "policy.yaml")


def test_boxes_and_arrows() -> None:
    """Stages stand in the order of their steps, and what is approved is published."""
    graph = policy_graph(_graph())
    assert {box.key: box.column for box in graph.boxes} == {
        "arrives": 0,
        "quarantine": 0,
        "rules": 1,
        "stage-brand": 1,
        "stage-legal": 2,
        "stage-editor": 1,
        "published": 3,
        "archive": 3,
    }
    assert Arrow("stage-brand", "stage-legal", "") in graph.arrows
    assert Arrow("stage-legal", "published", "approved") in graph.arrows
    (legal,) = [box for box in graph.boxes if box.key == "stage-legal"]
    assert legal.lines == (
        "when clearance <> 'cleared' OR label = 'contract'",
        "and when rights are conflict, restricted, embargoed, expired, unknown",
        "after brand, where that is asked too",
        "2 approvals by legal",
        "3 days, then leads 1 day, then rejected",
        "not by who submitted it",
    )


def test_svg_is_one_document_that_shows_and_does_nothing() -> None:
    """Well-formed, every box in it and inside its edges, none over another; no scripts, nothing from elsewhere."""
    picture = ElementTree.fromstring(svg(policy_graph(_graph())))  # noqa: S314 - our own document
    width, height = (float(picture.attrib[name]) for name in ("width", "height"))
    boxes = [rect.attrib for rect in picture.iter(f"{SVG}rect") if "rx" in rect.attrib]
    areas = [tuple(float(box[name]) for name in ("x", "y", "width", "height")) for box in boxes]
    assert len(areas) == 8
    assert all(x >= 0 and y >= 0 and x + wide <= width and y + tall <= height for x, y, wide, tall in areas)
    for place, (x, y, wide, tall) in enumerate(areas):
        for other_x, other_y, other_wide, other_tall in areas[:place]:
            apart = x >= other_x + other_wide or other_x >= x + wide
            assert apart or y >= other_y + other_tall or other_y >= y + tall
    assert {element.tag.removeprefix(SVG) for element in picture.iter()} <= {
        "svg", "title", "defs", "marker", "path", "rect", "text", "g",
    }  # fmt: skip
    assert not any("href" in name or name.startswith("on") for one in picture.iter() for name in one.attrib)
    assert "whatever no other stage takes" in {text.text for text in picture.iter(f"{SVG}text")}


def test_names_cannot_break_out() -> None:
    """Titles of rules are text, whatever is in them."""
    graph = policy_graph(load_policy(SOUND.replace("name: copies", 'name: "</text><script>x</script>"'), "policy.yaml"))
    assert "<script>" not in svg(graph)
    assert "<script>" not in mermaid(graph)
    assert '"' not in mermaid(graph).split('n_rules["')[1].split('"]')[0]


def test_mermaid_has_the_same_boxes_and_arrows() -> None:
    """One line a box and one an arrow."""
    lines = mermaid(policy_graph(_graph())).splitlines()
    assert lines[0] == "flowchart LR"
    assert sum(":::" in line for line in lines) == 8
    assert '  n_stage_2d_legal -->|"approved"| n_published' in lines
    assert "  n_stage_2d_brand --> n_stage_2d_legal" in lines
