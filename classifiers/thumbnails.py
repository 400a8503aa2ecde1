"""Small pictures of content: of an image, of the first page of a PDF, of one frame of a video."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from PIL import Image, UnidentifiedImageError

from classifiers.errors import ContentBroken, ContentTooLarge, ContentUnsupported

if TYPE_CHECKING:
    import pypdfium2  # type: ignore[import-untyped]  # ships no types
    from av import VideoFrame

THUMBNAIL_PX: Final = 320
PIXELS_MAX: Final = 200_000_000  # four bytes each while decoding: 800 MB, which the sandbox's memory holds
HASH_PX: Final = 192  # hashes as alike as those of larger copies, at a quarter of the time
HASH_QUALITY_MIN: Final = 50  # of 100: below, a picture has too little structure for its hash to mean anything (PDQ)
_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS: Final = frozenset({5, 6, 7, 8})
_READERS: Final = {  # a closed list: other readers of the library start programs or are little tested
    "image/jpeg": ("JPEG",), "image/png": ("PNG",), "image/gif": ("GIF",), "image/tiff": ("TIFF",),
    "image/webp": ("WEBP",), "image/avif": ("AVIF",), "image/bmp": ("BMP",), "image/jp2": ("JPEG2000",),
    "image/vnd.adobe.photoshop": ("PSD",),
}  # fmt: skip

Image.MAX_IMAGE_PIXELS = PIXELS_MAX  # the library's own check runs in places where ours cannot


@contextmanager
def open_image(file: BinaryIO, media_type: str) -> Iterator[Image.Image]:
    """Open a picture without decoding it, as the type that its bytes have.

    Raises ContentUnsupported, ContentTooLarge (more than `PIXELS_MAX` pixels) and ContentBroken.
    """
    if media_type not in _READERS:
        known = ", ".join(sorted(_READERS))
        raise ContentUnsupported(f"{media_type} has no reader here; convert it to one of {known}")
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(file, formats=_READERS[media_type]) as image:
                _check_pixels(image.width, image.height)
                yield image
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as problem:
            raise ContentTooLarge(f"{problem}; at most {PIXELS_MAX} pixels are decoded") from problem
        except UnidentifiedImageError as problem:
            raise ContentBroken(f"no {media_type} can be opened from these bytes") from problem


def _check_pixels(width: int, height: int) -> None:
    if width * height > PIXELS_MAX:
        raise ContentTooLarge(f"{width} × {height} pixels; at most {PIXELS_MAX} pixels are decoded")


def orientation_of(image: Image.Image) -> int:
    """Give the EXIF orientation, 1 (upright) to 8; damaged EXIF counts as upright."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 — hostile EXIF raises nearly anything; it is reported where rights are read
        return 1
    return found if found in _TURNS else 1


def size_as_shown(image: Image.Image) -> tuple[int, int]:
    """Give width and height in px as a viewer shows the picture, its orientation applied."""
    return (image.height, image.width) if orientation_of(image) in _SIDEWAYS else image.size


def shrink(image: Image.Image) -> Image.Image:
    """Decode a picture to RGB of at most `THUMBNAIL_PX` a side, upright, transparency over white.

    Raises what the decoder raises: OSError for a truncated picture.
    """
    turn = _TURNS.get(orientation_of(image))
    image.draft("RGB", _fit(image.size))  # JPEG decodes at an eighth to a half for free
    image.load()
    small = _to_rgb(image)
    return small.transpose(turn) if turn is not None else small


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode[0] in "IF":  # 16 and 32 bits a sample: brightness is whatever the picture itself spans
        small = image.resize(_fit(image.size), Image.Resampling.NEAREST).convert("F")
        low, high = (float(bound) for bound in small.getextrema())  # type: ignore[arg-type]  # one band: two numbers
        scale = 255 / (high - low) if high > low else 0.0
        return small.point(lambda sample: sample * scale - low * scale).convert("L").convert("RGB")
    if image.mode in ("P", "1") or "transparency" in image.info:
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    small = image.resize(_fit(image.size), Image.Resampling.HAMMING, reducing_gap=2.0)
    if small.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        ground = Image.new("RGBA", small.size, "white")
        small = Image.alpha_composite(ground, small.convert("RGBA"))
    return small.convert("RGB")


def _fit(size: tuple[int, int]) -> tuple[int, int]:
    factor = min(1.0, THUMBNAIL_PX / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def encode(small: Image.Image) -> bytes:
    """Give a shrunk picture as JPEG."""
    target = io.BytesIO()
    small.save(target, "JPEG", quality=80)
    return target.getvalue()


def perceptual_hash(small: Image.Image) -> str | None:
    """Give the PDQ hash (256 bits, hex) of a shrunk picture, or None where it has too little structure for one."""
    import numpy as np
    import pdqhash  # type: ignore[import-untyped]  # ships no types

    width, height = (max(1, side * HASH_PX // THUMBNAIL_PX) for side in small.size)
    bits, quality = pdqhash.compute(np.asarray(small.resize((width, height), Image.Resampling.BOX)))
    return np.packbits(bits.astype(np.uint8)).tobytes().hex() if quality >= HASH_QUALITY_MIN else None


def page_picture(document: pypdfium2.PdfDocument) -> Image.Image:
    """Draw the first page of a PDF, at most `THUMBNAIL_PX` a side; raises pypdfium2.PdfiumError."""
    page = document[0]
    width_pt, height_pt = page.get_size()
    longest_pt = max(width_pt, height_pt, 1.0)
    drawn: Image.Image = page.render(scale=THUMBNAIL_PX / longest_pt, may_draw_forms=False).to_pil()
    return drawn.convert("RGB")


def frame_picture(frame: VideoFrame) -> Image.Image:
    """Shrink a decoded video frame, turned as its display matrix says."""
    width, height = _fit((frame.width, frame.height))
    small = Image.fromarray(frame.reformat(width=width, height=height, format="rgb24").to_ndarray())
    return small.rotate(frame.rotation, expand=True) if frame.rotation else small
