"""A YAML file against a pydantic model: each fault with file, line, field, value, what is allowed, the nearest word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from policies.errors import Problem
from policies.names import IN_WORDS
from policies.yaml_source import Path, YamlSource, field_name, read_yaml


class Section(BaseModel):
    """Base of what stands in a policy or roster file: fixed once read, and nothing in it that is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


Document = TypeVar("Document", bound=Section)


def read_document(model: type[Document], text: str, filename: str) -> tuple[Document | None, YamlSource, list[Problem]]:
    """`text` as `model`, its source with line numbers, and everything wrong with it (then without a document)."""
    source, unreadable = read_yaml(text, filename)
    if unreadable:
        return None, source, [unreadable]
    try:
        return model.model_validate(source.value), source, []
    except ValidationError as error:
        faults = error.errors(include_url=False)
        problems = [_problem(model, source, details) for details in faults if not _follows(details, faults)]
        return None, source, sorted(problems, key=lambda problem: problem.line)


def problem_at(source: YamlSource, path: Path, value: str, allowed: str, nearest: str | None = None) -> Problem:
    """A problem at `path` of `source`."""
    return Problem(source.filename, source.line_of(path), field_name(path), value, allowed, nearest)


def nearest_word(word: str, allowed: Iterable[str]) -> str | None:
    """The allowed word that `word` was probably meant to be.

    >>> nearest_word("rejekt", ["reject", "request_changes"])
    'reject'
    >>> nearest_word("approve", ["reject"]) is None
    True
    """
    return next(iter(difflib.get_close_matches(word, list(allowed), n=1)), None)


def _problem(model: type[Section], source: YamlSource, details: Any) -> Problem:
    path: Path = tuple(step for step in details["loc"] if step != "[key]")
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        return problem_at(source, path, "nothing", "a value; this field must be given")
    if kind == "extra_forbidden":
        known = _fields_of(_model_at(model, path[:-1]))
        word = str(path[-1])
        return problem_at(source, path, f"the unknown field {word!r}", ", ".join(known), nearest_word(word, known))
    value = _shown(details["input"])
    if kind in ("literal_error", "enum"):
        words = re.findall(r"'([^']*)'", context["expected"])
        return problem_at(source, path, value, ", ".join(words), nearest_word(str(details["input"]), words))
    return problem_at(source, path, value, _allowed(kind, context, details["msg"]))


def _follows(details: Any, faults: Sequence[Any]) -> bool:
    """Whether a list only seems too short because an item of it is wrong, which is reported on its own."""
    path = details["loc"]
    inside = (other["loc"] for other in faults if len(other["loc"]) > len(path))
    return details["type"] == "too_short" and any(loc[: len(path)] == path for loc in inside)


def _allowed(kind: str, context: Mapping[str, Any], message: str) -> str:
    match kind:
        case "value_error":
            return str(context["error"])
        case "too_short":
            return f"at least {context['min_length']} of them"
        case "string_pattern_mismatch":
            return IN_WORDS.get(context["pattern"], message)
        case "string_too_short":
            return "text that is not empty"
    return message


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if len(value) != 0 else "an empty list"
    return "nothing" if value is None else repr(value)[:80]


def _model_at(model: type[Section], path: Path) -> type[Section] | None:
    """The section that stands at `path` of a document of `model`, following fields through lists and mappings."""
    found: type[Section] | None = model
    for step in path:
        if isinstance(step, str) and found is not None:
            field = next((f for n, f in found.model_fields.items() if step in (n, f.alias)), None)
            found = None if field is None else _section_in(field.annotation)
    return found


def _section_in(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)


def _fields_of(model: type[Section] | None) -> list[str]:
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]
