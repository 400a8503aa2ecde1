"""Names as policy and roster files write them: what they may consist of, as a pattern and in words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import StringConstraints

_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,63}$"
_TITLE: Final = r"^\S([^\r\n]{0,118}\S)?$"
_HANDLE: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_EMAIL: Final = r"^[^@\s]+@[^@\s]+$"
_STORAGE_CLASS: Final = r"^[A-Z][A-Z_]*$"

Name = Annotated[str, StringConstraints(pattern=_NAME)]
"""Name of a policy, stage, collection or group."""
Title = Annotated[str, StringConstraints(pattern=_TITLE)]
"""Name of a rule or label."""
Handle = Annotated[str, StringConstraints(pattern=_HANDLE)]
"""Short name of a person."""
Email = Annotated[str, StringConstraints(pattern=_EMAIL, max_length=254)]
"""Address of a person."""
StorageClass = Annotated[str, StringConstraints(pattern=_STORAGE_CLASS)]
"""Storage class of an object store."""

IN_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        _NAME: "up to 64 small letters, digits, - and _, such as 'spring-campaign'",
        _TITLE: "one line of up to 120 characters without blanks around it",
        _HANDLE: "up to 64 small letters, digits, '.', - and _, such as 'lea'",
        _EMAIL: "an address such as 'lea@example.org'",
        _STORAGE_CLASS: "capital letters and _, such as 'GLACIER'",
    }
)
"""What each pattern allows, for messages."""
