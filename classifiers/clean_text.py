"""Text from strangers, made fit for JSON, databases and screens."""

from __future__ import annotations

import re
from typing import Final

_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
_BLANKS: Final = re.compile(r"[ \t\xa0]{2,}")
_LINES: Final = re.compile(r"\s*\n\s*\n\s*")


def clean(text: str, limit: int) -> str:
    """Cut text to `limit` characters and drop what no reader should meet: controls, lone surrogates, bidi overrides.

    >>> clean("a\\x00b\\r\\n  c   d", 20)
    'ab\\n c d'
    """
    well_formed = text[: 2 * limit].encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    printable = _UNPRINTABLE.sub("", well_formed)
    return _LINES.sub("\n\n", _BLANKS.sub(" ", printable)).strip()[:limit]
