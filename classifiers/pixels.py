"""The pixels of an image file, small and upright, or the reason why they cannot be had."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from classifiers.errors import BytesNotAtHand, ContentBroken, ContentTooLarge, ContentUnsupported

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PSD", "ICO", "PPM")
"""Formats that Pillow decodes in itself. It would hand others, such as EPS, to programs outside."""

Image.init()  # registers every plugin: naming a format whose plugin was not imported yet is an error
_FORMATS = tuple(name for name in FORMATS if name in Image.OPEN)

_DECODING = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, struct.error)
"""What Pillow raises on damaged bytes, beside its own errors."""

_WHITE = (255, 255, 255)

_ORIENTATION = 0x0112
_TURNS = {  # EXIF 2.32, table 6, to what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_square(path: Path, side_pixels: int) -> NDArray[np.uint8]:
    """Give the whole picture at `path` squeezed into a square, shape (side, side, 3), RGB; the first frame of several.

    `ContentUnsupported`, `ContentTooLarge` or `ContentBroken` is raised when there is no such picture, and
    `BytesNotAtHand`, which says nothing of the content, when the file cannot be read at all.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=_FORMATS) as image:
                return np.asarray(_squeezed(image, side_pixels), dtype=np.uint8)
        except UnidentifiedImageError as error:
            raise ContentUnsupported("not an image in a format that can be decoded here") from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise ContentTooLarge(f"more than {Image.MAX_IMAGE_PIXELS:,} pixels") from error
        except MemoryError as error:
            raise ContentTooLarge("decoding needs more memory than there is") from error
        except _DECODING as error:
            if isinstance(error, OSError) and error.errno is not None:  # the file system speaks, not the decoder
                raise BytesNotAtHand(f"{path.name}: {error.strerror}") from error
            raise ContentBroken(f"the image cannot be decoded: {error}") from error


def _squeezed(image: Image.Image, side_pixels: int) -> Image.Image:
    image.draft("RGB", (2 * side_pixels, 2 * side_pixels))  # JPEG decodes at a fraction of its size, much faster
    small = _as_rgb(image).resize((side_pixels, side_pixels), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return _upright(small, image)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a sample; a plain conversion would clip instead of scale
        return Image.fromarray((np.asarray(image).clip(0, 0xFFFF) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, (*_WHITE, 255)), opaque).convert("RGB")
    return image.convert("RGB")


def _upright(small: Image.Image, original: Image.Image) -> Image.Image:
    """Turn the small square as the EXIF orientation of the original says."""
    turn = _TURNS.get(original.getexif().get(_ORIENTATION, 1))
    return small.transpose(turn) if turn is not None else small
