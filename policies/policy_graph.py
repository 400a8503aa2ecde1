"""The workflow that a policy describes, as a picture: boxes in columns from left to right, and what leads where.

The same boxes and arrows become SVG, which needs nothing else to be shown, and Mermaid, which documents can embed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Final

from policies.document import Deadline, PolicyDocument, Stage
from policies.quantities import size_text
from policies.routing import gates_of

_ENDS: Final = {"reject": "rejected", "request_changes": "sent back for changes"}
_WIDTH: Final = 250
_GAP_X: Final = 90
_GAP_Y: Final = 34
_LINE: Final = 16
_MARGIN: Final = 24
_TITLE: Final = 34
_CHARACTERS: Final = 33
_Place = tuple[int, int, int]
"""Left, top and height of a box."""

_FILLS: Final = {"start": "#eef2f7", "stage": "#e8f1fd", "rule": "#fdf4dc", "aside": "#fbe9e7", "end": "#e6f4ea"}


@dataclass(frozen=True, slots=True)
class Box:
    """A place where a version can be: its column counts from the left, `kind` says how it looks."""

    key: str
    title: str
    lines: tuple[str, ...]
    column: int
    kind: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """What leads from one box to another, and when."""

    start: str
    end: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class PolicyGraph:
    """The boxes and arrows of one policy."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...] = field(default=())


def policy_graph(policy: PolicyDocument) -> PolicyGraph:
    """The workflow of `policy`: from arrival by quarantine, rules and stages to publication and archive."""
    stages = policy.approval.stages
    steps = {gate["stage"]: int(gate["step"]) for gate in gates_of(policy, {s.name for s in stages}, strict=False)}
    first, last = 1, 2 + max(steps.values())
    boxes = [_arrival(policy), _quarantine(policy), *_rules(policy, first)]
    arrows = [Arrow("arrives", "quarantine", "something is wrong"), Arrow("quarantine", "arrives", "released")]
    if policy.approval.automatic:
        arrows += [Arrow("arrives", "rules", "a rule holds"), Arrow("rules", "published")]
    for stage in stages:
        boxes.append(_stage(policy, stage, first + steps[stage.name]))
        before = [f"stage-{name}" for name in stage.after] or ["arrives"]
        arrows += [Arrow(start, f"stage-{stage.name}", "" if stage.after else "asks for it") for start in before]
        if not any(stage.name in other.after for other in stages):
            arrows.append(Arrow(f"stage-{stage.name}", "published", "approved"))
    boxes.append(Box("published", "Published", ("once every stage that was asked has approved",), last, "end"))
    if policy.archive:
        boxes.append(_archive(policy, last))
    return PolicyGraph(policy.name, tuple(boxes), tuple(arrows))


def mermaid(graph: PolicyGraph) -> str:
    """The graph as a Mermaid flowchart."""
    lines = ["flowchart LR"]
    for box in graph.boxes:
        text = "<br/>".join(_mermaid_text(line) for line in (f"<b>{box.title}</b>", *box.lines))
        lines.append(f'  {_identifier(box.key)}["{text}"]:::{box.kind}')
    for arrow in graph.arrows:
        label = f'|"{_mermaid_text(arrow.label)}"|' if arrow.label else ""
        lines.append(f"  {_identifier(arrow.start)} -->{label} {_identifier(arrow.end)}")
    lines += [f"  classDef {kind} fill:{fill},stroke:#5f6b7a" for kind, fill in _FILLS.items()]
    return "\n".join(lines) + "\n"


def svg(graph: PolicyGraph) -> str:
    """The graph as one SVG document, without scripts and without anything from elsewhere."""
    placed = _placed(graph.boxes)
    width = max(x for x, _, _ in placed.values()) + _WIDTH + _MARGIN
    height = max(y + tall for _, y, tall in placed.values()) + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(graph.title)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#5f6b7a"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{_MARGIN}" y="28" font-size="18" font-weight="600">{escape(graph.title)}</text>',
    ]
    parts += [_drawn_arrow(arrow, placed) for arrow in graph.arrows]
    parts += [_drawn_box(box, placed[box.key]) for box in graph.boxes]
    parts += [_drawn_label(arrow, placed) for arrow in graph.arrows if arrow.label]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _arrival(policy: PolicyDocument) -> Box:
    screening = policy.screening
    lines = [f"{', '.join(screening.accept)}; up to {size_text(screening.max_size)}"]
    lines += [
        f"{one.name}: {one.prefix or 'everything else'}, owned by {one.owner}"
        + (f", from {one.submitter}" if one.submitter else "")
        for one in policy.collections
    ]
    return Box("arrives", "Arrives and is screened", tuple(lines), 0, "start")


def _quarantine(policy: PolicyDocument) -> Box:
    quarantine = policy.screening.quarantine
    when = policy.screening.quarantine_when
    lines = (
        "unreadable, too large, of another kind" + (f", or {when}" if when else ""),
        f"{quarantine.owner} looks at it",
        _ladder(quarantine.deadline),
    )
    return Box("quarantine", "Quarantine", lines, 0, "aside")


def _rules(policy: PolicyDocument, column: int) -> list[Box]:
    rules = policy.approval.automatic
    lines = [f"{rule.name}: {rule.when} ({rule.second_look * 100:g} % are looked at all the same)" for rule in rules]
    blocked = f"never when rights are {', '.join(policy.rights.block)}"
    return [Box("rules", "Approved by a rule", (*lines, blocked), column, "rule")] if rules else []


