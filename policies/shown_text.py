"""Foreign words made safe to show: names, labels and comments cannot format, link, reorder or run anything."""

from __future__ import annotations

import re
import unicodedata

NAME_LIMIT = 60
"""Characters of a file name that are shown; longer ones are cut in the middle, where names differ least."""

_MARKDOWN = re.compile(r"[!-/:-@\[-`{-~]")
_TEMPLATE = re.compile(r"\{(?=[{%#])|(?<=[}%#])\}")
_AUTOLINK = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
_URL_UNSAFE = re.compile(r"[^A-Za-z0-9\-._~:/?#@!$&'*+,=%]")
_BLANK = re.compile(
    r"[\u034F\u115F\u1160\u17B4\u17B5\u180B-\u180F\u2800\u3164\uFFA0]"
    r"|(?<![^\s\uFE00-\uFE0F\U000E0100-\U000E01EF])[\uFE00-\uFE0F\U000E0100-\U000E01EF]"
)
"""Letters, marks and symbols that are drawn as nothing; a selector counts only where it has nothing to select for."""
_WORD_JOINER = "\N{WORD JOINER}"
_ISOLATE, _POP = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


def cut_middle(text: str, limit: int) -> str:
    """Shorten `text` to `limit` characters (at least 3) by leaving out its middle.

    >>> cut_middle("campaigns/spring/hero-final.jpg", 15)
    'campaig…nal.jpg'
    """
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def plain_text(text: str, limit: int = NAME_LIMIT) -> str:
    """One line of `text` in which nothing is invisible and nothing opens a template.

    Whitespace becomes one space; control, format (bidirectional marks, zero-width), surrogate and unassigned
    characters, and letters that are drawn as nothing, are spelt out; right-to-left words are isolated, so that they
    cannot reorder what stands beside them.

    >>> plain_text("invoice\u202egpj.exe")
    'invoice⟨U+202E⟩gpj.exe'
    >>> plain_text("{{ secret }}")
    '❴{ secret }❵'
    """
    line = cut_middle(" ".join(text.split()), limit)
    if line.isascii() and line.isprintable():  # nearly every name: nothing to spell out, nothing that runs to the left
        return _TEMPLATE.sub(_without_template, line)
    visible = "".join(_spell_out(char) if unicodedata.category(char)[0] == "C" else char for char in line)
    visible = _BLANK.sub(lambda match: _spell_out(match[0]), visible)
    harmless = _TEMPLATE.sub(_without_template, visible)
    if any(unicodedata.bidirectional(char) in {"R", "AL", "AN"} for char in harmless):
        return f"{_ISOLATE}{harmless}{_POP}"
    return harmless


def _without_template(match: re.Match[str]) -> str:
    return "❴" if match[0] == "{" else "❵"


def markdown_text(text: str, limit: int = NAME_LIMIT) -> str:
    r"""`text` as one line of markdown that renders as exactly these characters: no format, table cell, HTML or link.

    Punctuation is escaped with backslashes, which both Prefect UIs read (one of them shows numeric references as they
    are); a word joiner stands where a renderer would make a link of plain text even so.

    >>> print(markdown_text("a|b*c"))
    a\|b\*c
    """
    unlinked = _AUTOLINK.sub(_WORD_JOINER, plain_text(text, limit))
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}", unlinked)


def markdown_link(label: str, url: str) -> str:
    """A markdown link with an escaped label, or the bare label where `url` is not http(s).

    >>> markdown_link("open", "http://s3/a b?x=1&y=2")
    '[open](<http://s3/a%20b?x=1&y=2>)'
    >>> markdown_link("open", "javascript:alert(1)")
    'open'
    """
    shown = markdown_text(label)
    if not url.lower().startswith(("http://", "https://")):
        return shown
    quoted = _URL_UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "replace")), url)
    return f"[{shown}](<{quoted}>)"


def _spell_out(char: str) -> str:
    return f"⟨U+{ord(char):04X}⟩"
