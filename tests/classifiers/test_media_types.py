"""Types by bytes, by name, and where the two contradict each other."""

from __future__ import annotations

import io
import time
import zipfile

import pytest

from classifiers import media_types
from classifiers.errors import ContentBroken
from classifiers.media_types import EMPTY, UNKNOWN, detect_media_type, is_mismatch, kind_of, media_type_of_name
from classifiers.signatures import DOCM, DOCX, ODT


def zipped(*names: str, **contents: str) -> bytes:
    """An archive with these members."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, contents.get(name, "x"))
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", EMPTY),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "image/avif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "image/avif"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "video/quicktime"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video/mp4"),
        (b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x86\x81\x01B\x82\x84webm", "video/webm"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"<!DOCTYPE html><p>hello", "text/html"),
        (b"\xef\xbb\xbf\n<!-- x --><HTML>", "text/html"),
        (b"<script>alert(1)</script>", "text/html"),
        (b'<?xml version="1.0"?><!-- x --><svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]><svg/>', "image/svg+xml"),
        (b"The quick brown fox jumps over the lazy dog. " * 20, "text/plain"),
        (b'{"name": "spring", "assets": [1, 2, 3]}', "application/json"),
        (b"\0\x01\x02" * 300, UNKNOWN),  # the model alone says TIFF here: no TIFF lacks its signature
        (zipped("[Content_Types].xml", "word/document.xml"), DOCX),
        (zipped("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"), DOCM),
        (zipped("mimetype", mimetype=ODT), ODT),
        (zipped("mimetype", mimetype="text/html"), "application/zip"),
        (zipped("photos/a.jpg"), "application/zip"),
    ],
)  # fmt: skip
def test_bytes_say_what_they_are(content: bytes, expected: str) -> None:
    """Signatures, container brands, archive members, markup roots and the model each decide what is theirs."""
    assert detect_media_type(io.BytesIO(content)) == expected


def test_archive_that_cannot_be_listed_is_broken() -> None:
    """An archive cut off before its directory is named as such, not taken for something else."""
    with pytest.raises(ContentBroken, match="archive cannot be listed"):
        detect_media_type(io.BytesIO(zipped("a.txt")[:-10]))


def test_model_runs_on_one_thread() -> None:
    """The library's private hook for its session still gives one thread; without it each file costs twice the CPU."""
    options = media_types._model()._onnx_session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


def test_hostile_markup_costs_no_time() -> None:
    """Thousands of empty comments do not make the markup pattern backtrack."""
    started = time.process_time()
    assert detect_media_type(io.BytesIO(b"<!---->" * 9000)) != "text/html"
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("campaigns/spring/Hero.JPG", "image/jpeg"),
        ("a/b.c/README", None),
        ("brief.DOCX", DOCX),
        ("clip.mov", "video/quicktime"),
        ("x.unknown-thing", None),
        ("notes.md", "text/markdown"),
        (".hidden", None),
    ],
)
def test_names_claim_types(name: str, expected: str | None) -> None:
    """Only the extension of the last part counts, whatever its case."""
    assert media_type_of_name(name) == expected


@pytest.mark.parametrize(
    ("content", "named", "expected"),
    [
        ("image/png", "image/jpeg", True),
        ("text/html", "image/jpeg", True),
        ("text/html", "text/plain", True),
        ("image/svg+xml", "application/xml", True),
        ("text/plain", "text/html", False),
        ("text/x-python", "text/plain", False),
        ("video/mp4", "video/quicktime", False),
        (DOCM, DOCX, True),
        (UNKNOWN, "image/jpeg", True),
        ("image/jpeg", None, False),
    ],
)
def test_a_name_lies_or_does_not(content: str, named: str | None, expected: bool) -> None:
    """A mismatch is what could mislead a person or a browser, not one text under another text's name."""
    assert is_mismatch(content, named) is expected


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [("image/svg+xml", "image"), ("application/pdf", "document"), (DOCM, "document"), ("text/csv", "text"),
     ("application/json", "text"), ("audio/wav", "audio"), ("video/webm", "video"),
     (UNKNOWN, "other"), (EMPTY, "other")],
)  # fmt: skip
def test_kinds(media_type: str, expected: str) -> None:
    """Every media type falls into one of the kinds that policies name."""
    assert str(kind_of(media_type)) == expected