def _stage(policy: PolicyDocument, stage: Stage, column: int) -> Box:
    asked = "whatever no other stage takes" if stage.default else f"when {stage.when}"
    lines = [asked]
    if stage.name == policy.rights.gate:
        lines.append(f"and when rights are {', '.join(policy.rights.block)}")
    if stage.after:
        lines.append(f"after {', '.join(stage.after)}, where that is asked too")
    approvals = "1 approval" if stage.quorum == 1 else f"{stage.quorum} approvals"
    lines += [f"{approvals} by {stage.reviewers}", _ladder(stage.deadline)]
    if policy.approval.four_eyes:
        lines.append("not by who submitted it")
    return Box(f"stage-{stage.name}", stage.name, tuple(lines), column, "stage")


def _archive(policy: PolicyDocument, column: int) -> Box:
    lines = [
        f"{rule.name}: {rule.after.event} for {rule.after.days} days, {rule.when}: {rule.action}"
        + (f", kept for {rule.retain}" if rule.retain else "")
        for rule in policy.archive
    ]
    return Box("archive", "Put away in the end", tuple(lines), column, "aside")


def _ladder(deadline: Deadline) -> str:
    rungs = [f"{deadline.within}", *(f"then {rung.to} {rung.within}" for rung in deadline.escalate)]
    return f"{', '.join(rungs)}, then {_ENDS[deadline.outcome]}"


def _placed(boxes: Iterable[Box]) -> Mapping[str, _Place]:
    """Key → left, top and height of each box; columns are centred on each other."""
    columns: dict[int, list[Box]] = {}
    for box in boxes:
        columns.setdefault(box.column, []).append(box)
    tallest = max(sum(_height(box) + _GAP_Y for box in column) for column in columns.values())
    placed = {}
    for place, column in enumerate(columns[number] for number in sorted(columns)):
        top = 48 + (tallest - sum(_height(box) + _GAP_Y for box in column)) // 2
        for box in column:
            placed[box.key] = (_MARGIN + place * (_WIDTH + _GAP_X), top, _height(box))
            top += _height(box) + _GAP_Y
    return placed


def _wrapped(box: Box) -> list[str]:
    return [part for line in box.lines for part in textwrap.wrap(line, _CHARACTERS, subsequent_indent="  ") or [""]]


def _height(box: Box) -> int:
    return _TITLE + _LINE * len(_wrapped(box)) + 10


def _drawn_box(box: Box, place: _Place) -> str:
    x, y, tall = place
    texts = "".join(
        f'<text x="{x + (22 if line.startswith("  ") else 12)}" y="{y + _TITLE + 6 + _LINE * number}">'
        f"{escape(line.strip())}</text>"
        for number, line in enumerate(_wrapped(box))
    )
    return (
        f'<g><rect x="{x}" y="{y}" width="{_WIDTH}" height="{tall}" rx="8" fill="{_FILLS[box.kind]}" stroke="#5f6b7a"/>'
        f'<text x="{x + 12}" y="{y + 21}" font-weight="600" font-size="14">{escape(box.title)}</text>{texts}</g>'
    )


def _drawn_arrow(arrow: Arrow, placed: Mapping[str, _Place]) -> str:
    path = "L".join(f"{x} {y}" for x, y in _corners(arrow, placed))
    return f'<path d="M{path}" fill="none" stroke="#5f6b7a" stroke-width="1.5" marker-end="url(#tip)"/>'


def _drawn_label(arrow: Arrow, placed: Mapping[str, _Place]) -> str:
    *_, (before_x, before_y), (x, y) = _corners(arrow, placed)
    if before_x == x:  # up or down between two boxes of a column
        x, y, anchor = x + (8 if y > before_y else -8), (y + before_y) // 2 + 4, "start" if y > before_y else "end"
    else:
        x, y, anchor = x - 10, y - 6, "end"
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="11" fill="#3a4552" stroke="white" stroke-width="3" '
        f'paint-order="stroke">{escape(arrow.label)}</text>'
    )


def _corners(arrow: Arrow, placed: Mapping[str, _Place]) -> list[tuple[int, int]]:
    """The points that an arrow goes through: straight where nothing is in between, else around what is."""
    (x, y, tall), (to_x, to_y, to_tall) = placed[arrow.start], placed[arrow.end]
    if x == to_x:
        middle = x + _WIDTH // 2
        return [(middle, y + tall), (middle, to_y)] if to_y > y else [(middle - 30, y), (middle - 30, to_y + to_tall)]
    out, into = y + tall // 2, to_y + to_tall // 2
    left, right = x + _WIDTH + _GAP_X // 3, to_x - _GAP_X // 3
    between = [(top, top + height) for at, top, height in placed.values() if x < at < to_x]
    if not between:
        return [(x + _WIDTH, out), (left, out), (left, into), (to_x, into)]
    above, below = min(top for top, _ in between) - _GAP_Y // 2, max(end for _, end in between) + _GAP_Y // 2
    lane = above if abs(out - above) <= abs(out - below) else below
    return [(x + _WIDTH, out), (left, out), (left, lane), (right, lane), (right, into), (to_x, into)]


def _identifier(key: str) -> str:
    return "n_" + "".join(character if character.isalnum() else f"_{ord(character):x}_" for character in key)


def _mermaid_text(text: str) -> str:
    bold = text.startswith("<b>")
    plain = text.removeprefix("<b>").removesuffix("</b>") if bold else text
    safe = "".join(c if c.isalnum() or c in " ,.:;()-'%/=_" else f"#{ord(c)};" for c in plain)
    return f"<b>{safe}</b>" if bold else safe
