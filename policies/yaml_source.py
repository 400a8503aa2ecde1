"""YAML text to plain values, with the line of every one of them, so that an error can say where it stands.

Read by the core schema of YAML 1.2: `NO` is Norway, not false; `09:00` is text, not 540; a date stays text. A key that
stands twice in a mapping is refused, as are tags, and texts whose aliases unfold beyond all measure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import yaml

from policies.errors import Problem

Path = tuple[str | int, ...]
"""Keys and positions that lead from the top of a document to a value."""

_MAX_NODES: Final = 50_000
_MAX_DEPTH: Final = 40


@dataclass(frozen=True, slots=True)
class YamlSource:
    """A document as plain values, and the line on which each of them (or its key) stands."""

    filename: str
    value: object
    lines: Mapping[Path, int]

    def line_of(self, path: Path) -> int:
        """Line of the value at `path`, or of the nearest thing around it that is in the text.

        >>> source, _ = read_yaml("a:\\n  b: 1\\n", "policy.yaml")
        >>> source.line_of(("a", "b")), source.line_of(("a", "missing"))
        (2, 1)
        """
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 1


class _CoreLoader(yaml.SafeLoader):
    """Resolves plain scalars by the core schema of YAML 1.2 (yaml.org/spec/1.2.2, chapter 10.3)."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape


_CoreLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)
_CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$"),
    list("-+.0123456789"),
)
_SCALAR_TAGS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str"))


class _Refused(Exception):
    def __init__(self, line: int, path: Path, value: str, allowed: str) -> None:
        super().__init__(line, path, value, allowed)
        self.line, self.path, self.value, self.allowed = line, path, value, allowed


class _Unfolding:
    """Walks the node tree of one document once, giving plain values and noting lines."""

    def __init__(self, loader: _CoreLoader) -> None:
        self.loader = loader
        self.lines: dict[Path, int] = {}
        self.nodes = 0

    def value_of(self, node: yaml.Node, path: Path) -> object:
        line = node.start_mark.line + 1
        self.nodes += 1
        if self.nodes > _MAX_NODES or len(path) > _MAX_DEPTH:
            raise _Refused(line, path, "a text that unfolds too far", f"{_MAX_NODES} values, {_MAX_DEPTH} deep")
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value_of(item, (*path, position)) for position, item in enumerate(node.value)]
        if node.tag not in _SCALAR_TAGS:
            raise _Refused(line, path, f"the tag {node.tag}", "plain values without tags")
        return self.loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise _Refused(line, path, "a key that is no text", "text as keys")
            key = str(key_node.value)
            if key in result:
                raise _Refused(line, (*path, key), f"the key {key!r} a second time", "each key once")
            self.lines[(*path, key)] = line
            result[key] = self.value_of(value_node, (*path, key))
        return result


def field_name(path: Path) -> str:
    """A path as people read it.

    >>> field_name(("approval", "stages", 0, "deadline", "finally"))
    'approval.stages[0].deadline.finally'
    """
    parts = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return parts.removeprefix(".") or "document"


def read_yaml(text: str, filename: str) -> tuple[YamlSource, Problem | None]:
    """The document in `text` with its lines, or the problem that makes it unreadable.

    `filename` is only named in the problem; nothing is opened.
    """
    empty = YamlSource(filename, None, {})
    try:
        loader = _CoreLoader(text)
        node = loader.get_single_node()
        if node is None:
            return empty, Problem(filename, 1, "document", "nothing", "one YAML document")
        unfolding = _Unfolding(loader)
        return YamlSource(filename, unfolding.value_of(node, ()), unfolding.lines), None
    except _Refused as refusal:
        return empty, Problem(filename, refusal.line, field_name(refusal.path), refusal.value, refusal.allowed)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        return empty, Problem(filename, line, "document", error.problem or "no YAML", "one well-formed YAML document")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        found = chr(error.character) if isinstance(error.character, int) else error.character
        return empty, Problem(filename, line, "document", f"the character {found!r}", "printable characters")
