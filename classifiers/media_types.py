"""What a file is, by its bytes: signatures decide where they are certain, a trained model elsewhere."""

from __future__ import annotations

import io
import mimetypes
from enum import StrEnum
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Final

from classifiers.signatures import (
    ALWAYS_SIGNED,
    DOCM,
    DOCX,
    ODP,
    ODS,
    ODT,
    OPENDOCUMENT,
    PPTM,
    PPTX,
    XLSM,
    XLSX,
    type_by_signature,
)

if TYPE_CHECKING:
    from magika import Magika

UNKNOWN: Final = "application/octet-stream"
EMPTY: Final = "application/x-empty"
HEAD_BYTES: Final = 65_536  # as much of the start as signatures and the model get to see


class Kind(StrEnum):
    """The sort of content, as policies name it."""

    IMAGE = "image"
    DOCUMENT = "document"
    TEXT = "text"
    VIDEO = "video"
    AUDIO = "audio"
    OTHER = "other"


_ACTIVE: Final = frozenset({"text/html", "image/svg+xml"})  # a browser runs what these contain

_NAMED: Final = {  # by extension, where the standard table says nothing, says several things or says it oddly
    "jpe": "image/jpeg", "jfif": "image/jpeg", "webp": "image/webp", "avif": "image/avif", "heic": "image/heic",
    "heif": "image/heif", "psd": "image/vnd.adobe.photoshop", "jp2": "image/jp2", "jxl": "image/jxl",
    "cr3": "image/x-canon-cr3", "svg": "image/svg+xml", "ai": "application/pdf",
    "docx": DOCX, "pptx": PPTX, "xlsx": XLSX, "docm": DOCM, "pptm": PPTM, "xlsm": XLSM, "rtf": "application/rtf",
    "odt": ODT, "odp": ODP, "ods": ODS,
    "epub": "application/epub+zip", "md": "text/markdown", "txt": "text/plain", "csv": "text/csv", "log": "text/plain",
    "json": "application/json", "xml": "application/xml", "yml": "application/yaml", "yaml": "application/yaml",
    "wav": "audio/wav", "mp3": "audio/mpeg", "m4a": "audio/mp4", "flac": "audio/flac", "ogg": "audio/ogg",
    "opus": "audio/ogg", "mkv": "video/x-matroska", "webm": "video/webm", "mov": "video/quicktime",
    "m4v": "video/mp4", "avi": "video/x-msvideo", "mpg": "video/mpeg", "3gp": "video/3gpp", "flv": "video/x-flv",
    "gz": "application/gzip", "rar": "application/vnd.rar", "bmp": "image/bmp",
}  # fmt: skip
_SPELLINGS: Final = {  # other ways to name the same type
    "image/jpg": "image/jpeg", "image/jpeg2000": "image/jp2", "image/x-ms-bmp": "image/bmp",
    "text/xml": "application/xml",
    "audio/x-wav": "audio/wav", "text/rtf": "application/rtf", "application/x-yaml": "application/yaml",
    "application/javascript": "text/javascript", "inode/x-empty": EMPTY, "application/undefined": UNKNOWN,
    "video/MP2T": "video/mp2t", "text-ocaml": "text/x-ocaml",
    "vnd.apache.arrow.file": "application/vnd.apache.arrow.file",
}  # fmt: skip
_SAME_FAMILY: Final = (  # containers that differ by little more than their name
    frozenset({"video/mp4", "video/quicktime", "video/3gpp", "audio/mp4"}),
    frozenset({"video/x-matroska", "video/webm"}),
    frozenset({"audio/ogg", "video/ogg", "application/ogg"}),
    frozenset({"image/heic", "image/heif"}),
)
_TEXTUAL: Final = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/toml", "application/rdf+xml",
     "application/x-sql", "application/sgml", "application/x-plist", "application/x-ruby", "application/x-rust"}
)  # fmt: skip
_DOCUMENTS: Final = frozenset(
    {"application/pdf", "application/rtf", "application/epub+zip", "application/msword", "application/vnd.ms-excel",
     "application/vnd.ms-powerpoint", "application/postscript", DOCX, PPTX, XLSX, DOCM, PPTM, XLSM, *OPENDOCUMENT}
)  # fmt: skip


def detect_media_type(file: BinaryIO) -> str:
    """Say what the content of an open, seekable file is; `application/octet-stream` where nothing recognises it."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if not head:
        return EMPTY
    return type_by_signature(head, file) or _by_model(head, file)


def media_type_of_name(name: str) -> str | None:
    """Say what the extension of a key or file name claims, or None where it claims nothing known.

    >>> media_type_of_name("campaigns/spring/Hero.JPG"), media_type_of_name("README")
    ('image/jpeg', None)
    """
    extension = PurePosixPath(name).suffix.lower().lstrip(".")
    if not extension:
        return None
    return _NAMED.get(extension) or _canonical(_standard_table().guess_type("x." + extension)[0])


def is_mismatch(content: str, named: str | None) -> bool:
    """Say whether a name claims another type than the bytes have; a name without a claim never lies.

    Texts under another text's name are no mismatch, for no rule tells them apart, unless a browser would run them.

    >>> is_mismatch("image/png", "image/jpeg"), is_mismatch("text/x-python", "text/plain")
    (True, False)
    >>> is_mismatch("text/html", "text/plain")
    True
    """
    if named is None or named == content:
        return False
    if any(content in family and named in family for family in _SAME_FAMILY):
        return False
    return content in _ACTIVE or not (_is_textual(content) and _is_textual(named))


def kind_of(media_type: str) -> Kind:
    """Sort a media type into the kinds that policies name.

    >>> str(kind_of("image/webp")), str(kind_of("application/json")), str(kind_of("application/zip"))
    ('image', 'text', 'other')
    """
    if media_type in _DOCUMENTS:
        return Kind.DOCUMENT
    if _is_textual(media_type):
        return Kind.TEXT
    family = media_type.partition("/")[0]
    return Kind(family) if family in ("image", "video", "audio") else Kind.OTHER


def _is_textual(media_type: str) -> bool:
    return media_type.startswith("text/") or media_type in _TEXTUAL


def _canonical(media_type: str | None) -> str | None:
    return _SPELLINGS.get(media_type, media_type) if media_type else None


@lru_cache(maxsize=1)
def _standard_table() -> mimetypes.MimeTypes:
    return mimetypes.MimeTypes(filenames=())  # the built-in table alone: what a machine adds must not change findings


def _by_model(head: bytes, file: BinaryIO) -> str:
    file.seek(0)
    whole = io.BytesIO(head) if len(head) < HEAD_BYTES else file
    found = _canonical(_model().identify_stream(whole).output.mime_type)
    return UNKNOWN if found is None or found in ALWAYS_SIGNED else found


@lru_cache(maxsize=1)
def _model() -> Magika:
    """Load the content type model with one thread: more would double its CPU time."""
    import onnxruntime  # type: ignore[import-untyped]  # ships no types
    from magika import Magika

    class SingleThreadedMagika(Magika):
        def _init_onnx_session(self) -> onnxruntime.InferenceSession:
            onnxruntime.disable_telemetry_events()
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            return onnxruntime.InferenceSession(self._model_path, options, providers=["CPUExecutionProvider"])

    return SingleThreadedMagika()
