"""Which checkpoint a classifier is made of: a local folder, or a model on a hub by name and exact revision."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from classifiers.errors import ModelUnusable

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_REVISION = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A checkpoint's place: `folder`, or `name` on a hub with the 40 hexadecimal digits of a commit as `revision`.

    `ModelUnusable` is raised for anything else; whether the checkpoint is there shows when it is first used.
    """

    folder: Path | None = None
    name: str | None = None
    revision: str | None = None

    def __post_init__(self) -> None:
        if problem := source_problem(self.folder, self.name, self.revision):
            raise ModelUnusable(f"the model {problem}")


def source_problem(folder: Path | None, name: str | None, revision: str | None) -> str | None:
    """Decide whether these name one checkpoint and always the same one; the reason if they do not.

    >>> source_problem(Path("models/clip"), None, None)
    >>> source_problem(None, "google/siglip2-base-patch16-224", "7" * 40)
    >>> source_problem(None, "google/siglip2-base-patch16-224", None)
    "is named 'google/siglip2-base-patch16-224' without a revision; give the commit's 40 hexadecimal digits"
    """
    if folder is not None:
        both = name is not None or revision is not None
        return (
            "has a folder and a hub's name or revision; give either a folder or a name with a revision"
            if both
            else None
        )
    if name is None:
        return "has neither a folder nor a name; give either a folder or a name with a revision"
    if not _NAME.fullmatch(name) or ".." in name:
        return f"has the name {name!r}; a hub's names look like 'owner/model', and a local folder is given as `folder`"
    if revision is None:
        return f"is named {name!r} without a revision; give the commit's 40 hexadecimal digits"
    if not _REVISION.fullmatch(revision):
        return (
            f"has the revision {revision!r}, a branch, a tag or a part of a commit, behind which other weights may lie "
            "tomorrow; give the commit's 40 hexadecimal digits in lower case"
        )
    return None
